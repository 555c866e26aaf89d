-- The functions of spec 2.1 that a config calls by name: log, spawn, alarm, readdir, … and `lsyncd.*`.

local core, shared = ...

local engine_of, seconds_of = shared.engine_of, shared.seconds_of

-- ---- log --------------------------------------------------------------------------------------

local function loggable(value)
    local kind = type(value)
    if kind == 'string' or kind == 'number' then return tostring(value) end
    if kind == 'nil' then return '(nil)' end
    if kind == 'boolean' then return '(' .. tostring(value) .. ')' end
    if kind == 'table' then
        local address = tostring(value):match('0x%x+')
        return '(Table: ' .. (address or '?') .. ')'
    end
    if seconds_of[value] then return '(Timestamp: ' .. tostring(value) .. ')' end
    return '(' .. kind:sub(1, 1):upper() .. kind:sub(2) .. ')'
end

function log(category, ...)
    if type(category) ~= 'string' then error('log takes a category, not a ' .. type(category), 2) end
    if not core.shows(category) then return end
    local n, parts = select('#', ...), {...}
    for i = 1, n do parts[i] = loggable(parts[i]) end
    core.log(category, table.concat(parts, '', 1, n))
end

-- ---- processes --------------------------------------------------------------------------------

local function append(args, value, name)
    if value == nil then return end
    if type(value) == 'table' then
        for _, item in ipairs(value) do append(args, item, name) end
    elseif type(value) == 'string' or type(value) == 'number' then
        args[#args + 1] = tostring(value)
    else
        error(name .. ': an argument is a ' .. type(value), 4)
    end
end

-- Tables are spread and nils dropped; '<' and a string in front go to the child's stdin.
local function start(name, agent, binary, ...)
    if type(agent) ~= 'table' then error('spawning with an invalid agent', 4) end
    local engine_agent = engine_of[agent]
    if not engine_agent then error('spawning with an unknown agent', 4) end
    if type(binary) ~= 'string' then
        error('calling ' .. name .. '(agent, binary, ...): binary is not a string', 4)
    end
    local n, given, stdin, first = select('#', ...), {...}, nil, 1
    if given[1] == '<' then
        if type(given[2]) ~= 'string' and type(given[2]) ~= 'number' then
            error(name .. ': the standard input after "<" is a ' .. type(given[2]) .. ', not a string', 4)
        end
        stdin, first = tostring(given[2]), 3
    end
    local args = {}
    for i = first, n do append(args, given[i], name) end
    shared.pin_list(agent, engine_agent)
    local problem = core.spawn(engine_agent, binary, stdin, args)
    if problem then error(problem, 4) end
end

function spawn(...)
    local function go(...) start('spawn', ...) end
    go(...)
end

function spawnShell(agent, command, ...)
    if type(command) ~= 'string' then error('spawnShell: the command is a ' .. type(command) .. ', not a string', 2) end
    local function go(...) start('spawnShell', ...) end
    go(agent, 'sh', '-c', command, 'sh', ...)
end

function terminate(code)
    core.terminate(tonumber(code) or -1)
end

-- os.exit ends the daemon in an orderly way, not by exit(3) in the middle of a callback.
function os.exit(code)
    if code == nil or code == true then code = 0 elseif code == false then code = 1 end
    core.terminate(tonumber(code) or -1)
end

-- ---- time and descriptors ---------------------------------------------------------------------

function alarm(timestamp, func, extra)
    if not seconds_of[timestamp] then error('alarm takes a timestamp, not a ' .. type(timestamp), 2) end
    if type(func) ~= 'function' then error('alarm takes a function, not a ' .. type(func), 2) end
    core.alarm(seconds_of[timestamp], function() func(timestamp, extra) end)
end

function observefd(fd, ready, writey)
    if type(fd) ~= 'number' then error('observefd takes a descriptor, not a ' .. type(fd), 2) end
    core.observe_fd(fd, ready, writey)
end

function nonobservefd(fd)
    if type(fd) ~= 'number' then error('nonobservefd takes a descriptor, not a ' .. type(fd), 2) end
    core.nonobserve_fd(fd)
end

-- ---- small helpers ----------------------------------------------------------------------------

function readdir(path)
    if type(path) ~= 'string' then error('readdir takes a path, not a ' .. type(path), 2) end
    return core.readdir(path)
end

function dump(value, depth)
    depth = depth or 0
    if type(value) ~= 'table' or depth == 3 then return print(tostring(value)) end
    for key, item in pairs(value) do
        io.write(('  '):rep(depth), tostring(key), ' = ')
        if type(item) == 'table' then
            io.write('\n')
            dump(item, depth + 1)
        else
            print(tostring(item))
        end
    end
end

function substitudeCommands(command, data)
    local names = {}
    for name in pairs(data) do names[#names + 1] = name end
    -- the longest name first: ^pathname is not ^path with a rest
    table.sort(names, function(a, b) return #a > #b end)
    local function one(text)
        if type(text) ~= 'string' then return text end
        return (text:gsub('%^([%w_.]+)', function(word)
            for _, name in ipairs(names) do
                if word:sub(1, #name) == name then return tostring(data[name]) .. word:sub(#name + 1) end
            end
        end))
    end
    if type(command) ~= 'table' then return one(command) end
    local result = {}
    for key, item in pairs(command) do result[key] = one(item) end
    return result
end

lsyncd_version = core.version()

lsyncd = {
    log = log, now = now, terminate = terminate, readdir = readdir, dump = dump,
    observe_fd = observefd, nonobserve_fd = nonobservefd,
    realdir = function(path) return core.realdir(path) end,
    exec = function(binary, ...)
        local args = {}
        for i = 1, select('#', ...) do append(args, (select(i, ...)), 'exec') end
        return core.exec(binary, args)
    end,
    kill = function(pid, signal) return core.kill(pid, signal) end,
    get_free_port = function() return core.free_port() end,
    get_file_size = function(path) return core.file_size(path) end,
    get_process_info = function() return core.process_info() end,
    splitQuotedString = function(text) return core.split_quoted(text) end,
    jiffies_from_seconds = function(seconds) return math.floor(seconds * core.ticks_per_second()) end,
    configure = function(command, value) core.configure(command, value) end,
    stackdump = function(message) print(debug.traceback(message)) end,
}
