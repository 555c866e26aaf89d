----
-- The meaning of exit codes, set anew: "ok", "again" (try once more, with growing pauses) or
-- "die" (end the daemon). Codes that are not named keep their meaning.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

sync {
	default.rsync,
	source = demo .. "/source",
	target = demo .. "/target",
	delay  = 1,

	exitcodes = {
		-- rsync: "requested action not supported", seen while a disk of ours is being exchanged
		[ 4 ] = "again",
		-- rsync: "some files could not be transferred": for us, reason enough to stop
		[ 23 ] = "die",
	},
}
