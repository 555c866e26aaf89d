-- Events, event lists and inlets as Lua sees them: tables, with the engine's objects kept apart from
-- them, so that nothing of the engine can be reached (spec 2.4, 2.5).

local core, shared = ...

local next = next

local engine_of = setmetatable({}, {__mode = 'k'})     -- event or list → the engine's object
local event_by_key = setmetatable({}, {__mode = 'v'})  -- two requests for a delay give the same event
local inlet_of, config_of = {}, {}                     -- by number of the sync
local number_of = {}                                   -- inlet → number
local functions_of = {}                                -- inlet → its functions as we made them
shared.engine_of, shared.inlet_of, shared.config_of = engine_of, inlet_of, config_of
shared.number_of, shared.functions_of = number_of, functions_of

local event_meta, list_meta, inlet_meta = {}, {}, {}

-- What users assign to an event, a list or an inlet is theirs: they find it there again as long as it lives, also under
-- a name that has a meaning. Our own code never asks the object, but `shared.read` and `shared.functions_of`.

-- ---- events -----------------------------------------------------------------------------------

local function event_for(engine_event, key)
    if engine_event == nil then return nil end
    local event = event_by_key[key]
    if not event then
        event = setmetatable({}, event_meta)
        engine_of[event] = engine_event
        event_by_key[key] = event
    end
    return event
end
shared.event_for = event_for

-- A field as the engine has it, whatever the user has made of it.
local function read(event, field)
    local engine_event = engine_of[event]
    if field == 'config' then return config_of[core.sync_of(engine_event)] end
    local inlet = inlet_of[core.sync_of(engine_event)]
    if field == 'inlet' then return inlet end
    local known, value = core.event_field(engine_event, field)
    if known then return value end
    -- lsyncd 2.0 called init with the inlet: the Init event answers for it
    if core.is_init(engine_event) and rawget(inlet, field) then return rawget(inlet, field) end
    error('event does not have field "' .. tostring(field) .. '"', 3)
end
shared.read = read

function event_meta.__index(event, field)
    local value = read(event, field)
    return value
end

-- Users mark events of their own (`event.isPostcmd = true`): such an event lives as long as its delay.
local pinned = {}

function event_meta.__newindex(event, field, value)
    pinned[core.key_of(engine_of[event])] = event
    rawset(event, field, value)
end

-- Whether there is any such event.
function shared.has_marks()
    return next(pinned) ~= nil
end

function shared.unpin(engine_agent)
    if next(pinned) == nil then return end
    for _, key in ipairs(core.keys_of(engine_agent)) do pinned[key] = nil end
end

event_meta.__metatable = false

-- ---- event lists ------------------------------------------------------------------------------

