----
-- A full run at set times, beside the transfers of what changes: it finds what was changed on the target.
--
-- second minute hour day-of-month month day-of-week, by the clock on the wall. Lists (1,15), ranges (1-5),
-- steps (*/10) and names (JAN, SUN) may be used. `lsyncd -log Info` shows when a rule fires.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

sync {
	default.rsync,
	source = demo .. "/source",
	target = demo .. "/target",
	delay  = 1,
	crontab = {
		"0 30 3 * * *",        -- each night at half past three
		"0 0 12 * * SAT,SUN",  -- and at noon on weekends
		os.getenv( "RULE" ),   -- the test's
	},
}
