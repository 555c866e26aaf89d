-- What a sync is, as one text: its options, the bytecode of its functions, and all that these can reach. Two loads of a
-- config give the same text for a sync where nothing about it can have changed.

local _, shared = ...

local getinfo, getupvalue, upvalueid, getmetatable = debug.getinfo, debug.getupvalue, debug.upvalueid, debug.getmetatable
local dump, format, find, open, getfenv = string.dump, string.format, string.find, io.open, getfenv
local math_type, next, type, tostring, sort, concat, pcall = math.type, next, type, tostring, table.sort, table.concat, pcall
local globals = _G

local MOST = 50000  -- values in one text

-- What was there before the user's files: object → its name; and the values that its tables had.
local name_of, values_of, metatable_of = {}, {}, {}

local function sorted_keys(from)
    local keys = {}
    for key in next, from do
        if type(key) == 'string' then keys[#keys + 1] = key end
    end
    sort(keys)
    return keys
end

local function is_object(value)
    local kind = type(value)
    return kind == 'table' or kind == 'function' or kind == 'userdata' or kind == 'thread'
end

local known_tables = {globals}
name_of[globals] = '_G'
do
    local at = 1
    while known_tables[at] do
        local from, values = known_tables[at], {}
        values_of[from], metatable_of[from] = values, getmetatable(from)
        for key, value in next, from do values[key] = value end
        for _, key in ipairs(sorted_keys(from)) do
            local value = rawget(from, key)
            if is_object(value) and not name_of[value] then
                name_of[value] = name_of[from] .. '.' .. key
                if type(value) == 'table' then known_tables[#known_tables + 1] = value end
            end
        end
        at = at + 1
    end
end

-- What the user has put into tables that were there before, globals above all: a list of {name, key, value}.
local function additions()
    local found = {}
    for _, from in ipairs(known_tables) do
        local before = values_of[from]
        for key, value in next, from do
            if before[key] ~= value then
                found[#found + 1] = {name_of[from] .. '.' .. tostring(key), key, value}
            end
        end
        if getmetatable(from) ~= metatable_of[from] then
            found[#found + 1] = {name_of[from] .. "'s metatable", false, getmetatable(from)}
        end
        for key in next, before do
            if rawget(from, key) == nil then found[#found + 1] = {name_of[from] .. '.' .. tostring(key), key, nil} end
        end
    end
    sort(found, function(one, two) return one[1] < two[1] end)
    return found
end

-- Whether the text of a function names its environment, and so may look up any name in it.
local texts = {}
local function names_environment(source)
    if texts[source] == nil then
        local text = source
        if source:sub(1, 1) == '@' then
            local file = open(source:sub(2), 'rb')
            text = file and file:read('*a')
            if file then file:close() end
        end
        texts[source] = not text or find(text, '_ENV', 1, true) ~= nil
    end
    return texts[source]
end

-- Where a function stands in its file is no part of what it does, but its bytecode has the lines. They are cut out, where
-- the format is known: `head`: bytes before the first function; `int`: reads a number; `text`: of a constant.
local unpack_string = string.unpack

local function varint(code, place)
    local value, byte = 0
    repeat
        byte = code:byte(place)
        value, place = value * 128 + byte % 128, place + 1
    until byte >= 128
    return value, place
end

local function int32(code, place) return unpack_string('<i4', code, place) end

local formats = {
    ['Lua 5.3'] = {
        head = 34, int = int32, upvalue = 2, debug = 3,
        size = function(code, place)
            local size = code:byte(place)
            if size < 255 then return size, place + 1 end
            return unpack_string('<i8', code, place + 1)
        end,
        constants = {[0] = 0, [1] = 1, [3] = 8, [19] = 8, [4] = 'text', [20] = 'text'},
    },
    ['Lua 5.4'] = {
        head = 32, int = varint, upvalue = 3, debug = 4, size = varint,
        constants = {[0] = 0, [1] = 0, [17] = 0, [3] = 8, [19] = 8, [4] = 'text', [20] = 'text'},
    },
}
local bytecode = formats[_VERSION]

local function cut_lines(code, place, pieces)
    local int, count, size = bytecode.int, nil, nil
    size, place = bytecode.size(code, place)
    if size ~= 0 then error('it has a source') end
    _, place = int(code, place)
    _, place = int(code, place)
    local begin = place
    count, place = int(code, place + 3)
    place = place + 4 * count
    count, place = int(code, place)
    for _ = 1, count do
        local kind = bytecode.constants[code:byte(place)]
        place = place + 1
        if kind == 'text' then
            size, place = bytecode.size(code, place)
            place = place + size - 1
        else
            place = place + kind
        end
    end
    count, place = int(code, place)
    place = place + bytecode.upvalue * count
    count, place = int(code, place)
    pieces[#pieces + 1] = code:sub(begin, place - 1)
    for _ = 1, count do place = cut_lines(code, place, pieces) end
    for _ = 1, bytecode.debug do
        count, place = int(code, place)
        if count ~= 0 then error('it has debug information') end
    end
    return place
end

local function without_lines(code)
    if not bytecode then return code end
    local pieces = {}
    local ok, place = pcall(cut_lines, code, bytecode.head + 1, pieces)
    return ok and place == #code + 1 and concat(pieces) or code
end

local look_up_anything = {'_G', 'getfenv', 'setfenv', 'load', 'loadstring', 'debug', 'rawget'}
local read_files = {'require', 'dofile', 'loadfile'}

local function has_any(code, words)
    for _, word in ipairs(words) do
        if find(code, word, 1, true) then return true end
    end
    return false
end

-- Gives the text, false where nothing can be proved; whether there are functions of the user's; and the objects that
-- these share with others or change: tables, captured variables, globals.
local function describe(top, added)
    local out, numbers, count, is_proved, has_functions, reached = {}, {}, 0, true, false, {}
    local put

    local function add(text) out[#out + 1] = text end

    local function put_function(value)
        local info = getinfo(value, 'S')
        if info.what == 'C' or find(info.short_src, '(lsyncd)', 1, true) == 1 then is_proved = false return end
        local ok, code = pcall(dump, value, true)
        if not ok or has_any(code, read_files) or (getfenv and getfenv(value) ~= globals) then is_proved = false return end
        has_functions = true
        code = without_lines(code)
        add(format('f%d:', #code))
        add(code)
        local sees_globals, anything, place = getfenv ~= nil, false, 1
        while true do
            local name, captured = getupvalue(value, place)
            if not name then break end
            if rawequal(captured, globals) then
                sees_globals = true
                if name ~= '_ENV' then anything = true end
                add('G')
            else
                reached[upvalueid and upvalueid(value, place) or 'captured variables'] = true
                put(captured, true)
            end
            place = place + 1
        end
        if not sees_globals then return end
        anything = anything or has_any(code, look_up_anything) or names_environment(info.source)
        for _, one in ipairs(added) do
            local name, key, what = one[1], one[2], one[3]
            if anything or type(key) ~= 'string' or find(code, key, 1, true) then
                add(format('g%d:%s', #name, name))
                reached[name] = true
                put(what, true)
            end
        end
    end

    local function put_table(value, is_reached)
        if shared.number_of[value] or shared.engine_of[value] then is_proved = false return end
        if is_reached then reached[value] = true end
        local keys = {}
        for key in next, value do
            local kind = type(key)
            if kind ~= 'string' and kind ~= 'number' and kind ~= 'boolean' then is_proved = false return end
            -- a table of keys that are allowed, which has said what it had to say
            if value ~= top or key ~= 'checkgauge' then keys[#keys + 1] = key end
        end
        sort(keys, function(one, two)
            local kind, kind2 = type(one), type(two)
            if kind ~= kind2 then return kind < kind2 end
            if kind == 'boolean' then return not one and two end
            return one < two
        end)
        add(format('t%d:', #keys))
        for _, key in ipairs(keys) do
            put(key)
            put(rawget(value, key), is_reached)
        end
        put(getmetatable(value), is_reached)
    end

    function put(value, is_reached)
        count = count + 1
        if count > MOST then is_proved = false end
        if not is_proved then return end
        local kind = type(value)
        if kind == 'string' then
            add(format('s%d:', #value))
            add(value)
        elseif kind == 'number' then
            add(format('%s%.17g;', math_type and math_type(value) or 'number', value))
        elseif not is_object(value) then
            add(tostring(value))
        elseif name_of[value] then
            add(format('k%d:%s', #name_of[value], name_of[value]))
        elseif numbers[value] then
            add(format('r%d;', numbers[value]))
        elseif kind == 'function' or kind == 'table' then
            numbers[value] = count
            if kind == 'function' then put_function(value) else put_table(value, is_reached) end
        else
            is_proved = false
        end
    end

    put(top)
    return is_proved and concat(out) or false, has_functions, reached
end

-- The text of each sync, whether it has functions of the user's, and the numbers of the objects that these reach.
function shared.fingerprints(take)
    local added, numbers, count = additions(), {}, 0
    for number, config in next, shared.config_of do
        local text, has_functions, reached = describe(config, added)
        local ids = {}
        for object in next, reached do
            if not numbers[object] then
                count = count + 1
                numbers[object] = count
            end
            ids[#ids + 1] = numbers[object]
        end
        take(number, text, has_functions, ids)
    end
end
