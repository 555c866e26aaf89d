-- With -strict: owner and mode of each file that is run as a part of the config are checked like the config's own,
-- before it is opened.

local core, shared = ...

local function watch(from, name)
    local original = from[name]
    from[name] = function(path, ...)
        if type(path) == 'string' then core.look_at_rights(path) end
        return original(path, ...)
    end
end

watch(_G, 'dofile')
watch(_G, 'loadfile')
watch(package, 'loadlib')

-- 2: modules in Lua, 3: in C, 4: in C, within the library of what stands before the first dot
local searchers = package.searchers or package.loaders
for place, where in pairs{[2] = 'path', [3] = 'cpath', [4] = 'cpath'} do
    local search = searchers[place]
    searchers[place] = function(name)
        local path = shared.find_module(place == 4 and name:match('^[^.]*') or name, package[where])
        if path then core.look_at_rights(path) end
        return search(name)
    end
end
