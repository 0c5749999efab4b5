#!/bin/sh
# Take a backup now and check it.
exec "$(dirname "$0")/request.sh" backup "$@"
