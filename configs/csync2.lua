----
-- A cluster of hosts kept in step by csync2, which gets exactly the paths that changed.
--
-- csync2 must be set up first: csync2_<syncid>.cfg and its key in csync2's system directory on every
-- host, its server on every host that receives, and one `csync2 -C <syncid> -xvr` by hand.
-- See plugins/orchestrator_csync2/README.md. A set-up of lsyncd 2.0 does the same in layer 1, by a walk
-- through the whole tree for each batch: csync2-layer1.lua.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

sync {
	default.csync2,
	source = os.getenv( "CSYNC2_SOURCE" ) or demo .. "/source",

	-- csync2's -C name: lower case letters and digits
	syncid = os.getenv( "CSYNC2_SYNCID" ) or "www",

	delay = 1,

	-- All optional: csync2 finds these by itself on a host that takes part in one cluster.
	csync2 = {
		binary     = os.getenv( "CSYNC2_BINARY" ),
		hostname   = os.getenv( "CSYNC2_HOSTNAME" ),
		database   = os.getenv( "CSYNC2_DATABASE" ),
		config_dir = os.getenv( "CSYNC2_SYSTEM_DIR" ),
		port       = os.getenv( "CSYNC2_PORT" ),
	},
}
