-- io.popen, which the Lua runtime in use is built without. What it gives is a real file of Lua's own,
-- opened on a pipe of the engine's, so every method of a file works on it.

local core = ...

local pid_of = setmetatable({}, {__mode = 'k'})
local methods = getmetatable(io.stdout).__index
local close_file = methods.close

-- As Lua's own: true or nil, 'exit' or 'signal', the code.
local function close(file)
    if file == nil then file = io.output() end
    local number = pid_of[file]
    if not number then return close_file(file) end
    pid_of[file] = nil
    close_file(file)
    local kind, code = core.popen_wait(number)
    if kind == 'exit' and code == 0 then return true, kind, code end
    return nil, kind, code
end

methods.close = close
io.close = close

function io.popen(command, mode)
    if type(command) ~= 'string' then
        error("bad argument #1 to 'popen' (string expected, got " .. type(command) .. ')', 2)
    end
    mode = mode or 'r'
    if mode ~= 'r' and mode ~= 'w' then error("bad argument #2 to 'popen' (invalid mode)", 2) end
    io.stdout:flush()
    local number, path, problem = core.popen_start(command, mode)
    if not number then return nil, command .. ': ' .. problem end
    local file, trouble = io.open(path, mode)
    core.popen_opened(number)
    if not file then return nil, trouble end
    pid_of[file] = number
    return file
end
