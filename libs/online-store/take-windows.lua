-- Takes windows, in each of which a user of a predictor is re-scored once. A key is free, or taken until it expires.
--
-- KEYS     one for each user
-- ARGV[1]  milliseconds for which a free window is taken
--
-- Result, of each key in order: 0 it was free and is taken now; else the milliseconds until it is free.

local waits = {}
for i, key in ipairs(KEYS) do
  if redis.call('SET', key, '', 'NX', 'PX', ARGV[1]) then
    waits[i] = 0
  else
    -- A key of another type, or without an expiry, counts as taken for a whole window.
    local left = redis.call('PTTL', key)
    if left < 0 then
      redis.call('PEXPIRE', key, ARGV[1])
      left = tonumber(ARGV[1])
    end
    waits[i] = math.max(1, left)
  end
end
return waits
