-- Says that the dispatcher that made these offers lives, and drops those of which nobody has said so for long.
-- KEYS[1] offers (score: ms since the epoch)
-- ARGV[1] ms that offers are good for, then the offers
-- returns for each 1 if it still stands, 0 if it is used up, was dropped or never made: it is not made again
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1])
local standing = {}
local reply = {}
for i = 2, #ARGV do
  reply[i - 1] = redis.call('ZSCORE', KEYS[1], ARGV[i]) and 1 or 0
  if reply[i - 1] == 1 then
    standing[#standing + 1] = now
    standing[#standing + 1] = ARGV[i]
  end
end
if #standing > 0 then
  redis.call('ZADD', KEYS[1], unpack(standing))
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return reply
