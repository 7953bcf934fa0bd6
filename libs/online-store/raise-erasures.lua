-- Raises the count of erasures that this server was told of; never lowers it within a history. Another history replaces
-- it, since its counts cannot be compared. It never expires: a server without it answers nothing unverified.
--
-- KEYS[1]  the count, "history.count"
-- KEYS[2]  who announced that the count would be set again
-- ARGV[1]  history, 16 hex digits
-- ARGV[2]  count, a whole number below 2^53
-- ARGV[3]  the announcement that must still be there, which is then taken down; "": none
--
-- Result: 1 the count is that one or a higher one; 0 the announcement was not there: something was lost since it was made.

if ARGV[3] ~= '' then
  if redis.pcall('GET', KEYS[2]) ~= ARGV[3] then return 0 end
  redis.call('DEL', KEYS[2])
end

-- pcall: a key of another type counts as none, and SET replaces it.
local told = redis.pcall('GET', KEYS[1])
if type(told) == 'string' then
  local history, count = string.match(told, '^(%x+)%.(%d+)$')
  if history == ARGV[1] and tonumber(count) >= tonumber(ARGV[2]) then return 1 end
end

redis.call('SET', KEYS[1], ARGV[1] .. '.' .. ARGV[2])
return 1
