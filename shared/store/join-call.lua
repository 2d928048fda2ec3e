-- Adds a caller to those who wait for a call, unless it is over. Until somebody joins or leaves, a call has no list of
-- callers: then its first one is added too. The member "" stands for the list itself, so that an emptied one stays.
-- KEYS[1] outcome   KEYS[2] cancel mark   KEYS[3] callers (by the end of their lease)   KEYS[4] deadline   KEYS[5] body
-- ARGV[1] first caller, "" for none   ARGV[2] end of its lease   ARGV[3] caller   ARGV[4] end of its lease
-- ARGV[5] the caller's deadline, ms since the epoch   ARGV[6] time to live in ms
-- returns the outcome record, "" if it was acknowledged; 0 when the call was cancelled; 1 when the caller waits
local outcome = redis.call('GET', KEYS[1])
if outcome then
  return outcome
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
end
if redis.call('EXISTS', KEYS[3]) == 0 then
  redis.call('ZADD', KEYS[3], '+inf', '')
  if ARGV[1] ~= '' then
    redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
  end
end
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[3])
if redis.call('PTTL', KEYS[3]) < tonumber(ARGV[6]) then
  redis.call('PEXPIRE', KEYS[3], ARGV[6])
end
if tonumber(redis.call('GET', KEYS[4]) or 0) < tonumber(ARGV[5]) then
  redis.call('SET', KEYS[4], ARGV[5], 'PX', ARGV[6])
end
local body = redis.call('PTTL', KEYS[5])
if body > 0 and body < tonumber(ARGV[6]) then
  redis.call('PEXPIRE', KEYS[5], ARGV[6])
end
return 1
