#!/bin/bash
# systemd.sh UNITS VENV PYTHON-PREFIX SOURCE SERVER
#
# A real `systemd --user` with our units, in namespaces of its own: nobody else sees it, and it is gone with this script. Prints what
# the units did as NAME=VALUE. Exits 77 where such a manager cannot be started. Needs root.
set -u
no() { echo "cannot be staged: $*" >&2; exit 77; }

if [ "$1" != --inside ]; then
  [ "$(id -u)" = 0 ] || no "needs root"
  for program in systemd systemctl unshare; do command -v $program >/dev/null || [ -x /lib/systemd/$program ] || no "$program is missing"; done
  root=/sys/fs/cgroup/unified; [ -d $root ] || root=/sys/fs/cgroup
  group=$root/jarvis-test.$$
  mkdir "$group" 2>/dev/null || no "no cgroup can be made"
  trap 'sleep .3; find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null' EXIT
  ( echo $BASHPID > "$group/cgroup.procs" && exec timeout -s KILL 120 unshare --mount --propagation private --pid --fork --kill-child \
      --mount-proc --cgroup --ipc bash "$0" --inside "$@" )
  exit
fi
shift
units=$(realpath "$1") venv=$2 python=$3 source=$4 server=$5
{
  # Among ourselves: credentials are mounted in a child and have to come through.
  mount --make-rshared / &&
  # A mount of its own, as on real systems; else hardening lays an empty one over it.
  mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/systemd && cd /run/systemd && mkdir system inaccessible etc etc/up etc/work units &&
  # What PID 1 makes for ProtectHome= and its kin.
  ( cd inaccessible && mkdir -m 0 dir && mknod -m 0 chr c 0 0 && mknod -m 0 blk b 0 0 && mkfifo -m 0 fifo && install -m 0 /dev/null reg &&
    "$venv/bin/python" -c 'import socket; socket.socket(1).bind("sock")' && chmod 0 sock ) &&
  umount -R /sys/fs/cgroup &&
  { mount -t cgroup2 cgroup2 /sys/fs/cgroup || { mount -t tmpfs tmpfs /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup; }; } &&
  mount -t tmpfs -o mode=755 tmpfs /mnt && mkdir /mnt/lib /mnt/prefix /mnt/source &&
  mount --rbind "$venv/lib" /mnt/lib && mount --rbind "$python" /mnt/prefix && mount --rbind "$source" /mnt/source && cp "$server" /mnt/server &&
  mount -t tmpfs -o mode=755 tmpfs /run/systemd/etc && mkdir etc/up etc/work && mount -t overlay -o lowerdir=/etc,upperdir=etc/up,workdir=etc/work overlay /etc &&
  mount -t tmpfs -o mode=755 tmpfs /var/lib && mount -t tmpfs -o mode=755 tmpfs /opt &&
  echo 'jarvis:x:990:990::/var/lib/jarvis:/usr/sbin/nologin' >> /etc/passwd && printf 'jarvis:x:990:\nredis:x:991:\n' >> /etc/group &&
  # Below /opt, where the user of the units can read it.
  mkdir -p /opt/python /opt/source /opt/jarvis/bin /opt/jarvis/lib /etc/jarvis &&
  mount --rbind /mnt/prefix /opt/python && mount --rbind /mnt/lib /opt/jarvis/lib && mount --rbind /mnt/source /opt/source &&
  ln -s "/opt/python/bin/$(basename "$(readlink -f "$venv/bin/python")")" /opt/jarvis/bin/python && echo 'home = /opt/python/bin' > /opt/jarvis/pyvenv.cfg &&
  printf '#!/opt/jarvis/bin/python\nfrom jarvis.cli import main\nmain()\n' > /opt/jarvis/bin/jarvis && chmod 755 /opt/jarvis/bin/jarvis &&
  cp -r "$units/." units && for t in basic shutdown test; do printf '[Unit]\nDefaultDependencies=no\n' > units/$t.target; done
} 2>/tmp/jarvis-stage.$$ || no "$(cat /tmp/jarvis-stage.$$; rm -f /tmp/jarvis-stage.$$)"
rm -f /tmp/jarvis-stage.$$

