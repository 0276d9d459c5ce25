-- Requests of one operation for wrk. BENCH_LOAD names a Lua file that returns:
--   head    start of every request, up to and without Content-Length
--   body    its body, or nil; `{c}` a random customer's number, `{u}` a number used once,
--           `{x}` a random number, `{cursor}` one of `cursors`
--   path    request target with the same placeholders
--   items   how many items replace `{items}` in the body, each of the pattern `item`, in which
--           `{c}` and `{u}` are different for every item
local load = dofile(os.getenv("BENCH_LOAD"))
local random, concat = math.random, table.concat

local place = {}
local used = 0

local function parse(pattern)
  local parts = {}
  local from = 1
  while true do
    local left, right, name = pattern:find("{(%l+)}", from)
    if not left then break end
    parts[#parts + 1] = pattern:sub(from, left - 1)
    parts[#parts + 1] = { name }
    from = right + 1
  end
  parts[#parts + 1] = pattern:sub(from)
  return parts
end

local path = parse(load.path)
local body = load.body and parse(load.body)
local item = load.item and parse(load.item)

local function write(parts)
  local out = {}
  for i = 1, #parts do
    local part = parts[i]
    out[i] = type(part) == "string" and part or place[part[1]]
  end
  return concat(out)
end

local function items()
  local out = {}
  local first, number = place.c - load.first, place.u
  for i = 0, load.items - 1 do
    place.c = load.first + (first + i * 7919) % load.customers
    place.u = ("%.0f"):format(number + i)
    out[i + 1] = write(item)
  end
  return concat(out, ",")
end

function init()
  math.randomseed(load.run)
end

function request()
  place.c = load.first + random(0, load.customers - 1)
  place.x = random(100000, 899999)
  place.u = ("%.0f"):format((load.run * 1000000 + used) * 1000)
  used = used + 1
  if load.cursors then place.cursor = load.cursors[random(#load.cursors)] end
  local target = write(path)
  if not body then return concat({ load.method, " ", target, load.head, "\r\n" }) end
  if item then place.items = items() end
  local text = write(body)
  return concat({ load.method, " ", target, load.head, "Content-Length: ", #text, "\r\n\r\n", text })
end

function done(summary, latency)
  local errors = summary.errors
  print(("BENCH %d %d %d %d %d %d %d %d"):format(
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect, errors.read + errors.write, errors.timeout))
end
