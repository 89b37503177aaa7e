-- What wrk sends, and what it counts. Arguments: the case, and the number of its first text, so that
-- no run repeats the texts of another: a text that is repeated is answered from memory.

-- Each is one token of the default model, so that every request has as many.
local WORDS = {
  "river", "bridge", "museum", "ticket", "price", "hour", "train", "station", "garden", "market",
  "street", "school", "church", "castle", "palace", "theatre", "hotel", "harbor", "island", "forest",
  "mountain", "valley", "village", "city", "country", "winter", "summer", "spring", "autumn", "morning",
  "evening", "night", "water", "fire", "stone", "wood", "glass", "paper", "metal", "silver", "gold",
  "iron", "bread", "coffee", "sugar", "salt", "apple", "orange", "lemon", "rice", "fish", "bird",
  "horse", "cattle", "sheep", "wolf", "lion", "tiger", "bear", "snake", "spider", "flower", "tree",
  "grass", "leaf", "root", "seed", "cloud", "storm", "rain", "snow", "wind", "thunder", "planet", "moon",
  "star", "galaxy", "ocean", "beach", "desert", "doctor", "nurse", "teacher", "student", "lawyer",
  "judge", "soldier", "sailor", "pilot", "farmer", "baker", "painter", "singer", "dancer", "writer",
  "poet", "actor", "king", "queen", "prince", "knight", "wizard", "engine", "wheel", "motor", "camera",
  "radio", "television", "computer", "keyboard", "screen", "window", "door", "floor", "ceiling",
  "kitchen", "bedroom", "office", "factory", "library", "prison", "hospital", "airport", "tunnel",
  "tower",
}

-- Lengths are those of the event of the README: 9 tokens each.
local EVENT = '{"query_from_app":"How many %s %s in %s?","actual_queries":'
  .. '["Around 9 Million %s %s in %s","%s is known for its %s %s"]}'
local SAME = '{"query_from_app":"How many people live in London?","actual_queries":'
  .. '["Around 9 Million people live in London","London is known for its financial district"]}'
local EMBED = '{"inputs":"How many %s %s in %s?"}'

local CASES = {
  event = { path = "/", body = function(a, b, c) return EVENT:format(a, b, c, a, b, c, c, a, b) end },
  embed = { path = "/embed", body = function(a, b, c) return EMBED:format(a, b, c) end },
  cached = { path = "/", body = function() return SAME end },
}

local thread

function setup(started)
  assert(thread == nil, "one thread: the texts are numbered")
  thread = started
end

function init(args)
  case = assert(CASES[args[1]], "the case is event, embed or cached")
  number = assert(tonumber(args[2]), "the number of the first text")
  statuses = {}
  wrk.method = "POST"
  wrk.headers["content-type"] = "application/json"
end

function request()
  local base = #WORDS
  local a, b, c = number % base, math.floor(number / base) % base, math.floor(number / base / base)
  number = number + 1
  return wrk.format(nil, case.path, nil, case.body(WORDS[a + 1], WORDS[b + 1], WORDS[c % base + 1]))
end

function response(status)
  local name = tostring(status)
  statuses[name] = (statuses[name] or 0) + 1
end

-- One line of JSON; times are microseconds.
function done(summary, latency)
  local counts = {}
  for name, count in pairs(thread:get("statuses")) do
    counts[#counts + 1] = ('"%s":%d'):format(name, count)
  end
  local failed = summary.errors
  io.write(("\n{\"requests\":%d,\"duration\":%d,\"p50\":%d,\"p99\":%d,\"max\":%d,\"statuses\":{%s},"):format(
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    table.concat(counts, ",")))
  io.write(('"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n'):format(
    failed.connect, failed.read, failed.write, failed.status, failed.timeout))
end
