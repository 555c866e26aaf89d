----
-- Two directories of the same machine, kept equal change by change: rsync at startup, then cp, mv, mkdir
-- and rm. For many changes at once rsync (layer4-rsync.lua) or native (native.lua) are faster.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

sync {
	default.direct,
	source = demo .. "/source",
	target = demo .. "/target",

	-- true: delete what is not in the source. false: never delete. "startup", "running": only then.
	delete = true,

	-- passed on to rsync, for the startup
	rsync = { archive = true },

	delay = 1,
}
