----
-- Two directories of the same machine, kept equal without any other program: nothing has to be installed, and
-- many small files go much faster than through rsync. Links, owners, permissions, times, extended
-- attributes and holes are kept, as rsync -aHX does.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

sync {
	default.native,
	source = demo .. "/source",
	target = demo .. "/target",
	delay  = 1,

	-- true: delete what is not in the source. false: never delete. "startup", "running": only then.
	delete = true,

	exclude = { "*.tmp" },
}
