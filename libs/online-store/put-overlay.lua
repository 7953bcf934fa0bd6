-- Keeps overlay entries by compare-and-set, so that a slow writer does not replace a newer answer. This only saves
-- work: the reader's certificate, not this script, decides freshness.
--
-- KEYS     two for each entry: the user's overlay entry for a predictor, and the user's version hint, "history.version"
-- ARGV[1]  milliseconds until they expire
-- ARGV[2]  the new entries, each its length (uint32 LE) and its bytes in the layout of stored-value.ts: format, source,
--          history, model version, floor, context version, computedAt, checksum, outputs
--
-- Result, of each entry in order: 1 kept; 0 the stored entry is newer; -1 by the hint, the user's context is already
-- newer.
--
-- A stored entry of the same history and model version stays if its floor is higher. It also stays with an equal floor
-- if its context version is higher, or equal and computed later. Any other entry is replaced. Entries of two model
-- versions have no order: after an aborted rollout its entries have the higher floor, but serve no reads.

local LENGTH = 4
local LAYOUT = '<I4BBc8c16ddd'
local STORED_LAYOUT = '<BBc8c16ddd'
local HEADER = 54
local MAX_NUMBER = 2 ^ 53

local expiry, entries = ARGV[1], ARGV[2]
-- A key of another type counts as none, and SET replaces it.
local found = redis.call('MGET', unpack(KEYS))
local put = {}
local digits = {}

local function hex(history)
  local known = digits[history]
  if not known then
    known = string.gsub(history, '.', function(c) return string.format('%02x', string.byte(c)) end)
    digits[history] = known
  end
  return known
end

local function is_outdated(hint, history, context)
  if not hint then return false end
  local hinted_history, hinted_version = string.match(hint, '^(%x+)%.(%d+)$')
  return hinted_history == hex(history) and tonumber(hinted_version) > context
end

local function is_older(stored, history, model, floor, context, computed)
  if not stored or #stored < HEADER or string.byte(stored) ~= 1 then return false end
  local _, _, their_history, their_model, their_floor, their_context, their_computed =
    struct.unpack(STORED_LAYOUT, stored)
  -- Damaged numbers must not make an entry permanent. NaN compares false below.
  local is_sane = their_floor <= MAX_NUMBER and their_context <= MAX_NUMBER
  if not is_sane or their_history ~= history then return false end
  if their_model ~= model then return false end
  if their_floor ~= floor then return their_floor > floor end
  if their_context ~= context then return their_context > context end
  return their_computed > computed
end

local results = {}
local at = 1
for i = 1, #KEYS, 2 do
  local key = KEYS[i]
  local length, _, _, history, model, floor, context, computed = struct.unpack(LAYOUT, entries, at)
  -- For a user with two entries in the call, the second entry is compared with the first.
  local stored = put[key] or found[i]
  local result = 1
  if is_outdated(found[i + 1], history, context) then
    result = -1
  elseif is_older(stored, history, model, floor, context, computed) then
    result = 0
  else
    local entry = string.sub(entries, at + LENGTH, at + LENGTH + length - 1)
    redis.call('SET', key, entry, 'PX', expiry)
    put[key] = entry
  end
  results[(i + 1) / 2] = result
  at = at + LENGTH + length
end
return results
