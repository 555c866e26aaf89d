-- Keys of lsyncd 2.0, replaced by their modern names (spec 2.3), with one warning each.

local core, shared = ...

local is_warned = {}

-- Once for each.
local function tell(old, modern)
    if is_warned[old] then return end
    is_warned[old] = true
    core.log('Warn', old .. ' is obsolete since lsyncd 2.1: write ' .. modern)
end

-- setting of lsyncd 2.0 → its name today
local renamed = {statusIntervall = 'statusInterval'}

function shared.setting_name(key)
    if not renamed[key] then return key end
    tell(key, renamed[key] .. '.')
    return renamed[key]
end

local leave_out = 'Since lsyncd 2.1 changes of one path are combined without it: leave it out.'
-- Keys that are gone for good → what to do instead.
shared.gone = {collapse = leave_out, collapseTable = leave_out}

local function words(key, value)
    if type(value) == 'string' then
        local split, problem = core.split_command(value)
        if not split then return nil, key .. ' cannot be split: ' .. problem end
        return split
    end
    if type(value) ~= 'table' then return nil, key .. ' must be a string or a list of strings, not a ' .. type(value) end
    local result = {}
    for place, word in ipairs(value) do
        if type(word) ~= 'string' then return nil, key .. '[' .. place .. '] must be a string, not a ' .. type(word) end
        result[place] = word
    end
    return result
end

-- rsyncOps and rsyncOpts stood for all options of rsync but those that lsyncd adds by itself: rsync = { _extra = … } with
-- nothing else in it. Gives what is wrong, or nil. defaults: what the action has in rsync = { … }; without it the config
-- is only what the user himself wrote, and nothing is said. keeps: the old keys stay, since functions of the user's own
-- may read them.
function shared.modernize(config, defaults, keeps)
    local key = config.rsyncOps ~= nil and 'rsyncOps' or 'rsyncOpts'
    if config[key] == nil then return nil end
    local extra, problem = words(key, config[key])
    if not extra then return problem end
    local table_of_rsync = type(config.rsync) == 'table' and config.rsync or {}
    if defaults then
        for name, value in pairs(table_of_rsync) do
            if name ~= 'binary' and value ~= defaults[name] then
                return key .. ' and rsync = { ' .. tostring(name) .. ' = … } exclude each other: write all of it in rsync.'
            end
        end
        local quoted = {}
        for place, word in ipairs(extra) do quoted[place] = '"' .. word .. '"' end
        tell(key, 'rsync = { links = false, times = false, protect_args = false, _extra = { '
            .. table.concat(quoted, ', ') .. ' } }')
    end
    if not keeps then config.rsyncOps, config.rsyncOpts = nil, nil end
    config.rsync = {
        binary = table_of_rsync.binary, links = false, times = false, protect_args = false, _extra = extra,
    }
end
