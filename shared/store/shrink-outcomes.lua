-- Empties stored outcomes that their gateway has received; the keys stay, to tell a queued copy that it is answered.
-- KEYS outcomes
-- returns nothing
for i = 1, #KEYS do
  redis.call('SET', KEYS[i], '', 'XX', 'KEEPTTL')
end
return false
