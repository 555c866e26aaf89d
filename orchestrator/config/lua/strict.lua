-- With -strict: whatever is run as a part of the config is looked at like the config itself, before it is opened.

local core = ...

local open = io.open

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

-- The file that a searcher of require would take.
local function find(name, templates)
    for template in templates:gmatch('[^;]+') do
        local path = template:gsub('%?', (name:gsub('%.', '/'):gsub('%%', '%%%%')))
        local file = open(path)
        if file then
            file:close()
            return path
        end
    end
end

-- 2: modules in Lua, 3: in C, 4: in C, within the library of what stands before the first dot
local searchers = package.searchers or package.loaders
for place, where in pairs{[2] = 'path', [3] = 'cpath', [4] = 'cpath'} do
    local search = searchers[place]
    searchers[place] = function(name)
        local path = find(place == 4 and name:match('^[^.]*') or name, package[where])
        if path then core.look_at_rights(path) end
        return search(name)
    end
end
