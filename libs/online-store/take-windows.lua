-- Takes windows in which a user of a predictor is re-scored once: each key is free, or taken until it expires.
--
-- KEYS     one a user
-- ARGV[1]  milliseconds for which a free window is taken
--
-- Result, of each key in order: 0 it was free and is taken now; else the milliseconds for which it still is taken.

local waits = {}
for i, key in ipairs(KEYS) do
  if redis.call('SET', key, '', 'NX', 'PX', ARGV[1]) then
    waits[i] = 0
  else
    -- A key of another kind, or one without an end, is taken as long as a window.
    local left = redis.call('PTTL', key)
    if left < 0 then
      redis.call('PEXPIRE', key, ARGV[1])
      left = tonumber(ARGV[1])
    end
    waits[i] = math.max(1, left)
  end
end
return waits
