----
-- rsync to a daemon on another machine, through ssh: nobody else can read what travels, and the rsync daemon
-- need not be reached from outside.
--
--     SSH_HOST=backup.example.org MODULE=mirror lsyncd -nodaemon configs/tunnel.lua
--
-- Two ssh processes are kept running, each on a free port of its own; transfers take them in turn. One that
-- dies is started again. Until one of them is up, changes wait. `lsyncd -log Tunnel` shows their state.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

local through = tunnel {
	-- ^localport: the free port. A list, or a string that is split as a shell splits.
	command = {
		"ssh", "-N",
		"-o", "BatchMode=yes",
		"-o", "ExitOnForwardFailure=yes",
		"-o", "UserKnownHostsFile=" .. ( os.getenv( "SSH_KNOWN_HOSTS" ) or "~/.ssh/known_hosts" ),
		"-i", os.getenv( "SSH_KEY" ) or "~/.ssh/id_ed25519",
		"-p", os.getenv( "SSH_PORT" ) or "22",
		"-L", "127.0.0.1:^localport:127.0.0.1:" .. ( os.getenv( "RSYNCD_PORT" ) or "873" ),
		os.getenv( "SSH_HOST" ) or "localhost",
	},
	mode     = "pool",
	parallel = 2,

	-- what ^localhost stands for
	localhost = "127.0.0.1",

	-- seconds: so long must it have lived to count as up; so long is waited after a failed start
	readyDelay = 1,
	retryDelay = 5,

	-- and it must answer; after five failures it is started anew
	checkCommand   = "rsync rsync://^localhost:^localport/",
	checkMaxFailed = 5,
}

sync {
	default.rsync,
	source = demo .. "/source",
	target = "rsync://^localhost:^localport/" .. ( os.getenv( "MODULE" ) or "mirror" ),
	delay  = 1,
	tunnel = through,
}
