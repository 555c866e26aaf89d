-- The names that Lua 5.1 had and later versions dropped, and `table.unpack` under every version
-- (spec 2). Config files have been written for 5.1 to 5.4, and run here under any of them.

local core, shared = ...

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
add(math, 'log10', function(x) return math.log(x, 10) end)
add(math, 'ldexp', function(x, exponent) return x * 2.0 ^ exponent end)
add(string, 'gfind', string.gmatch)

-- Where distributions keep Lua modules: `require` finds what their own Lua finds.
local version = _VERSION:match('%d.%d')
local function find_in(key, prefix, endings)
    for _, ending in ipairs(endings) do
        local place = prefix .. ending
        if not package[key]:find(place, 1, true) then package[key] = package[key] .. ';' .. place end
    end
end
find_in('path', '/usr/share/lua/' .. version, {'/?.lua', '/?/init.lua'})
find_in('cpath', '/usr/lib/' .. core.multiarch() .. 'lua/' .. version, {'/?.so'})
find_in('cpath', '/usr/lib/lua/' .. version, {'/?.so'})

-- The current directory comes last, and not at all where others than root could have put something there for root.
for _, key in ipairs{'path', 'cpath'} do
    local places, beside = {}, {}
    for place in package[key]:gmatch('[^;]+') do
        local list = place:sub(1, 1) == '/' and places or beside
        list[#list + 1] = place
    end
    for _, place in ipairs(core.trusts_directory() and beside or {}) do places[#places + 1] = place end
    package[key] = table.concat(places, ';')
end

-- Debian's Lua 5.3 still has the 5.2 library of bit operations.
if bit32 == nil then
    local chunk = (loadstring or load)([[
        local function u(x) return math.floor(x) & 0xffffffff end
        local function fold(start, operation)
            return function(...)
                local result = start
                for i = 1, select('#', ...) do result = operation(result, u((select(i, ...)))) end
                return result
            end
        end
        local b = {}
        b.band = fold(0xffffffff, function(x, y) return x & y end)
        b.bor = fold(0, function(x, y) return x | y end)
        b.bxor = fold(0, function(x, y) return x ~ y end)
        function b.btest(...) return b.band(...) ~= 0 end
        function b.bnot(x) return ~u(x) & 0xffffffff end
        function b.lshift(x, n) return n < 0 and b.rshift(x, -n) or n > 31 and 0 or (u(x) << n) & 0xffffffff end
        function b.rshift(x, n) return n < 0 and b.lshift(x, -n) or n > 31 and 0 or u(x) >> n end
        function b.arshift(x, n)
            if n < 0 or u(x) < 0x80000000 then return b.rshift(x, n) end
            return n > 31 and 0xffffffff or (u(x) >> n) | (~(0xffffffff >> n) & 0xffffffff)
        end
        function b.lrotate(x, n) n = n % 32 return b.bor(b.lshift(x, n), b.rshift(x, 32 - n)) end
        function b.rrotate(x, n) return b.lrotate(x, -n) end
        function b.extract(x, field, width) return (u(x) >> field) & ((1 << (width or 1)) - 1) end
        function b.replace(x, v, field, width)
            local mask = ((1 << (width or 1)) - 1) << field
            return (u(x) & ~mask) | ((u(v) << field) & mask)
        end
        return b
    ]], '=bit32')
    bit32 = chunk and chunk()  -- 5.1 has no such operators
    package.loaded.bit32 = bit32
end

local open_file = io.open

-- The file that a searcher of `require` takes for a module, among the templates of package.path or package.cpath.
function shared.find_module(name, templates)
    for template in templates:gmatch('[^;]+') do
        local path = template:gsub('%?', (name:gsub('%.', '/'):gsub('%%', '%%%%')))
        local file = open_file(path)
        if file then
            file:close()
            return path
        end
    end
end

-- The error for a file that cannot be opened has the place of the call; an error within the file has its own place.
local run_file = dofile
function dofile(path)
    if type(path) == 'string' then
        local file, problem = open_file(path)
        if not file then
            if path:sub(1, 1) == '~' then problem = problem .. ' (~ stands for a home directory in a shell only)' end
            error('cannot open ' .. problem, 2)
        end
        file:close()
    end
    return run_file(path)
end

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
