-- Keeps the places of calls that go on for longer than they were thought to; one that was given back stays so.
-- KEYS[1] leases (call id by expiry)
-- ARGV[1] time to hold them from now in ms   ARGV[2..] call ids
-- returns nothing
local time = redis.call('TIME')
local expiry = time[1] * 1000 + time[2] / 1000 + ARGV[1]
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', 'GT', expiry, ARGV[i])
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
