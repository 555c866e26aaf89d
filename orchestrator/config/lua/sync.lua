-- sync{…}: from the user's table to a running sync (spec 2.3).

local core, shared = ...

local inherit, globals_of_user = shared.inherit, _G

-- prepare function of a built-in action → keys that settings do not override. lsyncd applies
-- settings.maxProcesses, the total over all syncs, to each sync too; default.rsyncssh then refuses to start.
shared.fixed = {}
-- action function of a plugin → the action's name
shared.name_of_action = {}
-- likewise of its init function
shared.name_of_init = {}
-- action tables of plugins
shared.built_in = {}

-- number of a sync → the table that the user gave, and FILE:LINE where
shared.opts_of, shared.place_of = {}, {}

-- What is the user's own of a sync, parents included, and the name of the plugin's action that it builds on.
function shared.own_config(number)
    local own, action = {}, nil
    inherit(own, shared.opts_of[number], nil, function(parent)
        action = action or shared.built_in[parent]
        return not shared.built_in[parent]
    end)
    shared.modernize(own)
    return own, action or false
end

-- Exit codes that the user's own tables map to die, as keys: tables of plugins do not count.
local function own_die_codes(from, found)
    if shared.built_in[from] then return found end
    for code, verdict in pairs(type(from.exitcodes) == 'table' and from.exitcodes or {}) do
        if verdict == 'die' and from.exitcodes ~= default.rsyncExitCodes and from.exitcodes ~= default.sshExitCodes then
            found[code] = true
        end
    end
    for key, parent in pairs(from) do
        if type(key) == 'number' and type(parent) == 'table' then own_die_codes(parent, found) end
    end
    return found
end

-- What of `default` itself every sync inherits.
local from_default = {
    action = true, checkgauge = true, collect = true, delay = true, init = true,
    maxDelays = true, maxProcesses = true, prepare = true,
}

-- The first value of a key, in the order of inheritance, that says more than yes or no: `init = true` turns on again
-- what an inherited `init = false` has turned off.
local function first_but_boolean(from, key)
    if from[key] ~= nil and type(from[key]) ~= 'boolean' then return from[key] end
    for number = 1, table.maxn(from) do
        local parent = from[number]
        local limit = type(parent) == 'table' and parent._merge
        if type(parent) == 'table' and (type(limit) ~= 'table' or limit[key]) then
            local value = first_but_boolean(parent, key)
            if value ~= nil then return value end
        end
    end
end

local function make_config(opts)
    local config = {}
    inherit(config, opts)
    if config.init == true then config.init = first_but_boolean(opts, 'init') end
    local inherited = {_merge = from_default}
    for key in pairs(from_default) do inherited[key] = default[key] end
    inherit(config, inherited)
    for _, key in ipairs{'delay', 'maxDelays', 'maxProcesses'} do
        local value = core.command_line(key)
        if value == nil then value = shared.settings[key] end
        if value ~= nil and not (shared.fixed[config.prepare] or {})[key] then config[key] = value end
    end
    return config
end

-- FILE:LINE of the user's sync call: `level` counts as in error(). Once as Lua writes it, who leaves out the front of
-- a long path, and once with all of it.
local function place(level)
    if shared.place then return shared.place, shared.place end  -- of a TOML file or an option
    local info = debug.getinfo(level + 1, 'Sl')
    if not info then return '?:0', '?:0' end
    local path = info.source:sub(1, 1) == '@' and info.source:sub(2) or info.short_src
    return info.short_src .. ':' .. info.currentline, path .. ':' .. info.currentline
end

local has_handler = {'onAttrib', 'onCreate', 'onDelete', 'onFull', 'onModify', 'onMove', 'onStartup'}

