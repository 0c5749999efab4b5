#!/bin/sh
# Publishes one record with redis-cli or valkey-cli. From the shell:
#   REDIS_CLI='redis-cli -u redis://localhost:6379' sh publish.sh deposits record_deposit \
#     '{"deposit_id": "d-1", "account_id": "main", "currency": "USDT", "amount": "10000", "occurred_at": "2026-11-22T10:15:30Z"}'
# The embedded broker listens on a socket: REDIS_CLI='valkey-cli -s data/broker/valkey.sock'.
set -eu
queue=$1 actor=$2
record=$(printf '%s' "$3" | tr -d '\n\r')
namespace=${NAMESPACE:-dramatiq}
id=$(cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen)

payload=$(printf '{"queue_name":"%s","actor_name":"%s","args":[%s],"kwargs":{},"options":{"redis_message_id":"%s"},"message_id":"%s","message_timestamp":%s000}' \
  "$queue" "$actor" "$record" "$id" "$id" "$(date +%s)")
# Commands on standard input take text in double quotes, with \ before \ and ".
quoted=$(printf '%s' "$payload" | sed 's/[\\"]/\\&/g')

# The payload before its id, both or neither.
replies=$(printf 'MULTI\nHSET %s:%s.msgs %s "%s"\nRPUSH %s:%s %s\nEXEC\n' \
  "$namespace" "$queue" "$id" "$quoted" "$namespace" "$queue" "$id" | ${REDIS_CLI:-redis-cli})

# What EXEC answers last is the length of the queue; anything else is an error.
case $(printf '%s\n' "$replies" | tail -n 1) in
  *[!0-9]* | '') printf '%s\n' "$replies" >&2; exit 1 ;;
esac
echo "$id"
