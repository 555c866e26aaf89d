----
-- Any program, for each batch of changes. Here tar and a pipe, which stand for a program that brings
-- files to where rsync can't: rclone, aws s3, a script of yours.
--
-- A list is a program and its arguments; a string is a shell command, in which each ^name becomes a quoted argument.
----

local demo = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"

sync {
	default.command,
	source = demo .. "/source",
	target = demo .. "/target",
	delay  = 1,

	-- At the start: everything. Without it, nothing is done about what changed before.
	startupCommand = "tar -C ^source -c . | tar -C ^target -x",

	-- Then what changed. The paths are in a file, a NUL after each; those that were deleted, too.
	paths     = "file",
	separator = "nul",
	command   = [[ tar -C ^source --ignore-failed-read --no-recursion --null -T ^pathsFile -c 2>/dev/null | tar -C ^target -x ]],
}
