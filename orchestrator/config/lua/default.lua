-- `default`: what every sync starts from, and the common functions that the built-in actions and
-- users' own build on (spec 2.6, 3.7, 4). The actions themselves are added by their plugins.

local core, shared = ...

local function any(...)
    local gauge = {}
    for _, key in ipairs{...} do gauge[key] = true end
    return gauge
end

default = {
    delay = nil,
    maxDelays = 1000,
    maxProcesses = 1,
    statusInterval = 10,
    checkgauge = any(
        'action', 'batchSizeLimit', 'checkgauge', 'collect', 'crontab', 'delay', 'exclude', 'excludeFrom',
        'exitcodes', 'filter', 'filterFrom', 'full', 'init', 'maxDelays', 'maxProcesses', 'monitor', 'name',
        'onAttrib', 'onBatchEnd', 'onBatchStart', 'onCreate', 'onDelete', 'onFull', 'onModify', 'onMove',
        'onStartup', 'prepare', 'resume', 'settle', 'source', 'staleAfter', 'target', 'targetMarker', 'tunnel',
        'verify', '_source'
    ),
    rsyncExitCodes = core.exit_codes('rsync'),
    sshExitCodes = core.exit_codes('ssh'),
}
default.rsyncExitCodes._verbatim = true
default.sshExitCodes._verbatim = true

-- How what stands in a table without a name, at a place where that means nothing, is meant to be written.
local function advice(value, gauge, prefix)
    if type(value) ~= 'string' then return 'Nothing may stand here without a name, but tables to inherit from.' end
    if gauge._extra then return prefix:sub(1, -2) .. ' = { _extra = { "' .. value .. '" } } is the way to hand it over.' end
    local name = value:match('^default%.([%w_]+)$') or value
    if rawget(default, name) ~= nil then return 'Write default.' .. name .. ', without quotes.' end
    return '"' .. value .. '" has no name: write NAME = "' .. value .. '".'
end

local function check(config, gauge, prefix, level)
    for key, value in pairs(config) do
        local name = prefix .. tostring(key)
        local known = gauge[key]
        if not known and type(key) == 'number' then
            error('Parameter "' .. name .. '" unknown. ' .. advice(value, gauge, prefix), level)
        elseif not known and prefix == '' and shared.gone[key] then
            error('Parameter "' .. name .. '" unknown. ' .. shared.gone[key], level)
        elseif not known then
            error('Parameter "' .. name .. '" unknown. ( if this is not a typo add it to checkgauge )', level)
        elseif type(known) == 'table' then
            if type(value) ~= 'table' then error('Parameter "' .. name .. '" must be a table.', level) end
            check(value, known, name .. '.', level + 1)
        end
    end
end

function default.prepare(config, level)
    local gauge = config.checkgauge
    if not gauge then return end
    if type(gauge) ~= 'table' then
        error('checkgauge must be a table, or false for no check, not a ' .. type(gauge), level or 4)
    end
    check(config, gauge, '', (level or 4) + 1)
    local _ = nil -- not a tail call: error levels count this frame
end

-- A field of an event as the engine has it. A table of the user's own may stand for an event, or an inlet.
local function read(event, field)
    if shared.engine_of[event] then return shared.read(event, field) end
    return event[field]
end

local function functions_of(inlet) return shared.functions_of[inlet] or inlet end

function default.action(inlet)
    local functions = functions_of(inlet)
    local event, event2 = functions.getEvent()
    if event == nil then return end
    local config, etype = functions.getConfig(), read(event, 'etype')
    local handler = config['on' .. etype]
    -- events were lost, and there is no handler for that: the startup finds the changes that they were about
    if etype == 'Full' and not handler then handler = config.onStartup end
    if type(handler) == 'function' then handler(event, event2) end
    if read(event, 'status') == 'wait' then functions.discardEvent(event) end
end

function default.init(event)
    local handler = read(event, 'config').onStartup
    if type(handler) == 'function' then handler(event) end
    if read(event, 'status') == 'wait' then functions_of(read(event, 'inlet')).discardEvent(event) end
end

local function check_exit_code(value)
    if type(value) ~= 'number' then error('collect takes an exit code, not a ' .. type(value), 3) end
    if value % 1 ~= 0 then error('collect takes an exit code, not ' .. value, 3) end  -- inf % 1 is nan
end

function default.collect(agent, exitcode)
    local engine_agent = type(agent) == 'table' and shared.engine_of[agent]
    if not engine_agent then error('collect takes an event or an event list, not a ' .. type(agent), 2) end
    check_exit_code(exitcode)
    return core.default_collect(engine_agent, exitcode)
end

-- Whether functions of the user's own see this config, and what else he may have put there.
local function has_own_functions(config, action)
    for _, name in ipairs{'action', 'init', 'full', 'collect', 'prepare'} do
        if config[name] and config[name] ~= action[name] and config[name] ~= default[name] then return true end
    end
    return type(config.onBatchStart) == 'function' or type(config.onBatchEnd) == 'function'
end

-- ---- actions of plugins -----------------------------------------------------------------------

