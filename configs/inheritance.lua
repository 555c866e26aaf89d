----
-- What syncs share stands in a table of its own. A sync takes over what each table in its list part
-- holds, in order; what is set nearer wins, tables are merged.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

-- our ways with rsync …
local ours = {
	default.rsync,
	delay   = 1,
	delete  = "running",
	exclude = { "*.tmp" },
	rsync   = { archive = true },
}

-- … and for machines behind a slow line
local slow = {
	ours,
	delay = 2,
	rsync = { compress = true, bwlimit = 5000 },
}

-- A config is a program: one sync for each target, however many there are.
for _, name in ipairs{ "one", "two" } do
	sync {
		ours,
		name   = name,
		source = demo .. "/source",
		target = demo .. "/target/" .. name,
	}
end

sync {
	slow,
	name   = "three",
	source = demo .. "/source",
	target = demo .. "/target/three",
}
