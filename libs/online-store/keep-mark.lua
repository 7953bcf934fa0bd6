-- Replaces the remembered mark, but only if it is still the mark that the caller recalled. A process that could not
-- recall, or recalled an older mark, never overwrites the mark of another process.
--
-- KEYS[1]  the mark
-- ARGV[1]  the text that was recalled; "" if there was none
-- ARGV[2]  the mark to remember
--
-- Result: 1 remembered; 0 the mark has changed since it was recalled.

-- pcall: a key of another type is not a text, and is kept.
local found = redis.pcall('GET', KEYS[1])
if found == false then found = '' end
if found ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
