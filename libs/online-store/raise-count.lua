-- Raises a count of what this server has received, erasures or withdrawals; never lowers it within a history. The key
-- never expires: without it, no unverified answer uses this server.
--
-- A raise that arrives late may have a lower number than raises that this server has received and lost. So a number only
-- raises an existing count of the same history. Any other count is deleted, since it does not include this raise. Only an
-- announcement restores a count. An existing announcement is deleted too: its process may have asked Postgres before this
-- raise.
--
-- KEYS[1]  the count, "history.count"
-- KEYS[2]  announcement of a process that will restore the count
-- ARGV[1]  history, 16 hex digits
-- ARGV[2]  count, a whole number below 2^53
-- ARGV[3]  the announcement that must still exist; "" for an erasure or a withdrawal
--
-- Result: 1 the count is at least this one; 0 there was no count to raise, or the announcement was deleted: since it
-- was made, data were lost or a raise arrived.

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
