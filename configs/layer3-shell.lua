----
-- Layer 3: a command for each kind of change, as a string.
--
-- A name with ^ in front becomes a quoted argument of the shell, "$1", "$2" … It is never text of the
-- command, so no file name can be run as one. Longest first:
--
--     ^pathname ^pathdir ^path                      relative to the source; a directory's path ends with /
--     ^sourcePathname ^sourcePathdir ^sourcePath    the same below the source
--     ^targetPathname ^targetPathdir ^targetPath    the same below the target
--     ^source ^target
--     ^o.… and ^d.…                                 in onMove: origin and destination
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

-- A table like this can serve many syncs: see inheritance.lua.
local shell = {
	delay = 1,

	-- commands that may run at the same time
	maxProcesses = 3,

	onStartup = [[ if [ "$(ls -A ^source)" ]; then cp -r ^source* ^target; fi ]],
	-- -T: a directory that is there already is filled, not copied into.
	onCreate  = [[ cp -rT ^sourcePathname ^targetPathname ]],
	onModify  = [[ cp -rT ^sourcePathname ^targetPathname ]],
	onDelete  = [[ rm -rf ^targetPathname ]],
	onMove    = [[ mv -T ^o.targetPathname ^d.targetPathname ]],
}

sync {
	shell,
	source = demo .. "/source",
	target = demo .. "/target",
}