printf '[Service]\nWatchdogSec=3\nRestartSec=1\nEnvironment=LD_LIBRARY_PATH=/opt/python/lib\nEnvironment=PYTHONPATH=/opt/source\nStandardError=append:/opt/%%p.log\n' \
  > units/jarvis-.service.d/zz-test.conf
# A Redis of its own on a Unix socket, for its group only; its address is a credential.
mkdir -m 750 /opt/redis; chgrp redis /opt/redis
/mnt/server --port 0 --unixsocket /opt/redis/s --unixsocketperm 770 --save "" --dir /opt >/dev/null &
for _ in $(seq 50); do [ -S /opt/redis/s ] && break; sleep .1; done; chgrp redis /opt/redis/s
( umask 077; echo unix:///opt/redis/s > /etc/jarvis/broker-url )

export LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/source HOME=/root XDG_RUNTIME_DIR=/run/systemd/user-0 XDG_CONFIG_HOME=/var/lib SYSTEMD_UNIT_PATH=/run/systemd/units
unset DBUS_SESSION_BUS_ADDRESS
# The notify socket and the credentials are for other users, too.
mkdir -m 711 $XDG_RUNTIME_DIR
manager=$(command -v systemd || echo /lib/systemd/systemd)
( umask 0; exec "$manager" --user --unit=test.target >/opt/manager.log 2>&1 ) &
for _ in $(seq 100); do [ -S $XDG_RUNTIME_DIR/systemd/private ] && break; sleep .1; done
[ -S $XDG_RUNTIME_DIR/systemd/private ] || no "the manager does not come up: $(tail -3 /opt/manager.log)"

# The same hardening around a program that does nothing: what fails here is the machine's doing.
printf '[Service]\nType=oneshot\nWatchdogSec=0\nExecStart=/bin/true\n' > units/jarvis-probe.service
mkdir units/jarvis-probe.service.d; printf '[Service]\nType=oneshot\nWatchdogSec=0\nRestart=no\n' > units/jarvis-probe.service.d/zzz.conf
timeout 30 systemctl --user start jarvis-probe 2>/dev/null || no "the units' hardening: $(systemctl --user show jarvis-probe -p Result --value)"

shown() { systemctl --user show jarvis-worker -p "$1" --value; }
recorded() { JARVIS_DATABASE__PATH=/var/lib/jarvis/jarvis_trading.db /opt/jarvis/bin/jarvis export transactions --account acc --format ndjson 2>/dev/null | wc -l; }
publish() { /opt/jarvis/bin/python -c "
import sys
from workers.publisher import Publisher
Publisher('unix:///opt/redis/s').publish_deposit({'deposit_id': sys.argv[1], 'account_id': 'acc', 'currency': 'USDT', 'amount': '5', 'occurred_at': 1767225600000000})" "$1"; }
until_recorded() { for _ in $(seq 100); do [ "$(recorded)" = "$1" ] && break; sleep .1; done; recorded; }

timeout 40 systemctl --user start jarvis-worker; echo "start=$?"
process=$(shown MainPID)
awk '/^(Uid|CapBnd|Seccomp|NoNewPrivs):/ { sub(":", "", $1); print $1 "=" $2 }' "/proc/$process/status"
publish d1; echo "recorded=$(until_recorded 1)"
sleep 5; echo "alive_beyond_the_watchdog=$(shown NRestarts)"
kill -STOP "$process"; publish d2
for _ in $(seq 100); do sleep .2; [ "$(shown NRestarts) $(shown ActiveState)" = "1 active" ] && break; done
echo "restarted=$(shown NRestarts) $(shown ActiveState)"; echo "recorded_by_the_next=$(until_recorded 2)"
timeout 70 systemctl --user stop jarvis-worker; echo "stopped=$(shown ActiveState) $(shown Result) $(shown ExecMainStatus)"
echo "denied=$(grep -c -i -e 'not permitted' -e 'denied' /opt/jarvis-worker.log)"
