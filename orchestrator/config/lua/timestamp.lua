-- Timestamps: seconds of a monotonic clock with an arithmetic of their own (spec 2.1).
-- type() answers 'userdata', as in lsyncd, so user code can tell them from numbers.

local core, shared = ...

local seconds_of = setmetatable({}, {__mode = 'k'})
local meta = {}

-- A closed file is a userdata that is nobody's: Lua itself has no other way to make one.
local function timestamp(seconds)
    local t, problem = io.open('/dev/null')
    if not t then error(problem, 3) end
    t:close()
    debug.setmetatable(t, meta)
    seconds_of[t] = seconds
    return t
end

local function seconds(t, operation)
    return seconds_of[t] or error('attempt to ' .. operation .. ' a timestamp and a ' .. type(t), 3)
end

function meta.__add(a, b)
    if seconds_of[a] and seconds_of[b] then error('Cannot add two timestamps!', 2) end
    if seconds_of[b] then a, b = b, a end
    if type(b) ~= 'number' then error('attempt to add a timestamp and a ' .. type(b), 2) end
    return timestamp(seconds_of[a] + b)
end

function meta.__sub(a, b)
    if not seconds_of[a] then error('attempt to subtract a timestamp from a ' .. type(a), 2) end
    if seconds_of[b] then return seconds_of[a] - seconds_of[b] end
    if type(b) ~= 'number' then error('attempt to subtract a ' .. type(b) .. ' from a timestamp', 2) end
    return timestamp(seconds_of[a] - b)
end

function meta.__lt(a, b) return seconds(a, 'compare') < seconds(b, 'compare') end
function meta.__le(a, b) return seconds(a, 'compare') <= seconds(b, 'compare') end
function meta.__eq(a, b) return seconds_of[a] == seconds_of[b] end

function meta.__index(t, key)
    if key == 'seconds' then return seconds_of[t] end
    error('timestamp does not have field "' .. tostring(key) .. '"', 2)
end

function meta.__newindex() error('a timestamp cannot be changed', 2) end

-- %.14g, as Lua itself prints a number that is not whole: seconds with their fraction.
function meta.__tostring(t) return ('%.14g'):format(seconds_of[t]) end

meta.__metatable = false

shared.timestamp = timestamp
shared.seconds_of = seconds_of

function now()
    return timestamp(core.now())
end
