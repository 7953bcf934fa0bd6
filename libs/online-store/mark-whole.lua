-- Marks a bucket as whole, if it was not lost since the count that found all rows of its generation.
--
-- KEYS[1]  the bucket
-- ARGV[1]  the field that tells whether it is whole
-- ARGV[2]  what the field held during the count, of this count alone
-- ARGV[3]  what it holds of a whole bucket
--
-- Result: 1 marked; 0 the bucket was lost, or another count began.

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
