-- Whether the keys that the core itself reads of a sync's config have values that it can use (spec 2.3).

local _, shared = ...

-- Keys that the core reads itself → the types that it takes. A wrong type is an error when the config is loaded.
local types_of = {
    init = {'function', 'false'},
    full = {'function', 'false'},
    action = {'function', 'false'},
    collect = {'function', 'false'},
    name = {'string', 'number'},
    exclude = {'string', 'table'},
    filter = {'string', 'table'},
    excludeFrom = {'string'},
    filterFrom = {'string'},
    exitcodes = {'table', 'false'},
    onBatchStart = {'function', 'string', 'false'},
    onBatchEnd = {'function', 'string', 'false'},
}
-- lsyncd's own words for a type that will not do
local type_error = {
    exclude = 'type for exclude must be table or string',
    filter = 'type for filter must be table or string',
}
-- Keys whose strings are commands.
local commands = {onBatchStart = true, onBatchEnd = true}
-- Keys whose lists hold nothing but text.
local texts = {'exclude', 'filter'}

-- Keys that are paths, or begin with one.
local paths = {'target', 'excludeFrom', 'filterFrom'}
local path_max = 4096  -- bytes, of which the kernel wants one for itself

local words = {
    ['function'] = 'a function', string = 'a string', table = 'a table', number = 'a number', ['false'] = 'false',
}

local function shown(value)
    if type(value) == 'string' then return '"' .. value .. '"' end
    if type(value) == 'number' or type(value) == 'boolean' then return tostring(value) end
    return 'a ' .. type(value)
end

local function is_one_of(value, types)
    for _, name in ipairs(types) do
        if type(value) == name or (name == 'false' and value == false) then return true end
    end
    return false
end

-- What is wrong with one key; nil: nothing is.
function shared.problem_with(config, key, types)
    local value = config[key]
    if value == nil or is_one_of(value, types) then return nil end
    if type_error[key] then return type_error[key] end
    if commands[key] then return key .. ' must be a function or a string, a command, not a ' .. type(value) end
    local wanted = {}
    for place, name in ipairs(types) do wanted[place] = words[name] end
    return key .. ' must be ' .. table.concat(wanted, ' or ') .. ', not ' .. shown(value)
end

-- What is wrong with any of the keys above.
function shared.problem_in(config)
    for key, types in pairs(types_of) do
        local problem = shared.problem_with(config, key, types)
        if problem then return problem end
    end
    for _, key in ipairs(paths) do
        local path = config[key]
        if type(path) == 'string' and path:find('\0', 1, true) then return key .. ' must not hold a NUL byte' end
        if type(path) == 'string' and #path >= path_max then
            return key .. ' must be shorter than ' .. path_max .. ' bytes'
        end
    end
    for _, key in ipairs(texts) do
        for place, value in pairs(type(config[key]) == 'table' and config[key] or {}) do
            if type(value) ~= 'string' and type(value) ~= 'number' then
                return key .. '[' .. tostring(place) .. '] must be a string, not ' .. shown(value)
            end
        end
    end
end
