-- For wrk: sends the requests of a file, a line each (method, path, credential and body, between tabs), each thread every
-- so-manieth of them; all of them where there are fewer than threads, so that no thread's connections stay idle.
-- wrk ... -- FILE FIRST THREADS
local threads = {}

function setup(thread)
  thread:set("number", #threads)
  threads[#threads + 1] = thread
end

function init(arguments)
  local file, first, step = arguments[1], tonumber(arguments[2]), tonumber(arguments[3])
  requests = {}
  local lines, line = 0, 0
  for _ in io.lines(file) do lines = lines + 1 end
  for text in io.lines(file) do
    if lines < step or line % step == number then
      local method, path, credential, body = text:match("([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)")
      local headers = { Authorization = "Bearer " .. credential }
      if body ~= "" then headers["Content-Type"] = "application/json" else body = nil end
      requests[#requests + 1] = wrk.format(method, path, headers, body)
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

function done(summary, latency)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  -- More than was answered, and one thread more than another.
  local most = 0
  for _, thread in ipairs(threads) do
    most = math.max(most, thread:get("shown"))
  end
  local result = '\nresult {"answers":%d,"refused":%d,"broken":%d,"shown":%d,"micros":%d,"p50":%d,"p99":%d}\n'
  local micros, p50, p99 = summary.duration, latency:percentile(50), latency:percentile(99)
  io.write(string.format(result, summary.requests, errors.status, broken, most * #threads, micros, p50, p99))
end
