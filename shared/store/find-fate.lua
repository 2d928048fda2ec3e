-- What became of a queued call.
-- KEYS[1] outcome   KEYS[2] BullMQ's hash of the job
-- returns the outcome record, "" if it was acknowledged; 1 if the job is in its lane; 0 if neither is there
local outcome = redis.call('GET', KEYS[1])
if outcome then
  return outcome
end
return redis.call('EXISTS', KEYS[2])
