-- Raises a user's version hint; never lowers it within a history. Another history replaces it: versions of two
-- histories cannot be compared.
--
-- KEYS[1]  the user's hint, "history.version"
-- ARGV[1]  history, 16 hex digits
-- ARGV[2]  version, a whole number below 2^53
-- ARGV[3]  milliseconds until it expires
--
-- Result: 1 raised; 0 the hint was already at this version or a higher one.

-- pcall: a key of another type counts as none, and SET replaces it.
local hint = redis.pcall('GET', KEYS[1])
if type(hint) == 'string' then
  local history, version = string.match(hint, '^(%x+)%.(%d+)$')
  if history == ARGV[1] and tonumber(version) >= tonumber(ARGV[2]) then return 0 end
end

redis.call('SET', KEYS[1], ARGV[1] .. '.' .. ARGV[2], 'PX', ARGV[3])
return 1
