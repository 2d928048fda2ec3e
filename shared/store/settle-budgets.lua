-- Puts what calls cost in the place of what was held for them; a call that holds nothing (any more) changes nothing.
-- KEYS[2i-1] budget of call i   KEYS[2i] holds of call i
-- ARGV[2i-1] id of call i   ARGV[2i] what it cost
-- returns how many were settled
local settled = 0
for i = 1, #KEYS / 2 do
  local budget, holds, id = KEYS[2 * i - 1], KEYS[2 * i], ARGV[2 * i - 1]
  local amount = redis.call('HGET', budget, id)
  if amount then
    redis.call('HDEL', budget, id)
    redis.call('ZREM', holds, id)
    -- Redis reads no '-0'.
    if amount ~= '0' then
      redis.call('HINCRBY', budget, 'held', '-' .. amount)
    end
    redis.call('HINCRBY', budget, 'spent', ARGV[2 * i])
    settled = settled + 1
  end
end
return settled
