----
-- Large files beside small ones: a file above batchSizeLimit gets an rsync of its own, and a long
-- transfer doesn't hold up the small files.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

sync {
	default.rsync,
	source = demo .. "/source",
	target = demo .. "/target",
	delay  = 1,

	-- bytes
	batchSizeLimit = 1024 * 1024,

	-- transfers of this sync at the same time; 1 would let large and small take turns
	maxProcesses = 3,
}
