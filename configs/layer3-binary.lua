----
-- Layer 3 without a shell: a string that begins with a slash names a program. It is split at its
-- spaces, and each ^name in it becomes one argument, whatever it holds.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

sync {
	source = demo .. "/source",
	target = demo .. "/target",
	delay  = 1,

	-- directories come one by one: a new one, then what is in it
	onCreate = "/bin/cp -rT ^sourcePathname ^targetPathname",
	onModify = "/bin/cp -p ^sourcePathname ^targetPathname",
	onDelete = "/bin/rm -rf ^targetPathname",

	-- Without onMove, a rename is a deletion and a creation. Without onStartup, nothing is done at the start:
	-- the target is expected to equal the source.
}
