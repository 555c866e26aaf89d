-- What a config does to the world while `orchestrator check` or `convert` loads it: noted down, and (unless that is
-- asked for) not done. Handlers are noted down instead of called.

local core, shared = ...

local is_real = core.runs_for_real()
local open, raw_type = io.open, type

local function is_ours(info) return info.what == 'C' or info.short_src:sub(1, 9) == '(lsyncd)/' end

-- Of a file its whole path: short_src ends after 60 characters.
local function file_of(info) return info.source:sub(1, 1) == '@' and info.source:sub(2) or info.short_src end

-- FILE:LINE of the user's code that is at work.
local function place()
    local level, info = 3, debug.getinfo(3, 'Sl')
    while info and (is_ours(info) or info.currentline <= 0) do
        level = level + 1
        info = debug.getinfo(level, 'Sl')
    end
    return info and file_of(info) .. ':' .. info.currentline or '?'
end

local function note(kind, text) core.note(kind, text, place()) end

-- A function of Lua's that is noted down with the text that `shown` makes of its arguments (nil: no note), and
-- does not more than `instead`, where there is that and it is not for real.
local function watch(from, name, kind, shown, instead)
    local original = from[name]
    if not original then return end
    from[name] = function(...)
        local text = shown(...)
        if text then
            note(kind, text)
            if instead and not is_real then return instead(...) end
        end
        return original(...)
    end
end

local function first(value) return raw_type(value) == 'string' and value or nil end
local function named(name) return function(value) return name .. '(' .. (first(value) and '"' .. value .. '"' or '') .. ')' end end
local function yes() return true end

-- ---- programs -----------------------------------------------------------------------------------

