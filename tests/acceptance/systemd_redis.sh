# Worker and scheduler with a Redis by TCP, both as the recipes make them: users with the least rights, the URL as a credential.
port=$(/opt/jarvis/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
sed -i "s/6379/$port/" /etc/redis/redis-jarvis.conf /etc/jarvis/*-url
mkdir -p /var/lib/redis/jarvis /run/redis-jarvis
if grep -q tls-port /etc/redis/redis-jarvis.conf; then
  # The certificates are made and laid by the lines of the page.
  page=/opt/source/docs/deploying.md
  mkdir /opt/ca && cd /opt/ca && awk '/^```/ { inside = 0 } /^HOST=/ { inside = 1 } inside' $page | sed 's/^HOST=.*/HOST=localhost/' > make.sh && sh -eu make.sh 2>/dev/null &&
    grep '^install .*tls' $page > lay.sh && sh -eu lay.sh || { echo certificates=failed; exit 1; }
fi
/mnt/server /etc/redis/redis-jarvis.conf >/opt/redis.log 2>&1 &
server=$!
for _ in $(seq 100); do [ -S /run/redis-jarvis/redis-server.sock ] && break; sleep .1; done
[ -S /run/redis-jarvis/redis-server.sock ] || { echo server=down; tail -n 3 /opt/redis.log >&2; exit 1; }

timeout 60 systemctl --user start jarvis-worker jarvis-scheduler; echo "start=$?"
/opt/jarvis/bin/python -c "$PUBLISH" "$(cat /etc/jarvis/publisher-url)" d1; echo "published=$?"
echo "recorded=$(until_recorded 1)"
# The rights of a publisher are those of a publisher here, too; the operator's wrapper reads the credential as the units do.
/opt/jarvis/bin/python -c "from workers.publisher import Publisher; import sys; Publisher(sys.argv[1]).request_job('rollup')" "$(cat /etc/jarvis/publisher-url)" 2>/dev/null
echo "job_by_a_publisher=$?"
echo "who_reads_the_key=$(stat -c '%U %G %a' /etc/jarvis/tls/client.key 2>/dev/null)"
control config show 2>>/opt/control.log | grep -q "worker:\*\*\*@[a-z0-9.]*:$port" ; echo "wrapper_has_the_broker=$?"
process=$(shown jarvis-worker MainPID)
echo "secret_in_environment=$(tr '\0' '\n' < "/proc/$process/environ" | grep -c BROKER__URL)"
timeout 120 systemctl --user stop jarvis-scheduler jarvis-worker
for part in scheduler worker; do echo "$part=$(shown jarvis-$part ActiveState) $(shown jarvis-$part Result)"; done
kill $server
tail -n 20 /opt/jarvis-worker.log /opt/control.log /opt/redis.log >&2