-- Two frames stand between prepare and the user's file, as in lsyncd: configs raise errors at level 4.
local function add(opts)
    local where, whole_place = place(3)
    if type(opts) ~= 'table' then error('sync{...} takes a table, not a ' .. type(opts), 3) end
    if shared.is_too_deep(opts) then
        error('tables are nested more than 100 levels deep here, or a table holds itself.', 3)
    end
    if shared.locked then error('Sync can only be created during initialization.', 3) end
    shared.adopt_settings()
    local number = core.next_sync()
    shared.opts_of[number], shared.place_of[number] = opts, whole_place
    local config = make_config(opts)
    local inlet = shared.make_inlet(number, config)

    local missed = shared.missed
    shared.missed = nil
    if missed and not shared.can_act(config) then core.fail(where .. ': ' .. core.no_action(missed)) end
    local problem = shared.problem_with(config, 'prepare', {'function', 'false'})
    if problem then error(problem, 3) end
    if config.prepare then
        config.prepare(config, 4)
    end

    local source = config.source
    if source == nil then core.fail(where .. ': source missing from sync.') end
    if type(source) ~= 'string' then error('source must be a string, not a ' .. type(source), 3) end
    config._source = source
    local insist = core.command_line('insist')
    if insist == nil then insist = shared.settings.insist end
    config.source = core.real_source(source, where, insist and insist ~= 'false')

    problem = shared.problem_in(config)
    if problem then error(problem, 3) end

    local acts = config.action
    for _, name in ipairs(has_handler) do acts = acts or config[name] ~= nil end
    if not acts then core.fail(where .. ': no actions specified.') end

    local monitor = config.monitor or shared.settings.monitor
    if not core.has_monitor(monitor) then
        core.fail(where .. ': event monitor "' .. tostring(monitor) .. '" unknown.')
    end

    for _, key in ipairs{'delay', 'maxDelays', 'maxProcesses', 'settle', 'startupProcesses'} do
        if config[key] ~= nil then
            config[key], problem = core.number(key, config[key])
            if problem then error(problem, 3) end
        end
    end
    if config.staleAfter ~= nil and type(config.staleAfter) ~= 'boolean' then
        config.staleAfter, problem = core.number('staleAfter', config.staleAfter)
        if problem then error(problem, 3) end
    end
    local tunnel
    tunnel, problem = shared.tunnel_of(config)
    if problem then error(problem, 3) end
    local action = shared.name_of_action[config.action] or false
    local writer = action or shared.name_of_init[config.init] or false
    core.add_sync(where, number, config, action, writer, own_die_codes(opts, {}), tunnel)
    return inlet
end

function sync(opts)
    local inlet = add(opts)
    return inlet
end

-- Layer 3 (spec 2.7): once all is loaded, every handler that is a string becomes a function.
function shared.translate_layer3()
    for _, config in pairs(shared.config_of) do
        for _, name in ipairs{'onBatchStart', 'onBatchEnd'} do
            if type(config[name]) == 'string' then core.show_batch_command(name, config[name]) end
        end
        for _, name in ipairs(has_handler) do
            if type(config[name]) == 'string' then
                local id = core.layer3(config[name], name)
                config[name] = function(event, event2)
                    local engine_of = shared.engine_of
                    local problem = core.spawn_layer3(id, engine_of[event], event2 and engine_of[event2])
                    if problem then error(problem, 2) end
                end
            end
        end
    end
end

-- From now on globals are fixed (spec 2.8).
function shared.lock_globals()
    shared.locked = true
    local function is_free(name) return type(name) == 'string' and (name == '_' or name:sub(1, 2) == '__') end
    setmetatable(globals_of_user, {
        __index = function(_, name)
            if is_free(name) then return nil end
            error('Access of non-existing global "' .. tostring(name) .. '"', 2)
        end,
        __newindex = function(globals, name, value)
            if is_free(name) then return rawset(globals, name, value) end
            error('Lsyncd does not allow GLOBALS to be created on the fly. Declare "'
                .. tostring(name) .. '" local or declare global on load.', 2)
        end,
    })
end
