#!/bin/sh
# Ask the record keeper's scheduler for a run of a job, and stay until it has ended.
#
#   request.sh JOB [options of `jarvis jobs run`]
#
# With VIA_BROKER=1 the request goes through Redis (JARVIS_BROKER__URL), from a machine that does not have the
# database; there is no answer to wait for then. It prints the id of its message: on the machine of the books,
# `jarvis jobs show ID` tells what became of the run. Exit codes are jarvis's own: 0 done, 1 the job failed, 2 wrong
# usage, 3 it could not be done (no scheduler runs, or the job is paused).
set -eu
job=${1:?"name a job: rollup, backup, verification …"}
shift
if [ "${VIA_BROKER:-0}" = 1 ]; then
    exec "${JARVIS:-jarvis}" jobs run "$job" --through-broker "$@"
fi
exec "${JARVIS:-jarvis}" jobs run "$job" --wait --timeout "${JOB_TIMEOUT:-3600}" "$@"
