----
-- The usual case: one directory, mirrored with rsync.
--
--     lsyncd -nodaemon configs/layer4-rsync.lua
--
-- "Layer 4" is lsyncd's word for the built-in actions: one line names what to do, the rest are options.
-- README.md in this directory lists every key.
----

-- All examples keep to one directory, so that they can be tried without touching anything else.
local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

sync {
	default.rsync,
	source = demo .. "/source",

	-- a path, HOST:PATH, HOST::MODULE/PATH or rsync://HOST/MODULE/PATH
	target = demo .. "/target",

	-- Seconds that changes are gathered before one rsync takes them all. Default: 15.
	delay = 1,

	rsync = {
		-- rsync's --archive: links, permissions, times, owner, group, devices
		archive = true,
		-- worth it over a slow line; not between two disks
		compress = false,
		-- whatever else rsync knows, as it is
		_extra = { "--numeric-ids" },
	},
}
