-- Reads the recording of a stream behind an entry, as much as may leave at a time.
-- KEYS[1] events   KEYS[2] lease
-- ARGV[1] id of the entry   ARGV[2] most bytes, reached by the last entry
-- returns nothing when there is no recording, else whether it is live, the last entry's id and the entries: id, fields
if redis.call('EXISTS', KEYS[1]) == 0 then
  return false
end
local live = redis.call('EXISTS', KEYS[2])
local found = {}
local bytes = 0
local from = ARGV[1]
while bytes < tonumber(ARGV[2]) do
  local entries = redis.call('XRANGE', KEYS[1], '(' .. from, '+', 'COUNT', 16)
  for i = 1, #entries do
    if bytes < tonumber(ARGV[2]) then
      from = entries[i][1]
      bytes = bytes + #entries[i][2][2]
      found[#found + 1] = { from, entries[i][2] }
    end
  end
  if #entries < 16 then
    break
  end
end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
return { live, last[1], found }
