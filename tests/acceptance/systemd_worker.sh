# The worker with a Redis on a Unix socket: started, recording, hanging, started anew, drained.
# A Redis of its own on a Unix socket, for its group only; its address is a credential.
mkdir -m 750 /opt/redis; chgrp redis /opt/redis
/mnt/server --port 0 --unixsocket /opt/redis/s --unixsocketperm 770 --save "" --dir /opt >/dev/null &
for _ in $(seq 50); do [ -S /opt/redis/s ] && break; sleep .1; done; chgrp redis /opt/redis/s
( umask 077; echo unix:///opt/redis/s > /etc/jarvis/broker-url )
publish() { /opt/jarvis/bin/python -c "$PUBLISH" unix:///opt/redis/s "$1"; }

timeout 40 systemctl --user start jarvis-worker; echo "start=$?"
process=$(shown jarvis-worker MainPID)
echo "user=$(stat -c %U /proc/$process)"
awk '/^(CapBnd|Seccomp|NoNewPrivs):/ { sub(":", "", $1); print $1 "=" $2 }' "/proc/$process/status"
publish d1; echo "recorded=$(until_recorded 1)"
sleep 5; echo "alive_beyond_the_watchdog=$(shown jarvis-worker NRestarts)"
kill -STOP "$process"; publish d2
for _ in $(seq 100); do sleep .2; [ "$(shown jarvis-worker NRestarts) $(shown jarvis-worker ActiveState)" = "1 active" ] && break; done
echo "restarted=$(shown jarvis-worker NRestarts) $(shown jarvis-worker ActiveState)"; echo "recorded_by_the_next=$(until_recorded 2)"
timeout 70 systemctl --user stop jarvis-worker; echo "stopped=$(shown jarvis-worker ActiveState) $(shown jarvis-worker Result) $(shown jarvis-worker ExecMainStatus)"
echo "denied=$(grep -c -i -e 'not permitted' -e 'denied' /opt/jarvis-worker.log)"
