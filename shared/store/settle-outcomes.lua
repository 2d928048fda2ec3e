-- Records outcomes that are not recorded yet, tells those who wait for them, and drops the bodies of the calls.
-- KEYS[3i-2] outcome of call i   KEYS[3i-1] body of call i   KEYS[3i] callers of call i: "channel id" each, "" for nobody
-- ARGV[1] reply channel, "" for none   ARGV[2] time to live in ms   ARGV[2+i] outcome record of call i
-- returns for each call 1 recorded, 0 already recorded
local results = {}
local bodies = {}
for i = 1, #KEYS / 3 do
  local record = ARGV[2 + i]
  local recorded = redis.call('SET', KEYS[3 * i - 2], record, 'NX', 'PX', ARGV[2])
  bodies[i] = KEYS[3 * i - 1]
  if recorded then
    results[i] = 1
    -- One message each: to join them in Lua costs Redis more than the messages cost anybody.
    if ARGV[1] ~= '' then
      redis.call('PUBLISH', ARGV[1], record)
    end
    local callers = redis.call('ZRANGE', KEYS[3 * i], 0, -1)
    if #callers > 0 then
      local told = { [ARGV[1]] = true }
      for _, caller in ipairs(callers) do
        local channel = string.match(caller, '^(%S+)')
        if channel and not told[channel] then
          told[channel] = true
          redis.call('PUBLISH', channel, record)
        end
      end
    end
  else
    results[i] = 0
  end
end
redis.call('UNLINK', unpack(bodies))
return results
