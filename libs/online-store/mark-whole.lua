-- Marks a bucket as whole, if it was not lost since the count that found all rows of its generation.
--
-- KEYS[1]  the bucket
-- ARGV[1]  the field that marks a whole bucket
-- ARGV[2]  the value of the field during this count
-- ARGV[3]  the value of the field in a whole bucket
--
-- Result: 1 marked; 0 the bucket was lost, or another count began.

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
