-- Takes the next items of a batch for its lane, as far as its window has room.
-- KEYS[1] lease   KEYS[2] meta   KEYS[3] open   KEYS[4] results
-- ARGV[1] holder of the lease   ARGV[2] how many   ARGV[3] most items of the batch in the lane
-- returns the items; -1 the lease is another's, -2 the batch takes no more, -3 the window is full, -4 all are taken
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
local meta = redis.call('HMGET', KEYS[2], 'state', 'next', 'total', 'keep')
if meta[1] ~= 'in_progress' then
  return -2
end
local from, total = tonumber(meta[2]), tonumber(meta[3])
if from >= total then
  return -4
end
local room = math.min(tonumber(ARGV[2]), ARGV[3] - redis.call('SCARD', KEYS[3]))
if room <= 0 then
  return -3
end
local items = {}
local last = math.min(total, from + 10 * room + 100)
while from < last and #items < room do
  if redis.call('HEXISTS', KEYS[4], from) == 0 then
    items[#items + 1] = from
  end
  from = from + 1
end
redis.call('HSET', KEYS[2], 'next', from)
if #items > 0 then
  redis.call('SADD', KEYS[3], unpack(items))
  redis.call('PEXPIREAT', KEYS[3], meta[4])
end
return items