-- kind of function → function of a plugin's → the name of its action
local plugin_of = {action = {}, init = {}, full = {}, collect = {[default.collect] = true}}

-- Whose the functions of a sync's config are: what is a plugin's own, the engine calls without Lua. Asked each time, as
-- a user's code may put another one into its place at any moment. Nothing in here can fail.
local rawget = rawget
function shared.plugin_of(config)
    return function(kind)
        if kind == 'collect' and shared.has_marks() then return nil end
        local func = rawget(config, kind)
        return func and plugin_of[kind][func] or nil
    end
end

-- `functions` are of the engine; what users see are functions of their own, one for each.
-- gauge: the keys of the action's options.
function shared.add_action(name, values, gauge, functions)
    local action = values
    -- an action that transfers by itself has no use for handlers: a typo or a misunderstanding
    for _, handler in ipairs{'onCreate', 'onDelete', 'onModify', 'onMove', 'onStartup'} do
        if gauge[handler] == nil then gauge[handler] = values[handler] ~= nil end
    end
    if gauge.target == nil then gauge.target = false end
    if type(gauge.rsync) == 'table' then gauge.rsyncOps, gauge.rsyncOpts = true, true end
    action.checkgauge = gauge

    function action.prepare(config, level)
        level = level or 4
        default.prepare(config, level + 1)
        local problem = values.rsync and shared.modernize(config, values.rsync, has_own_functions(config, action))
            or functions.prepare(config)
        if problem then error(problem, level) end
    end

    function action.action(inlet)
        local number = shared.number_of[inlet]
        if not number then error('default.' .. name .. '.action takes an inlet, not a ' .. type(inlet), 2) end
        functions.action(number)
    end

    local function run(method, event)
        if type(event) ~= 'table' or not shared.engine_of[event] then
            error('default.' .. name .. '.' .. method .. ' takes an event, not a ' .. type(event), 3)
        end
        functions[method](shared.engine_of[event])
    end
    function action.init(event) run('init', event) end
    function action.full(event) run('full', event) end

    if functions.collect then
        function action.collect(agent, exitcode)
            local engine_agent = type(agent) == 'table' and shared.engine_of[agent]
            if not engine_agent then error('collect takes an event or an event list, not a ' .. type(agent), 2) end
            check_exit_code(exitcode)
            return functions.collect(engine_agent, exitcode)
        end
    end
    default[name] = action
    for kind, owners in pairs(plugin_of) do
        if action[kind] and functions[kind] then owners[action[kind]] = name end
    end
    shared.name_of_action[action.action] = name
    shared.name_of_init[action.init] = name
    shared.built_in[action] = name
    shared.fixed[action.prepare] = {maxProcesses = values.maxProcesses ~= nil}
end

-- The last name that was looked for and not found: `default.rsnc` is nil, so the sync it stands in never hears of it.
setmetatable(default, {
    __index = function(_, name)
        if type(name) == 'string' and name ~= 'delay' and name:sub(1, 1) ~= '_' then shared.missed = name end
    end,
    __metatable = false,
})

-- Nothing of a config that has nothing but default's own functions and no handler can ever act.
function shared.can_act(config)
    for _, name in ipairs{'action', 'init', 'collect', 'prepare'} do
        if config[name] ~= default[name] then return true end
    end
    for _, handler in ipairs{'onAttrib', 'onCreate', 'onDelete', 'onFull', 'onModify', 'onMove', 'onStartup'} do
        if config[handler] ~= nil then return true end
    end
    return false
end

-- ---- what the engine calls --------------------------------------------------------------------

local calls = {}
shared.calls = calls

-- All that a spawn on a list brings with it is over.
function calls.over(key)
    shared.unpin_list(key)
end

-- Init goes to config.init. Left waiting with a Blanket event of its own running, it was a config of
-- lsyncd 2.0; the engine sorts that out (spec 2.6).
function calls.init(number, event, key)
    shared.config_of[number].init(shared.event_for(event, key))
end

-- Whether the startup does anything: `default.init` alone does not.
function calls.has_startup(number)
    local config = shared.config_of[number]
    return config.init ~= default.init or config.onStartup ~= nil
end

function calls.full(number, event, key)
    local config = shared.config_of[number]
    if config.full then
        config.full(shared.event_for(event, key))
    else
        config.action(shared.inlet_of[number])
    end
end

function calls.action(number)
    shared.config_of[number].action(shared.inlet_of[number])
end

function calls.collect(number, agent, key, exitcode)
    local collect = shared.config_of[number].collect
    local verdict = collect and collect(shared.agent_for(agent, key), exitcode)
    if verdict ~= 'again' then shared.unpin(agent) end
    return verdict
end

function calls.batch_start(number, paths, agent, key)
    return shared.config_of[number].onBatchStart(paths, shared.agent_for(agent, key))
end

function calls.batch_end(number, ...)
    shared.config_of[number].onBatchEnd(...)
end

function calls.alarm(func)
    func()
end

function calls.ready(func, fd)
    func(fd)
end
