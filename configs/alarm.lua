----
-- Lua of one's own, called at set times: here a heartbeat every second, beside an ordinary sync.
-- alarm( ) calls a function once; it asks for the next call itself.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"
local interval = tonumber( os.getenv( "INTERVAL" ) or 1 )

local beats = 0

local function beat( timestamp )
	beats = beats + 1
	log( "Normal", "heartbeat ", beats )
	alarm( timestamp + interval, beat )
end

sync {
	default.rsync,
	source = demo .. "/source",
	target = demo .. "/target",
	delay  = 1,
}

alarm( now( ) + interval, beat )
