-- settings{…}, and the two older spellings `settings = {…}` and `settings.key = value` (spec 2.2).

local core, shared = ...

local values, globals = {}, _G
shared.settings = values

local is_warned_of_obsolete = false

local function obsolete()
    if is_warned_of_obsolete then return end
    is_warned_of_obsolete = true
    core.log('Warn', 'settings = { ... } is obsolete since lsyncd 2.1: write settings { ... }, without the equals sign.')
end

-- Each plugin's settings are one value, wherever they are set.
local function keep(key, value)
    if key ~= 'plugins' or not values.plugins then
        values[key] = value
        return
    end
    local all = {}
    for name, own in pairs(values.plugins) do all[name] = own end
    for name, own in pairs(value) do all[name] = own end
    values.plugins = all
end

local function set(key, value, level)
    key = shared.setting_name(key)
    if not core.is_setting(key) then error('setting "' .. tostring(key) .. '" unknown.', level + 1) end
    local problem = core.setting_problem(key, value)
    if problem then error(problem, level + 1) end
    keep(key, value)
end

local function set_all(from, level)
    for key, value in pairs(from) do
        if type(key) ~= 'number' then
            set(key, value, level + 1)
        elseif type(value) == 'string' then
            set(value, true, level + 1)
        else
            error('setting "' .. tostring(value) .. '" unknown.', level + 1)
        end
    end
end

local function settings_function(arg)
    if type(arg) == 'table' then
        set_all(arg, 2)
    elseif type(arg) == 'string' then
        return values[arg]
    else
        error('settings{...} takes a table, or the name of a setting, not a ' .. type(arg), 2)
    end
end

settings = settings_function

-- `settings.key = value` on a function: Lua asks the metatable that all functions share. For any
-- other function it answers as Lua does without one.
debug.setmetatable(settings_function, {
    __index = function(f, key)
        if f ~= settings_function then error('attempt to index a function value', 2) end
        return values[key]
    end,
    __newindex = function(f, key, value)
        if f ~= settings_function then error('attempt to index a function value', 2) end
        obsolete()
        set(key, value, 2)
    end,
})

-- After `settings = {…}` the global is the user's table: take over what it holds so far. Called
-- before each sync and at the end, since a delay in it counts for the syncs that follow.
function shared.adopt_settings()
    local global = rawget(globals, 'settings')
    if global == settings_function or type(global) ~= 'table' then return end
    obsolete()
    for key, value in pairs(global) do
        if type(key) == 'number' then key, value = value, true end
        key = shared.setting_name(key)
        if core.is_setting(key) then
            local problem = core.setting_problem(key, value)
            -- a table that was assigned has no line of its own
            if problem then core.fail((shared.file and shared.file .. ': ' or '') .. problem) end
            keep(key, value)
        elseif not shared.is_warned_of_unknown then
            shared.is_warned_of_unknown = true
            core.log('Warn', 'setting "' .. tostring(key) .. '" unknown.')
        end
    end
end
