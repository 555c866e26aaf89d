----
-- Layer 1: one function gets the queue of changes and does with it what it likes. All that lsyncd does
-- is built on this layer.
--
-- Here: a journal. Each batch of changes becomes lines of a file; then the batch is done.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"
local journal = os.getenv( "JOURNAL" ) or demo .. "/journal"

local keep = {
	delay = 1,
	maxProcesses = 1,

	-- Without this, a rename arrives as a Delete and a Create.
	onMove = true,

	-- Called when something is due.
	action = function( inlet )
		-- everything that waits; Init is the startup, which must be done first
		local elist = inlet.getEvents( function( event )
			return event.etype ~= "Init"
		end )

		local lines = elist.getPaths( function( etype, path, path2 )
			return etype .. " " .. path .. ( path2 and " -> " .. path2 or "" )
		end )

		log( "Normal", elist.size( ), " changes go into the journal" )

		-- An event or a list of events is handed to a process, and is done when the process ends.
		-- What follows "<" is its standard input.
		spawn( elist, "/bin/sh", "<", table.concat( lines, "\n" ) .. "\n", "-c", 'exec cat >> "$1"', "sh", journal )
	end,

	-- The startup. Left waiting, its event would be dropped.
	init = function( event )
		spawnShell( event, 'echo "start of $1" >> "$2"', event.source, journal )
	end,

	-- Called when a process of ours has ended. "again" puts what it did back into the queue, "die"
	-- ends the daemon, anything else is success.
	collect = function( agent, exitcode )
		if exitcode == 0 then
			log( "Normal", agent.isList and "batch" or agent.etype, " is in the journal" )
			return "ok"
		end
		return "again"
	end,

	-- Called once for each sync, to check its configuration.
	prepare = function( config )
		if config.target then
			error( "a journal has no target", 4 )
		end
	end,
}

sync { keep, source = demo .. "/source" }
