-- Raises the count of erasures that this server was told of; never lowers it within a history. It never expires: a server
-- without it answers nothing unverified.
--
-- An erasure that was told late may have a lower number than others that this server was told of and has lost since. So
-- by itself a number only raises a count that is there, of the same history; any other count goes, since it knows nothing
-- of this erasure. Only an announcement sets it again; any that was there goes too: whoever made it may have asked Postgres
-- before this erasure.
--
-- KEYS[1]  the count, "history.count"
-- KEYS[2]  who announced that the count would be set again
-- ARGV[1]  history, 16 hex digits
-- ARGV[2]  count, a whole number below 2^53
-- ARGV[3]  the announcement that must still be there; "": none, an erasure is told
--
-- Result: 1 the count is that one or a higher one; 0 there was none to raise, or the announcement was not there:
-- something was lost, or an erasure told, since it was made.

local is_announced = ARGV[3] ~= ''
if is_announced and redis.pcall('GET', KEYS[2]) ~= ARGV[3] then return 0 end
redis.call('DEL', KEYS[2])

-- pcall: a key of another type counts as none.
local told = redis.pcall('GET', KEYS[1])
local history, count
if type(told) == 'string' then history, count = string.match(told, '^(%x+)%.(%d+)$') end
local is_ours = history == ARGV[1]
if is_ours and tonumber(count) >= tonumber(ARGV[2]) then return 1 end
if not is_ours and not is_announced then
  redis.call('DEL', KEYS[1])
  return 0
end

redis.call('SET', KEYS[1], ARGV[1] .. '.' .. ARGV[2])
return 1