watch(os, 'execute', 'run', first, function()
    if _VERSION == 'Lua 5.1' then return 0 end
    return true, 'exit', 0
end)
watch(io, 'popen', 'popen', first)  -- the engine's side of it starts nothing
watch(lsyncd, 'exec', 'run', function(...)
    local words = {}
    for _, word in ipairs{...} do words[#words + 1] = tostring(word) end
    return table.concat(words, ' ')
end, function() return 0 end)
watch(lsyncd, 'kill', 'kill', function(pid) return tostring(pid) end, yes)

-- ---- files --------------------------------------------------------------------------------------

local function changes(mode) return raw_type(mode) == 'string' and mode:find('[wa+]') end

function io.open(path, mode, ...)
    if not first(path) then return open(path, mode, ...) end
    if not changes(mode) then
        note('read', 'io.open("' .. path .. '")')
        return open(path, mode, ...)
    end
    note('write', path)
    if is_real then return open(path, mode, ...) end
    -- what is written goes nowhere; what is there already can be read
    if mode:sub(1, 1) == 'r' then return open(path, 'r') end
    return open('/dev/null', mode)
end

watch(io, 'output', 'write', first, function() return io.stderr end)
watch(io, 'tmpfile', 'write', function() return 'a temporary file' end, function() return open('/dev/null', 'w+') end)
watch(os, 'tmpname', 'write', function() return 'a temporary file' end, function() return '/tmp/lua_XXXXXX' end)
watch(os, 'remove', 'remove', first, yes)
watch(os, 'rename', 'rename', function(from, to)
    return first(from) and first(to) and from .. ' to ' .. to
end, yes)
watch(io, 'lines', 'read', function(path) return first(path) and 'io.lines("' .. path .. '")' end)
watch(io, 'input', 'read', function(path) return first(path) and 'io.input("' .. path .. '")' end)

-- ---- modules in C, of which nobody knows what they do -----------------------------------------------

local function stub(name)
    return setmetatable({}, {
        __index = function(_, key) return stub(name .. '.' .. tostring(key)) end,
        __call = function() note('call', name .. '()') end,
    })
end

local function load_stub(name)
    local find = shared.find_module
    local path = find(name, package.cpath) or find(name:match('^[^.]*'), package.cpath)
    if not path then return '\n\tno module in C ' .. name end
    note('load', 'the module ' .. name .. ', which is written in C (' .. path .. ')')
    return function() return stub(name) end
end

if not is_real then
    local searchers = package.searchers or package.loaders
    searchers[3], searchers[4] = load_stub, nil
    package.loadlib = function(path, name)
        note('load', tostring(path))
        return stub(tostring(name))
    end
    if jit then
        package.loaded.ffi = nil
        package.preload.ffi = function()
            note('load', 'the module ffi')
            return stub('ffi')
        end
    end
end

-- ---- what may be another thing tomorrow, or on another machine ----------------------------------------

watch(os, 'getenv', 'read', named('os.getenv'))
for _, name in ipairs{'date', 'time', 'clock'} do watch(os, name, 'read', named('os.' .. name)) end
watch(math, 'random', 'read', function() return 'math.random()' end)
watch(_G, 'readdir', 'read', named('readdir'))
for _, name in ipairs{'readdir', 'realdir', 'get_free_port', 'get_file_size', 'get_process_info'} do
    watch(lsyncd, name, 'read', named('lsyncd.' .. name))
end

-- ---- what is to happen later ------------------------------------------------------------------------

watch(_G, 'alarm', 'later', function() return 'alarm()' end)
local function nothing() end
for _, name in ipairs{'observefd', 'nonobservefd'} do
    watch(_G, name, 'later', function() return name .. '()' end, nothing)
end
for _, name in ipairs{'observe_fd', 'nonobserve_fd'} do
    watch(lsyncd, name, 'later', function() return 'lsyncd.' .. name .. '()' end, nothing)
end

-- ---- handlers -----------------------------------------------------------------------------------

local function drop(inlet, event)
    if event and event.status == 'wait' then inlet.discardEvent(event) end
end

-- What stands for a function of the user's: it takes what the function was to take, and that is all.
local instead = {
    init = function(event) drop(event.inlet, event) end,
    action = function(inlet)
        local event = inlet.getEvent()
        while event do
            drop(inlet, event)
            event = inlet.getEvent()
        end
    end,
}
instead.full = instead.init

local handlers = {
    'action', 'collect', 'full', 'init', 'onAttrib', 'onBatchEnd', 'onBatchStart', 'onCreate', 'onDelete', 'onFull',
    'onModify', 'onMove', 'onStartup',
}

-- Where a function of the user's stands; nil for one of ours, and for what is no function.
local function definition(value)
    if raw_type(value) ~= 'function' then return nil end
    local info = debug.getinfo(value, 'S')
    if info.short_src:sub(1, 9) == '(lsyncd)/' then return nil end
    return file_of(info) .. ':' .. info.linedefined
end

function shared.replace_handlers()
    if is_real then return end
    for _, config in pairs(shared.config_of) do
        for _, name in ipairs(handlers) do
            local where = definition(config[name])
            if where then
                config[name] = function(...)
                    core.note_call(name, where)
                    if instead[name] then instead[name](...) end
                end
            end
        end
    end
end

-- ---- what a sync has become -------------------------------------------------------------------------

-- Functions of ours by name: two Lua states have each their own.
local function names_of_functions()
    local name_of = {}
    local function add(prefix, from)
        for key, value in pairs(from) do
            if raw_type(value) == 'function' and not definition(value) then name_of[value] = prefix .. key end
        end
    end
    for key, value in pairs(default) do
        if raw_type(value) == 'table' and shared.built_in[value] then add('default.' .. key .. '.', value) end
    end
    add('default.', default)
    return name_of
end

-- The whole config of a sync, with a word for each function and the name of its tunnel: plain values.
function shared.effective_config(number)
    local name_of = names_of_functions()
    local function plain(value, key)
        local kind = raw_type(value)
        if kind == 'function' then return 'function ' .. (name_of[value] or definition(value) or '?') end
        if kind ~= 'table' then return value end
        if key == 'tunnel' then return value.name end
        local copy = {}
        for k, v in pairs(value) do copy[k] = plain(v, k) end
        return copy
    end
    return plain(shared.config_of[number])
end
