-- For wrk: sends the keys of a file, one a request, each thread every so-manieth of them.
-- wrk ... -- FILE FIRST THREADS
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(arguments)
  local file, first, step = arguments[1], tonumber(arguments[2]), tonumber(arguments[3])
  requests = {}
  local at = 0
  for key in io.lines(file) do
    if at % step == number then
      requests[#requests + 1] = wrk.format("GET", "/echo", { Authorization = "Bearer " .. key })
    end
    at = at + 1
  end
  at_request = math.floor(first / step) % #requests
end

function request()
  at_request = at_request % #requests + 1
  return requests[at_request]
end

function done(summary)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format('\nresult {"answers":%d,"refused":%d,"broken":%d}\n', summary.requests, errors.status, broken))
end
