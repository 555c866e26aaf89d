----
-- Leaving things out. The patterns are rsync's: * is any run of characters but /, ** any run, ? one
-- character; a leading / ties a pattern to the source, a trailing / means directories only; else
-- it matches at any depth. What is excluded is neither watched nor transferred, nor deleted on the target.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

-- The usual: a list of patterns. A single string will do as well.
sync {
	default.rsync,
	name    = "excludes",
	source  = demo .. "/source",
	target  = demo .. "/target/excludes",
	delay   = 1,
	exclude = { "*.tmp", ".~lock.*", "/cache/", "node_modules/" },
	-- excludeFrom = "/etc/lsyncd/excludes",      the same from a file, one a line, # for comments
}

-- Rules: the first that matches decides, + lets through, - leaves out. They go before excludes.
-- For a file deep in the tree to get through, its directories must get through as well.
sync {
	default.rsync,
	name   = "rules",
	source = demo .. "/source",
	target = demo .. "/target/rules",
	delay  = 1,
	filter = {
		"+ /documents/",
		"+ /documents/**",
		"- *",
	},
	-- filterFrom = "/etc/lsyncd/rules",          the same from a file
}