local function mutated(result, value, position)
    if value == nil then return end
    if type(value) ~= 'string' then
        error('getPaths: the function returned a ' .. type(value) .. ' as its ' .. position .. ' value, not a path', 3)
    end
    result[#result + 1] = value
end

local list_functions
list_functions = {
    getPaths = function(list)
        return function(mutator)
            local etypes, paths, paths2 = core.list_paths(engine_of[list])
            local result = {}
            for i = 1, #paths do
                local path2 = paths2[i] or nil
                if mutator then
                    local first, second = mutator(etypes[i], paths[i], path2)
                    mutated(result, first, 'first')
                    mutated(result, second, 'second')
                else
                    result[#result + 1] = paths[i]
                    result[#result + 1] = path2
                end
            end
            return result
        end
    end,
    getSourcePaths = function(list)
        return function(delimiter)
            local source = config_of[core.sync_of(engine_of[list])].source
            local paths = list_functions.getPaths(list)()
            for i, path in ipairs(paths) do paths[i] = source .. path:sub(2) end
            return delimiter and table.concat(paths, delimiter) or paths
        end
    end,
    size = function(list) return function() return core.list_size(engine_of[list]) end end,
    getList = function(list)
        return function()
            local result = {}
            for i = 1, core.list_size(engine_of[list]) do
                result[i] = event_for(core.list_event(engine_of[list], i))
            end
            return result
        end
    end,
}

function list_meta.__index(list, name)
    if name == 'isList' then return true end
    if name == 'config' then return config_of[core.sync_of(engine_of[list])] end
    if name == 'inlet' then return inlet_of[core.sync_of(engine_of[list])] end
    local maker = list_functions[name]
    if not maker then error('event list does not have function "' .. tostring(name) .. '"', 2) end
    return maker(list)
end

list_meta.__metatable = false

-- Lists that have been spawned on, by their keys: until all that comes of it is over, the user's list stays the same one.
local spawned = {}

local function list_for(engine_list)
    local list = setmetatable({}, list_meta)
    engine_of[list] = engine_list
    return list
end

function shared.pin_list(list, engine_list)
    if core.is_list(engine_list) then spawned[core.key_of(engine_list)] = list end
end

function shared.unpin_list(key)
    spawned[key] = nil
end

-- What collect is called with.
function shared.agent_for(engine_agent, key)
    if core.is_list(engine_agent) then return spawned[key] or list_for(engine_agent) end
    return event_for(engine_agent, key)
end

-- ---- inlets -----------------------------------------------------------------------------------

local function check_event(event, name)
    if type(event) ~= 'table' or not engine_of[event] then
        error(name .. ' takes an event, not a ' .. type(event), 3)
    end
    return engine_of[event]
end

local function check_string(value, name)
    if type(value) ~= 'string' then error(name .. ' takes a string, not a ' .. type(value), 3) end
    return value
end

-- The inlet of sync `number`. The sync itself may not be made yet: its config's prepare sees the inlet.
function shared.make_inlet(number, config)
    local inlet = {}
    inlet_of[number], config_of[number] = inlet, config

    function inlet.getEvent()
        local one, key, two, key2 = core.get_event(number)
        return event_for(one, key), event_for(two, key2)
    end
    function inlet.getEvents(test)
        if test ~= nil and type(test) ~= 'function' then
            error('getEvents takes a function, not a ' .. type(test), 2)
        end
        local ask = test and function(event, key) return test(event_for(event, key)) end
        return list_for(core.get_events(number, ask))
    end
    function inlet.discardEvent(event)
        local engine_event = check_event(event, 'discardEvent')
        core.discard(number, engine_event)
        shared.unpin(engine_event)
    end
    function inlet.getConfig() return config end
    function inlet.addExclude(pattern) core.add_exclude(number, check_string(pattern, 'addExclude')) end
    function inlet.rmExclude(pattern) core.remove_exclude(number, check_string(pattern, 'rmExclude')) end
    -- lsyncd 2.3 has both appendFilter('+ p') and appendFilter('+', 'p')
    function inlet.appendFilter(rule, pattern)
        rule = check_string(rule, 'appendFilter')
        if pattern ~= nil then rule = rule .. ' ' .. check_string(pattern, 'appendFilter') end
        core.append_filter(number, rule)
    end
    function inlet.getExcludes() return core.excludes(number) end
    function inlet.getFilters() return core.filters(number) end
    function inlet.hasFilters() return core.has_filters(number) end
    function inlet.createBlanketEvent() return event_for(core.blanket_event(number)) end
    function inlet.createFullEvent(path) return event_for(core.full_event(number, path)) end
    function inlet.getSync()
        return {config = config, inlet = inlet, source = config.source, name = core.sync_name(number)}
    end
    function inlet.getSubstitutionData(event, data)
        data = data or {}
        for name, value in pairs(core.substitutions(number, check_event(event, 'getSubstitutionData'))) do
            data[name] = value
        end
        return data
    end
    number_of[inlet] = number
    local functions = {}
    for name, func in pairs(inlet) do functions[name] = func end
    functions_of[inlet] = functions
    return setmetatable(inlet, inlet_meta)
end

function inlet_meta.__index(_, name)
    error('inlet does not have function "' .. tostring(name) .. '"', 2)
end
inlet_meta.__metatable = false
