#!/bin/sh
# Check that the books add up; exits 1 with the first finding where they do not.
exec "$(dirname "$0")/request.sh" verification "$@"
