----
-- rsync over ssh, with renames done by mv on the other host, so that a renamed directory
-- isn't transferred again.
--
--     HOST=backup.example.org TARGETDIR=/srv/mirror lsyncd -nodaemon configs/rsyncssh.lua
--
-- The daemon must be able to log in without being asked for anything: a key without a passphrase, and a
-- host key that is known.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

sync {
	default.rsyncssh,
	source    = demo .. "/source",
	host      = os.getenv( "HOST" ) or "localhost",
	targetdir = os.getenv( "TARGETDIR" ) or demo .. "/target",

	delay = 1,

	-- Files on the target that are not in the source stay at startup; deletions are carried over while running.
	delete = "running",

	-- What stands here is used for the moves and for rsync alike.
	ssh = {
		port         = tonumber( os.getenv( "SSH_PORT" ) or 22 ),
		identityFile = os.getenv( "SSH_KEY" ),
		options = {
			BatchMode          = "yes",
			UserKnownHostsFile = os.getenv( "SSH_KNOWN_HOSTS" ) or "~/.ssh/known_hosts",
		},
	},

	rsync = { archive = true, compress = true },
}
