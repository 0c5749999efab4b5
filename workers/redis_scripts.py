"""What a worker does in Redis in one step each.

Redis does not take back what a script has done before an error, and a key may be of any type: whoever may write in the namespace
can make it so. So every script looks at all of its keys before it changes one, and adds before it takes away. A full Redis
refuses what may need room as the first write of a script, not as a later one.
"""

from __future__ import annotations

#: KEYS list, payloads, holdings, presence; ARGV messages, bytes, home. Gives {-1} where the presence is not this worker's, else how many
#: were left and then id, payload in turn; no payload where there is none.
FETCH = """
if redis.pcall('GET', KEYS[4]) ~= ARGV[3] then return {-1} end
redis.call('HLEN', KEYS[2])
redis.call('SCARD', KEYS[3])
local waiting = redis.call('LRANGE', KEYS[1], 0, ARGV[1] - 1)
local ids, bytes = {}, 0
for _, id in ipairs(waiting) do
  bytes = bytes + redis.call('HSTRLEN', KEYS[2], id)
  if #ids > 0 and bytes > tonumber(ARGV[2]) then break end
  ids[#ids + 1] = id
end
if #ids == 0 then return {} end
redis.call('SREM', KEYS[3], ids[1])
redis.call('SADD', KEYS[3], unpack(ids))
local payloads = redis.call('HMGET', KEYS[2], unpack(ids))
redis.call('LPOP', KEYS[1], #ids)
local found = {#waiting - #ids}
for i, id in ipairs(ids) do
  found[#found + 1] = id
  found[#found + 1] = payloads[i]
end
return found
"""

#: KEYS payloads, holdings; ARGV ids. An id that is no longer held was given to somebody else meanwhile: its payload is theirs to delete.
SETTLE = """
redis.call('HLEN', KEYS[1])
local count = 0
for _, id in ipairs(ARGV) do
  if redis.call('SREM', KEYS[2], id) > 0 then
    redis.call('HDEL', KEYS[1], id)
    count = count + 1
  end
end
return count
"""

#: KEYS payloads, holdings, then a key for each answer; ARGV milliseconds, then id and answer in turn. An answer stands in a list, so that one
#: who waits is woken by it. Whoever an id was given to meanwhile answers for it.
SETTLE_AND_ANSWER = """
redis.call('HLEN', KEYS[1])
local count = 0
for i = 3, #KEYS do
  local id = ARGV[2 * i - 4]
  if redis.call('SISMEMBER', KEYS[2], id) > 0 then
    redis.call('DEL', KEYS[i])
    redis.call('RPUSH', KEYS[i], ARGV[2 * i - 3])
    redis.call('PEXPIRE', KEYS[i], ARGV[1])
    redis.call('SREM', KEYS[2], id)
    redis.call('HDEL', KEYS[1], id)
    count = count + 1
  end
end
return count
"""

#: KEYS list, holdings; ARGV ids. One whose payload is gone goes back, too: it is for whoever fetches it to say so.
RETURN = """
redis.call('LLEN', KEYS[1])
local count = 0
for i = #ARGV, 1, -1 do
  if redis.call('SREM', KEYS[2], ARGV[i]) > 0 then
    redis.call('LPUSH', KEYS[1], ARGV[i])
    count = count + 1
  end
end
return count
"""

#: KEYS list, payloads, holdings; ARGV ids that had no payload. Gives those that need no more waiting: their payload has come, and they are
#: back at the head of the list, or they are no longer held here.
ARRIVED = """
redis.call('LLEN', KEYS[1])
redis.call('HLEN', KEYS[2])
local done = {}
for _, id in ipairs(ARGV) do
  if redis.call('SISMEMBER', KEYS[3], id) == 0 then
    done[#done + 1] = id
  elseif redis.call('HEXISTS', KEYS[2], id) > 0 then
    redis.call('SREM', KEYS[3], id)
    redis.call('LPUSH', KEYS[1], id)
    done[#done + 1] = id
  end
end
return done
"""

