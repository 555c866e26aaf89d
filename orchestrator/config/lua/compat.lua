-- The names that Lua 5.1 had and later versions dropped, and `table.unpack` under every version
-- (spec 2). Config files have been written for 5.1 to 5.4, and run here under any of them.

local function add(place, name, value)
    if place[name] == nil then place[name] = value end
end

add(table, 'unpack', unpack)
add(_G, 'unpack', table.unpack)
add(_G, 'loadstring', load)
add(table, 'getn', function(t) return #t end)
add(table, 'maxn', function(t)
    local max = 0
    for key in pairs(t) do
        if type(key) == 'number' and key > max then max = key end
    end
    return max
end)
add(table, 'pack', function(...) return {n = select('#', ...), ...} end)
add(math, 'pow', function(x, y) return x ^ y end)
add(math, 'mod', math.fmod)
add(string, 'gfind', string.gmatch)

-- The runtime in use gives the raw status of wait(2); Lua means the exit code, or the signal.
local execute = os.execute
if _VERSION ~= 'Lua 5.1' then
    function os.execute(command)
        if command == nil then return execute() end
        local ok, kind, status = execute(command)
        if type(status) ~= 'number' then return ok, kind, status end
        local signal, code = status % 128, math.floor(status / 256)
        if signal ~= 0 then return nil, 'signal', signal end
        if code ~= 0 then return nil, 'exit', math.floor(code) end
        return true, 'exit', 0
    end
end

function string.starts(s, t)
    return s:sub(1, #t) == t
end

function string.ends(s, t)
    return t == '' or s:sub(-#t) == t
end

function table.contains(t, v)
    for _, value in pairs(t) do
        if value == v then return true end
    end
    return false
end

-- Lua's own output is not buffered, so that it stands in order with the daemon's log lines.
io.stdout:setvbuf('no')
