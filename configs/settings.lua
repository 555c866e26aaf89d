----
-- The daemon's settings: where it logs, where it reports its state, what it does when something fails.
-- What stands here is overridden by the command line (lsyncd -help).
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

settings {
	-- Without a log file a daemon writes to syslog. The file is opened anew when it was rotated.
	logfile = demo .. "/lsyncd.log",

	-- Who waits for what, and what is watched; renewed at most every statusInterval seconds.
	statusFile     = demo .. "/lsyncd.status",
	statusInterval = 1,

	-- The daemon's process id, for init scripts; locked, so that it is started once only.
	pidfile = demo .. "/lsyncd.pid",

	-- A target that can't be reached at the start is no reason to give up.
	insist = true,

	-- When a file counts as changed: "CloseWrite" when it is closed, "Modify" at each write, or
	-- "CloseWrite or Modify".
	inotifyMode = "CloseWrite",

	-- Processes at the same time, over all syncs.
	maxProcesses = 4,

	-- So many changes make a sync act before its delay is over.
	maxDelays = 1000,

	-- For every sync: seconds from the first change to its transfer.
	delay = 1,
}

sync {
	default.rsync,
	-- the name in the log and in the status file
	name   = "demo",
	source = demo .. "/source",
	target = demo .. "/target",
}
