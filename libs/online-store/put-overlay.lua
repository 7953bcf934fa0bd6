-- Keeps an overlay entry by compare-and-set, so that a slow writer does not replace a newer answer. An efficiency: the
-- reader's certificate, not this script, decides what is fresh.
--
-- KEYS[1]  the user's overlay entry for a predictor
-- KEYS[2]  the user's version hint, "history.version"; has the same hash tag
-- ARGV[1]  the new entry, in the layout of stored-value.ts: format, source, history, model version, floor, context
--          version, computedAt, checksum, outputs
-- ARGV[2]  milliseconds until it expires
--
-- Result: 1 kept; 0 the stored entry is newer; -1 the hint says that the user's context is newer already.
--
-- The stored entry stays where it is of the same history and a higher floor, or of the same history, floor and model
-- version with a higher context version, or the same one and computed later. Any other is replaced.

local LAYOUT = '<BBc8c16ddd'
local HEADER = 54
local MAX_NUMBER = 2 ^ 53

local _, _, history, model, floor, context, computed = struct.unpack(LAYOUT, ARGV[1])

-- pcall: a key of another type counts as none, and SET replaces it.
local hint = redis.pcall('GET', KEYS[2])
if type(hint) == 'string' then
  local hinted_history, hinted_version = string.match(hint, '^(%x+)%.(%d+)$')
  if hinted_history then
    local own = string.gsub(history, '.', function(c) return string.format('%02x', string.byte(c)) end)
    if hinted_history == own and tonumber(hinted_version) > context then return -1 end
  end
end

local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'string' and #stored >= HEADER and string.byte(stored) == 1 then
  local _, _, their_history, their_model, their_floor, their_context, their_computed = struct.unpack(LAYOUT, stored)
  -- Damaged numbers must not make an entry immovable; NaN compares false below.
  local is_sane = their_floor <= MAX_NUMBER and their_context <= MAX_NUMBER
  if is_sane and their_history == history then
    if their_floor > floor then return 0 end
    if their_floor == floor and their_model == model then
      if their_context > context then return 0 end
      if their_context == context and their_computed > computed then return 0 end
    end
  end
end

redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
