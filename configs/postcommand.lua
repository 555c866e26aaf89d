----
-- A command after each transfer: one function of a built-in action replaced, the rest left as it is.
-- Here rsync mirrors as ever, and each time that it has done so, a command runs on the source.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

local withPostcommand = {
	default.rsync,

	-- `action` of the built-in is called where there is something to transfer; `collect` when it has ended.
	collect = function( agent, exitcode )
		local verdict = default.collect( agent, exitcode )

		if verdict ~= "again" and verdict ~= "die" then
			local config = agent.config
			log( "Normal", "running the post command of ", config.name )
			os.execute( config.postcommand )
		end

		return verdict
	end,

	-- A key of our own must be made known, or it is taken for a typo.
	checkgauge = { postcommand = true },
}

sync {
	withPostcommand,
	name   = "demo",
	source = demo .. "/source",
	target = demo .. "/target",
	delay  = 1,

	-- The daemon waits for it: it should be short, or end in &.
	postcommand = 'date >> "' .. demo .. '/transferred"',
}
