-- Removes jobs that are done with and takes others: a turn of a dispatcher. What BullMQ's moveToFinished and moveToActive
-- do, for many jobs at once and but for events nobody reads, in its own layout: its other scripts go on from there.
-- KEYS[1] wait   KEYS[2] active   KEYS[3] delayed (score: ms since the epoch times 4096, and a count)   KEYS[4] marker
-- KEYS[5] stalled   KEYS[6] offers
-- ARGV[1] name of a job's hash but for its id   ARGV[2], ARGV[3] names of a call's outcome and cancel mark but for its id
-- ARGV[4] now (ms since the epoch)   ARGV[5] how many to take   ARGV[6] token and   ARGV[7] ms of their locks
-- ARGV[8] 1 to remove only jobs whose calls are answered   ARGV[9] ms that offers are good for   ARGV[10] how many follow
-- then the offers to make if no job waits, then id and token of each job to remove
-- returns those of them that are left alone, their lock not being ours any more or their call not answered, the jobs still
-- waiting, when the next parked one is due (ms since the epoch, 0 if none or jobs wait), then for each job taken: id,
-- payload, how often it was taken, how often it lost its dispatcher, 1 if its call is answered, 1 if it is cancelled
-- As few commands as will do: most of what a script costs is the calling of them.
local lost = {}
local removed = {}
local offers = tonumber(ARGV[10])
for i = 11 + offers, #ARGV, 2 do
  local id = ARGV[i]
  local key = ARGV[1] .. id
  local lock = key .. ':lock'
  local isDone = ARGV[8] == '0' or redis.call('EXISTS', ARGV[2] .. id) == 1
  if isDone and redis.call('GET', lock) == ARGV[i + 1] then
    redis.call('DEL', lock, key)
    redis.call('LREM', KEYS[2], -1, id)
    removed[#removed + 1] = id
  else
    lost[#lost + 1] = id
  end
end

if #removed > 0 then
  redis.call('SREM', KEYS[5], unpack(removed))
end

-- Each job taken has the slot that one of them was for.
local function offer(waiting, taken)
  local last = 10 + offers - taken
  if last > 10 and waiting == 0 then
    local time = redis.call('TIME')
    local offeredAt = time[1] * 1000 + math.floor(time[2] / 1000)
    local scored = {}
    for i = 11, last do
      scored[#scored + 1] = offeredAt
      scored[#scored + 1] = ARGV[i]
    end
    redis.call('ZADD', KEYS[6], unpack(scored))
    redis.call('PEXPIRE', KEYS[6], ARGV[9])
  end
end

local want = tonumber(ARGV[5])
if want == 0 then
  local waiting = redis.call('LLEN', KEYS[1])
  offer(waiting, 0)
  return { lost, waiting, 0 }
end

local due = redis.call('ZRANGEBYSCORE', KEYS[3], 0, (ARGV[4] + 1) * 4096 - 1, 'LIMIT', 0, 1000)
if #due > 0 then
  redis.call('ZREM', KEYS[3], unpack(due))
  redis.call('LPUSH', KEYS[1], unpack(due))
end

local reply = { lost, 0, 0 }
for _ = 1, want do
  local id = redis.call('RPOPLPUSH', KEYS[1], KEYS[2])
  if not id then
    break
  end
  local key = ARGV[1] .. id
  redis.call('SET', key .. ':lock', ARGV[6], 'PX', ARGV[7])
  local started = redis.call('HINCRBY', key, 'ats', 1)
  local fields = redis.call('HMGET', key, 'data', 'stc')
  local at = #reply
  reply[at + 1] = id
  reply[at + 2] = fields[1] or ''
  reply[at + 3] = started
  reply[at + 4] = tonumber(fields[2] or 0)
  local answered, cancelled = 0, 0
  if redis.call('EXISTS', ARGV[2] .. id, ARGV[3] .. id) > 0 then
    answered = redis.call('EXISTS', ARGV[2] .. id)
    cancelled = redis.call('EXISTS', ARGV[3] .. id)
  end
  reply[at + 5] = answered
  reply[at + 6] = cancelled
end

local waiting = redis.call('LLEN', KEYS[1])
reply[2] = waiting
offer(waiting, (#reply - 3) / 6)
if waiting > 0 then
  redis.call('ZADD', KEYS[4], 0, '0')
else
  -- A sign of jobs that are taken by now would only call somebody up for nothing, which costs as much as a job does.
  redis.call('ZREM', KEYS[4], '0')
  local next = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
  if #next > 0 then
    reply[3] = math.max(1, math.floor(next[2] / 4096))
  end
end
return reply
