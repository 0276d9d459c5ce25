-- One request of many: paths in turn from a file, a body in which every @N@ becomes a number that
-- no other request has. Counts what is not 2xx, and prints the figures as one line of JSON.

local paths, body, threads = {}, nil, {}

function setup(thread)
  table.insert(threads, thread)
  thread:set("number", #threads)
end

function init()
  for line in io.lines(os.getenv("BENCH_PATHS")) do paths[#paths + 1] = line end
  local file = os.getenv("BENCH_BODY")
  if file ~= "" then body = io.open(file):read("*a") end
  counter, refused, first = 0, 0, ""
  -- Where each thread begins differs, so that they do not ask for the same rows in step.
  at = math.floor(#paths / 7 * number)
  wrk.method = os.getenv("BENCH_METHOD")
  wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_KEY")
  if body then wrk.headers["Content-Type"] = "application/json" end
end

function request()
  counter, at = counter + 1, at % #paths + 1
  local text = body and body:gsub("@N@", os.getenv("BENCH_RUN") .. number .. "n" .. counter)
  return wrk.format(nil, paths[at], nil, text)
end

function response(status, _, text)
  if status < 200 or status > 299 then
    refused = refused + 1
    if first == "" then first = status .. " " .. text:sub(1, 300) end
  end
end

function done(summary, latency)
  local refused, first = 0, ""
  for _, thread in ipairs(threads) do
    refused = refused + thread:get("refused")
    if first == "" then first = thread:get("first") end
  end
  local errors = summary.errors
  refused = refused + errors.connect + errors.read + errors.write + errors.timeout
  print(string.format('{"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "refused": %d, "first": %q}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, refused, first))
end
