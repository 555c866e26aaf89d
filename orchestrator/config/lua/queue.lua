-- Queue, the small class that lsyncd offers to user code (spec 2.1). Positions are stable: a removed
-- element leaves a hole in the middle, the others stay where they are. Removing at either end closes up.
-- `q.first` and `q.last` are positions, as in lsyncd 2.3; `q:first()` and `q:last()` what stands there, as in 2.2.

local methods = {}

-- Elements live in `items[first … last]`, apart from the object, so that q[pos] is never taken for a method.
local state_of = setmetatable({}, {__mode = 'k'})

local function state(queue)
    return state_of[queue] or error('not a Queue', 3)
end

function methods.push(queue, value)
    local s = state(queue)
    s.last = s.last + 1
    s.items[s.last] = value
    s.size = s.size + 1
    return s.last
end

function methods.inject(queue, value)
    local s = state(queue)
    s.first = s.first - 1
    s.items[s.first] = value
    s.size = s.size + 1
    return s.first
end

function methods.size(queue)
    return state(queue).size
end

function methods.remove(queue, pos)
    local s = state(queue)
    local value = s.items[pos]
    if value == nil then return nil end
    s.items[pos] = nil
    s.size = s.size - 1
    while s.first <= s.last and s.items[s.first] == nil do s.first = s.first + 1 end
    while s.last >= s.first and s.items[s.last] == nil do s.last = s.last - 1 end
    if s.size == 0 then s.first, s.last = 1, 0 end
    return value
end

function methods.replace(queue, pos, value)
    local s = state(queue)
    if s.items[pos] == nil then error('there is no element at ' .. tostring(pos), 2) end
    s.items[pos] = value
end

local function walk(queue, from, to, step)
    local items, pos = state(queue).items, from
    return function()
        while pos ~= to + step do
            local at = pos
            pos = pos + step
            if items[at] ~= nil then return at, items[at] end
        end
    end
end

function methods.qpairs(queue)
    local s = state(queue)
    return walk(queue, s.first, s.last, 1)
end

function methods.qpairsReverse(queue)
    local s = state(queue)
    return walk(queue, s.last, s.first, -1)
end

local meta = {
    __index = function(queue, key)
        local s = state(queue)
        if type(key) == 'number' then return s.items[key] end
        if key == 'first' or key == 'last' then return s[key] end
        return methods[key]
    end,
    __newindex = function() error('Queues revolve around push, inject, replace and remove', 2) end,
}

-- What makes `q:first()` of `q.first`: a number that is called with a queue gives the element at that position.
debug.setmetatable(0, {
    __call = function(position, queue)
        local s = state_of[queue]
        if not s then error('attempt to call a number value', 2) end
        return s.items[position]
    end,
})

Queue = {
    new = function()
        local queue = setmetatable({}, meta)
        state_of[queue] = {items = {}, first = 1, last = 0, size = 0}
        return queue
    end,
}
