-- How a sync's config is made from the user's table and the tables it names (spec 2.3, steps 1 and 2).

local _, shared = ...

local DEEPEST = 100

-- Whether tables lie in a table more than DEEPEST levels deep, as they do in one that holds itself.
function shared.is_too_deep(top)
    local level = { [top] = true }
    for _ = 0, DEEPEST do
        local below = {}
        for outer in pairs(level) do
            for key, value in pairs(outer) do
                if type(value) == 'table' and key ~= 'tunnel' then below[value] = true end
            end
        end
        if next(below) == nil then return false end
        level = below
    end
    return true
end

-- Copy `from` into `to` where `to` has nothing yet.
-- verbatim: number keys are keys (exit codes), not parents. take: asked of each parent, whether it is to be followed.
local function inherit(to, from, verbatim, take)
    local limit = from._merge
    verbatim = verbatim or from._verbatim
    for key, value in pairs(from) do
        local is_number = type(key) == 'number'
        if key == '_merge' or key == '_verbatim' or (is_number and not verbatim)
            or (type(limit) == 'table' and not limit[key])
        then -- not to be inherited under this key
        elseif type(value) ~= 'table' or key == 'tunnel' then
            if to[key] == nil then to[key] = value end
        elseif to[key] == nil then
            to[key] = {}
            inherit(to[key], value, key == 'exitcodes', take)
        elseif type(to[key]) == 'table' and value._merge ~= false then
            inherit(to[key], value, key == 'exitcodes', take)
        end
    end
    if verbatim then return end
    -- the list part in order, over gaps: { default.nosuch, parent } has a nil in front
    local numbers = {}
    for key in pairs(from) do
        if type(key) == 'number' then numbers[#numbers + 1] = key end
    end
    table.sort(numbers)
    for _, key in ipairs(numbers) do
        local value = from[key]
        if type(value) == 'table' then
            if not take or take(value) then inherit(to, value, nil, take) end
        else
            to[#to + 1] = value
        end
    end
end

shared.inherit = inherit
