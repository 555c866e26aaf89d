----
-- Something before and after each transfer, whatever the action: a check that the target is there, a
-- notification, a cache to be emptied. As functions of Lua, or as commands.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

-- As functions: the daemon waits for them, so they should be short.
sync {
	default.rsync,
	name   = "functions",
	source = demo .. "/source",
	target = demo .. "/target/functions",
	delay  = 1,

	-- false: not now; it is asked again a second later
	onBatchStart = function( paths, agent )
		log( "Normal", #paths, " paths are about to travel" )
		return true
	end,

	-- verdict: "ok", "again" or "die"
	onBatchEnd = function( paths, exitcode, seconds, verdict )
		log( "Normal", #paths, " paths: ", verdict )
	end,
}

-- As commands: they run beside the daemon. ^pathsFile is a file with the paths, a NUL after each.
sync {
	default.rsync,
	name   = "commands",
	source = demo .. "/source",
	target = demo .. "/target/commands",
	delay  = 1,

	-- Another status than 0: nothing is transferred now; it is tried again, with growing pauses.
	onBatchStart = "mkdir -p ^target",
	onBatchEnd   = 'echo ^name: ^count paths, ^verdict >> "' .. demo .. '/transferred"',
}
