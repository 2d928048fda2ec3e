-- Records outcomes that are not recorded yet, tells the asking gateway of those, and drops the bodies of the calls.
-- KEYS[2i-1] outcome of call i   KEYS[2i] body of call i
-- ARGV[1] reply channel, "" for none   ARGV[2] time to live in ms   ARGV[2+i] outcome record of call i
-- returns for each call 1 recorded, 0 already recorded
local results = {}
for i = 1, #KEYS / 2 do
  local record = ARGV[2 + i]
  local recorded = redis.call('SET', KEYS[2 * i - 1], record, 'NX', 'PX', ARGV[2])
  redis.call('UNLINK', KEYS[2 * i])
  if recorded then
    results[i] = 1
    -- One message each: to join them in Lua costs Redis more than the messages cost anybody.
    if ARGV[1] ~= '' then
      redis.call('PUBLISH', ARGV[1], record)
    end
  else
    results[i] = 0
  end
end
return results
