----
-- Drives csync2 through lsyncd's layer 1: an action, init, collect and prepare of our own, as people
-- have written them since lsyncd 2.0. Each batch of changes runs one recursive `csync2 -xr`, which looks
-- at the whole tree that the csync2 configuration includes.
--
-- In the style of lsyncd 2.0 throughout: `settings = {…}` (lsyncd warns about the equals sign and goes
-- on), `init` called with the inlet, a Blanket event made by hand. A new setup is better off with the
-- built-in action, which hands csync2 only what changed:  sync { default.csync2, source = …, syncid = … }
--
-- csync2 itself must work first: its configuration, its key, its server on every other host.
--
-- Every path below can be changed here, or without touching the file through the environment.
----

-- The program.
local binary = os.getenv( "CSYNC2_BINARY" ) or "/usr/sbin/csync2"

-- Where csync2 finds csync2_<syncid>.cfg. It reads this variable too. Debian: /etc, others: /etc/csync2.
local configdir = os.getenv( "CSYNC2_SYSTEM_DIR" ) or "/etc"

-- More arguments for every call, separated by spaces: "-N thishost -D /var/lib/csync2 -p 30865".
local options = os.getenv( "CSYNC2_OPTIONS" ) or ""

-- Where the log and the status go. The directory must exist.
local logdir = os.getenv( "LSYNCD_LOG_DIR" ) or "/var/log/lsyncd"

-- What to watch: directory = syncid. The syncid is csync2's -C name, lower case letters and digits.
local sources = {
	[ os.getenv( "CSYNC2_SOURCE" ) or "/srv/www" ] = os.getenv( "CSYNC2_SYNCID" ) or "www",
}

settings = {
	logident       = "lsyncd",
	logfacility    = "user",
	logfile        = logdir .. "/lsyncd.log",
	statusFile     = logdir .. "/status.log",
	statusInterval = 1,
}

-- The arguments of one csync2 call for this sync.
local function arguments( config )
	local list = { "-C", config.syncid }
	for word in string.gmatch( options, "%S+" ) do
		table.insert( list, word )
	end
	table.insert( list, "-xr" )
	return list
end

initSync = {

	delay = 1,

	-- csync2 locks its database: one at a time.
	maxProcesses = 1,

	-- csync2 says 1 when anything went wrong on any host, and remembers what it could not deliver.
	exitcodes = { [ 0 ] = "ok", [ 1 ] = "again" },

	-- Takes everything that waits, and one csync2 for all of it.
	action = function( inlet )
		local config = inlet.getConfig( )

		local elist = inlet.getEvents( function( event )
			return event.etype ~= "Blanket"
		end )

		local directory = string.sub( config.source, 1, -2 )

		local paths = elist.getPaths( function( etype, path )
			return "\t" .. config.syncid .. ":" .. directory .. path
		end )

		log( "Normal", "Processing syncing list:\n", table.concat( paths, "\n" ) )

		spawn( elist, binary, unpack( arguments( config ) ) )
	end,

	-- Judges how a csync2 ended: nil for done, "again" to try once more, "die".
	collect = function( agent, exitcode )
		local config = agent.config
		local verdict = config.exitcodes and config.exitcodes[ exitcode ]

		if not agent.isList and agent.etype == "Blanket" then
			if exitcode == 0 then
				log( "Normal", "Startup of '", config.syncid, "' instance finished." )
			elseif verdict == "again" then
				log( "Normal", "Retrying startup of '", config.syncid, "' instance." )
			else
				log( "Error", "Failure on startup of '", config.syncid, "' instance." )
			end
			return verdict
		end

		if verdict == "die" then
			return verdict
		end

		local word = verdict == "again" and "Retrying " or "Finished "

		if agent.isList then
			log( "Normal", word, "events list on exitcode = ", exitcode )
		else
			log( "Normal", word, agent.etype, " on ", agent.sourcePath, " = ", exitcode )
		end

		return verdict
	end,

	-- At the start: the whole tree. Everything that happens meanwhile waits behind the Blanket event.
	init = function( inlet )
		local config = inlet.getConfig( )
		local event  = inlet.createBlanketEvent( )

		log( "Normal", "Recursive startup sync: ", config.syncid, ":", config.source )

		spawn( event, binary, unpack( arguments( config ) ) )
	end,

	-- Checks the sync's settings. Level 4 of error( ) is the line of the sync{…} call.
	prepare = function( config )
		if not config.syncid then
			error( "Missing 'syncid' parameter.", 4 )
		end

		local file, reason = io.open( configdir .. "/csync2_" .. config.syncid .. ".cfg", "r" )

		if not file then
			error( "Invalid 'syncid' parameter: " .. reason, 4 )
		end

		file:close( )
	end,
}

for directory, syncid in pairs( sources ) do
	sync { initSync, source = directory, syncid = syncid }
end