#: KEYS presence, heartbeats, mark, sequences, words; ARGV home, milliseconds, name, the client's clock, a token, the worker's word and the field it
#: goes to (no word: none is told). Gives the other home where a worker of this name is at work from there; else the token of the broker's mark and
#: the number of this beat. Beating mends its own keys: a worker that does not beat counts as dead.
BEAT = """
local found = redis.pcall('GET', KEYS[1])
local other = type(found) == 'string' and string.match(found, '^%S+') ~= string.match(ARGV[1], '^%S+')
if other and redis.call('PTTL', KEYS[1]) >= 0 then return {found} end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
for i, kind in ipairs({'zset', 'hash', 'zset', 'hash'}) do
  local is = redis.call('TYPE', KEYS[i + 1]).ok
  if is ~= kind and is ~= 'none' then redis.call('DEL', KEYS[i + 1]) end
end
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
redis.call('HSETNX', KEYS[3], 'token', ARGV[5])
if ARGV[6] ~= '' then redis.call('HSET', KEYS[5], ARGV[7], ARGV[6]) end
return {redis.call('HGET', KEYS[3], 'token'), redis.call('HINCRBY', KEYS[3], 'beats', 1)}
"""

#: KEYS the books of a namespace; ARGV their id, where they are, whether they take over. Gives whose it is now, in the form "id place". A key of
#: another type is nobody's, and a full Redis takes the mark all the same.
CLAIM = """
local found = redis.pcall('GET', KEYS[1])
local ours = ARGV[1] .. ' ' .. ARGV[2]
local theirs = type(found) == 'string' and string.match(found, '^%S*') ~= ARGV[1]
if found == ours or theirs and ARGV[3] ~= '1' then return found end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ours)
return ours
"""

#: KEYS payloads, list, holdings of every worker. Gives how many payloads there are, and how many ids that may be theirs.
TOTALS = """
local ids = redis.call('LLEN', KEYS[2])
local waiting = ids
for i = 3, #KEYS do ids = ids + redis.call('SCARD', KEYS[i]) end
return {redis.call('HLEN', KEYS[1]), ids, waiting}
"""

#: KEYS payloads; ARGV cursor, how many. The ids of a slice of payloads: the payloads themselves would be megabytes on the wire.
PAYLOAD_IDS = """
local slice = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local found = {slice[1]}
for i = 1, #slice[2], 2 do found[#found + 1] = slice[2][i] end
return found
"""

#: KEYS list, payloads, holdings of every worker; ARGV ids of payloads that no list and nobody named. Gives how many went to the end of the list.
TAKE_BACK = """
redis.call('LLEN', KEYS[1])
local count = 0
for _, id in ipairs(ARGV) do
  local lost = redis.call('HEXISTS', KEYS[2], id) > 0
  for i = 3, #KEYS do lost = lost and redis.call('SISMEMBER', KEYS[i], id) == 0 end
  if lost then
    redis.call('RPUSH', KEYS[1], id)
    count = count + 1
  end
end
return count
"""

#: KEYS from (a list, a set or a sorted set), its payloads, list, payloads; ARGV whether an id without payload moves, too (it is for whoever
#: fetches it to say so), then ids. Gives how many were moved. An id that both hashes know with different payloads stays where it is.
MOVE = """
local kind = redis.call('TYPE', KEYS[1]).ok
redis.call('LLEN', KEYS[3])
redis.call('HLEN', KEYS[4])
local count = 0
for i = 2, #ARGV do
  local id = ARGV[i]
  local payload = redis.call('HGET', KEYS[2], id)
  local there = redis.call('HGET', KEYS[4], id)
  if payload and (not there or there == payload) or not payload and ARGV[1] == '1' then
    local taken = 0
    if kind == 'list' then taken = redis.call('LREM', KEYS[1], 1, id)
    elseif kind == 'set' then taken = redis.call('SREM', KEYS[1], id)
    elseif kind == 'zset' then taken = redis.call('ZREM', KEYS[1], id) end
    if taken > 0 then
      if payload and KEYS[2] ~= KEYS[4] then
        redis.call('HSET', KEYS[4], id, payload)
        redis.call('HDEL', KEYS[2], id)
      end
      redis.call('RPUSH', KEYS[3], id)
      count = count + 1
    end
  end
end
return count
"""
