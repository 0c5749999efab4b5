# The pages beside the daemon: they answer on this machine, read what the worker writes, and may not touch the backups.
timeout 60 systemctl --user start jarvis-broker jarvis-worker jarvis-scheduler jarvis-web; echo "start=$?"
page() { /opt/jarvis/bin/python -c "import sys, urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8787' + sys.argv[1], timeout=20).read().decode())" "$1"; }
/opt/jarvis/bin/python -c "$PUBLISH" unix:///run/jarvis/valkey.sock d1 >/dev/null; echo "recorded=$(until_recorded 1)"
echo "account=$(page /accounts | grep -c 'href="/account?account=acc"')"
page /queues > /opt/queues.html; echo "broker_unread=$(grep -c 'cannot be read' /opt/queues.html)"; echo "running=$(grep -o '<td class="">running' /opt/queues.html | wc -l)"
process=$(shown jarvis-web MainPID)
echo "user=$(stat -c %U "/proc/$process")"
install -d -m 700 -o jarvis -g jarvis /var/lib/jarvis/backups
systemctl --user restart jarvis-web; process=$(shown jarvis-web MainPID)
nsenter --mount --target "$process" touch /var/lib/jarvis/backups/x 2>/dev/null; echo "wrote_a_backup=$?"
sleep 4; echo "alive_beyond_the_watchdog=$(shown jarvis-web NRestarts)"
timeout 120 systemctl --user stop jarvis-web jarvis-scheduler jarvis-worker jarvis-broker
echo "web=$(shown jarvis-web ActiveState) $(shown jarvis-web Result)"
tail -n 5 /opt/jarvis-web.log >&2
