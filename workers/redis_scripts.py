"""What a worker does in Redis in one step each: fetch, settle, give back."""

from __future__ import annotations

FETCH = """
local waiting = redis.call('LRANGE', KEYS[1], 0, ARGV[1] - 1)
local count, bytes = 0, 0
for _, id in ipairs(waiting) do
  bytes = bytes + redis.call('HSTRLEN', KEYS[2], id)
  if count > 0 and bytes > tonumber(ARGV[2]) then break end
  count = count + 1
end
if count == 0 then return {} end
local ids = redis.call('LPOP', KEYS[1], count)
redis.call('SADD', KEYS[3], unpack(ids))
local payloads = redis.call('HMGET', KEYS[2], unpack(ids))
local found = {#waiting - count}
for i, id in ipairs(ids) do
  if payloads[i] then
    found[#found + 1] = id
    found[#found + 1] = payloads[i]
  else
    redis.call('SREM', KEYS[3], id)
  end
end
return found
"""

# An id that is no longer held was given to somebody else meanwhile: its payload is theirs to delete.
SETTLE = """
local count = 0
for _, id in ipairs(ARGV) do
  if redis.call('SREM', KEYS[2], id) > 0 then
    redis.call('HDEL', KEYS[1], id)
    count = count + 1
  end
end
return count
"""

RETURN = """
local count = 0
for i = #ARGV, 1, -1 do
  if redis.call('SREM', KEYS[3], ARGV[i]) > 0 and redis.call('HEXISTS', KEYS[2], ARGV[i]) > 0 then
    redis.call('LPUSH', KEYS[1], ARGV[i])
    count = count + 1
  end
end
return count
"""
