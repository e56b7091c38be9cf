-- For wrk: sends the keys of a file, one a request, each thread every so-manieth of them.
-- wrk ... -- FILE FIRST THREADS
local threads = {}

function setup(thread)
  thread:set("number", #threads)
  threads[#threads + 1] = thread
end

function init(arguments)
  local file, first, step = arguments[1], tonumber(arguments[2]), tonumber(arguments[3])
  requests = {}
  local line = 0
  for key in io.lines(file) do
    if line % step == number then
      requests[#requests + 1] = wrk.format("GET", "/echo", { Authorization = "Bearer " .. key })
    end
    line = line + 1
  end
  at = math.floor(first / step)
  shown = 0
end

function request()
  local request = requests[(at + shown) % #requests + 1]
  shown = shown + 1
  return request
end

function done(summary)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  -- More than was answered, and one thread more than another.
  local most = 0
  for _, thread in ipairs(threads) do
    most = math.max(most, thread:get("shown"))
  end
  local result = '\nresult {"answers":%d,"refused":%d,"broken":%d,"shown":%d}\n'
  io.write(string.format(result, summary.requests, errors.status, broken, most * #threads))
end
