----
-- Layer 2: a Lua function for each kind of change, which decides what to run.
--
-- Here: every picture gets a small copy in the target; other files are passed over.
-- With ImageMagick installed, set  MAKE_SMALL="convert -geometry 160x160".
----

local demo  = os.getenv( "DEMO" ) or "/tmp/lsyncd-demo"
local small = os.getenv( "MAKE_SMALL" ) or "cp"

local pictures = { jpg = true, png = true, gif = true }

-- Whether an event is of a picture. An event has many fields: name, path, isdir, source, target… (README.md)
local function isPicture( event )
	local extension = string.match( event.name, "%.(%a+)$" )
	return not event.isdir and extension and pictures[ string.lower( extension ) ]
end

local function make( event )
	if not isPicture( event ) then
		-- an event left alone is dropped
		return
	end
	log( "Normal", "picture: ", event.path )
	-- Names are handed over as arguments, never as part of the command.
	spawnShell( event, 'mkdir -p -- "$2" && ' .. small .. ' "$1" "$2/$3"',
		event.sourcePathname, event.targetPathdir, event.name )
end

sync {
	source = demo .. "/source",
	target = demo .. "/target",
	delay  = 1,
	maxProcesses = 2,

	onCreate = make,
	onModify = make,

	onDelete = function( event )
		if event.isdir or isPicture( event ) then
			spawn( event, "/bin/rm", "-rf", "--", event.targetPathname )
		end
	end,

	onMove = function( origin, destination )
		-- both names are pictures, or neither was copied
		if isPicture( origin ) and isPicture( destination ) then
			spawnShell( origin, 'mkdir -p -- "$2" && mv -- "$1" "$2/$3"',
				origin.targetPathname, destination.targetPathdir, destination.name )
		end
	end,
}
