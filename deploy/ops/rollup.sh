#!/bin/sh
# Bring the daily figures up to date: rollup.sh [--account A] [--date D | --from D --to D] [--rebuild]
exec "$(dirname "$0")/request.sh" rollup "$@"
