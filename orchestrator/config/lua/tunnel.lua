-- tunnel{…}: a process that transfers go through, and that is kept alive (spec 4.6).

local core, shared = ...

local number_of = {}  -- what tunnel{…} returned → number of the tunnel

-- Five frames stand between here and the user's file: the key's function, make, checked, tunnel.
local function fail(message) error(message, 6) end

local function kind_of(value) return type(value) == 'string' and '"' .. value .. '"' or 'a ' .. type(value) end

-- A list of words, or a string that is split as a shell splits.
local function words(key, value)
    if type(value) == 'string' then
        local split, problem = core.split_command(value)
        if not split then fail('Parameter "tunnel.' .. key .. '" cannot be split: ' .. problem) end
        value = split
    elseif type(value) ~= 'table' then
        fail('Parameter "tunnel.' .. key .. '" must be a string or a list of strings, not a ' .. type(value) .. '.')
    end
    local result = {}
    for place, word in ipairs(value) do
        if type(word) ~= 'string' and type(word) ~= 'number' then
            fail('Parameter "tunnel.' .. key .. '": word ' .. place .. ' is a ' .. type(word) .. ', not a string.')
        end
        result[place] = tostring(word)
    end
    if #result == 0 then fail('Parameter "tunnel.' .. key .. '" is empty.') end
    return result
end

local function number(least, is_whole)
    local most = is_whole and 1e6 or 1e15
    return function(key, value)
        local result = tonumber(value)
        if not result or result ~= result or result < least or result > most or (is_whole and result ~= math.floor(result)) then
            local what = is_whole and 'a whole number' or 'a number'
            fail('Parameter "tunnel.' .. key .. '" must be ' .. what .. ' >= ' .. least .. ', not ' .. kind_of(value) .. '.')
        end
        return is_whole and math.floor(result) or result
    end
end

local function text(key, value)
    if type(value) ~= 'string' or value == '' then
        fail('Parameter "tunnel.' .. key .. '" must be a string, not a ' .. type(value) .. '.')
    end
    return value
end

local function one_of(...)
    local known = {...}
    return function(key, value)
        for _, name in ipairs(known) do
            if value == name then return value end
        end
        fail('Parameter "tunnel.' .. key .. '" must be "' .. table.concat(known, '" or "') .. '", not ' .. kind_of(value) .. '.')
    end
end

-- Exit codes that mean that the tunnel works: a list of them, or a table like any `exitcodes`.
local function codes(key, value)
    local result = {}
    if type(value) == 'number' then value = {value} end
    if type(value) ~= 'table' then
        fail('Parameter "tunnel.' .. key .. '" must be a list of exit codes, not a ' .. type(value) .. '.')
    end
    for code, verdict in pairs(value) do
        if type(verdict) == 'number' then
            result[#result + 1] = verdict
        elseif type(code) == 'number' and type(verdict) == 'string' then
            if verdict == 'ok' then result[#result + 1] = code end
        else
            fail('Parameter "tunnel.' .. key .. '" must be a list of exit codes.')
        end
    end
    return result
end

-- key → what makes of the user's value the one that counts
local keys = {
    command = words,
    mode = one_of('command', 'pool'),
    parallel = number(1, true),
    retryDelay = number(0),
    readyDelay = number(0),
    checkCommand = words,
    checkExitCodes = codes,
    checkMaxFailed = number(1, true),
    localhost = text,
    name = text,
    distribution = one_of('rr'),
}

local defaults = {
    mode = 'command', parallel = 1, retryDelay = 10, readyDelay = 5, checkExitCodes = {0}, checkMaxFailed = 5,
    localhost = 'localhost', distribution = 'rr',
}

local function has_port(command)
    for _, word in ipairs(command) do
        if word:find('^localport', 1, true) then return true end
    end
    return false
end

local function make(opts)
    local options = {}
    for key, value in pairs(opts) do
        if not keys[key] then error('Parameter "tunnel.' .. tostring(key) .. '" unknown.', 4) end
        options[key] = keys[key](key, value)
    end
    for key, value in pairs(defaults) do
        if options[key] == nil then options[key] = value end
    end
    if not options.command then error('command missing from tunnel.', 4) end
    if options.mode == 'pool' and not has_port(options.command) then
        error('a tunnel in mode "pool" needs ^localport in its command: each of its processes listens on another port.', 4)
    end
    local id = core.next_tunnel()
    if not options.name then options.name = 'Tunnel' .. id end
    if not core.add_tunnel(options) then
        error('there are two tunnels with the name "' .. options.name .. '"; give each its own.', 4)
    end
    number_of[options] = id
    return options
end

local function checked(opts)
    if type(opts) ~= 'table' then error('tunnel{...} takes a table, not a ' .. type(opts), 3) end
    if shared.locked then error('Tunnel can only be created during initialization.', 3) end
    local result = make(opts)
    return result
end

function tunnel(opts)
    local result = checked(opts)
    return result
end

-- The number of the tunnel that a sync names, nil where it names none, or a second value: what is wrong.
function shared.tunnel_of(config)
    if config.tunnel == nil or config.tunnel == false then return nil end
    local id = number_of[config.tunnel]
    if not id then return nil, 'tunnel takes what tunnel{...} returns, not a ' .. type(config.tunnel) end
    return id
end
