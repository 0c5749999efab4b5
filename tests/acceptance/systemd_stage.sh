#!/bin/bash
# systemd_stage.sh TREE VENV PYTHON-PREFIX SOURCE SERVER SCENARIO
#
# A real `systemd --user` with what `jarvis deploy systemd` wrote to TREE, in namespaces of its own: nobody else sees it, and it is gone
# with this script. SCENARIO is a script that prints what the units did as NAME=VALUE. Exits 77 where such a manager cannot be
# started. Needs root.
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
tree=$(realpath "$1") venv=$2 python=$3 source=$4 server=$5 scenario=$6
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
  mount -t tmpfs -o mode=755 tmpfs /var/lib && mount -t tmpfs -o mode=755 tmpfs /opt && mount -t tmpfs -o mode=755 tmpfs /usr/local/sbin &&
  # As the recipe says.
  { tar -C "$tree" -c . | tar -C / -x --no-overwrite-dir --no-same-owner; } && systemd-sysusers jarvis.conf && printf 'redis:x:991:\n' >> /etc/group &&
  { [ ! -f /etc/tmpfiles.d/jarvis.conf ] || { groupadd --force --system trading && systemd-tmpfiles --create jarvis.conf; }; } &&
  # Below /opt, where the user of the units can read it.
  mkdir -p /opt/python /opt/source /opt/bin /opt/jarvis/bin /opt/jarvis/lib &&
  mount --rbind /mnt/prefix /opt/python && mount --rbind /mnt/lib /opt/jarvis/lib && mount --rbind /mnt/source /opt/source &&
  ln -s "/opt/python/bin/$(basename "$(readlink -f "$venv/bin/python")")" /opt/jarvis/bin/python && echo 'home = /opt/python/bin' > /opt/jarvis/pyvenv.cfg &&
  printf '#!/opt/jarvis/bin/python\nfrom jarvis.cli import main\nmain()\n' > /opt/jarvis/bin/jarvis && chmod 755 /opt/jarvis/bin/jarvis &&
  cp -r /etc/systemd/system/jarvis-* units && for t in basic shutdown test; do printf '[Unit]\nDefaultDependencies=no\n' > units/$t.target; done
} 2>/tmp/jarvis-stage.$$ || no "$(cat /tmp/jarvis-stage.$$; rm -f /tmp/jarvis-stage.$$)"
rm -f /tmp/jarvis-stage.$$

printf '[Service]\nWatchdogSec=3\nRestartSec=1\nEnvironment=LD_LIBRARY_PATH=/opt/python/lib\nEnvironment=PYTHONPATH=/opt/source:/opt/source/clients/python\nStandardError=append:/opt/%%p.log\n' \
  > units/jarvis-.service.d/zz-test.conf
export LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/source:/opt/source/clients/python HOME=/root XDG_RUNTIME_DIR=/run/systemd/user-0 XDG_CONFIG_HOME=/var/lib SYSTEMD_UNIT_PATH=/run/systemd/units
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

# What jarvis-ctl asks the system's manager, ours answers.
printf '#!/bin/sh\nexec %s --user "$@"\n' "$(command -v systemctl)" > /opt/bin/systemctl && chmod 755 /opt/bin/systemctl
shown() { systemctl --user show "$1" -p "$2" --value; }
control() { PATH=/opt/bin:$PATH /usr/local/sbin/jarvis-ctl "$@"; }
recorded() { control export transactions --account acc --format ndjson 2>>/opt/control.log | wc -l; }
until_recorded() { for _ in $(seq 100); do [ "$(recorded)" = "$1" ] && break; sleep .1; done; recorded; }
PUBLISH="import sys
from workers.publisher import Publisher
Publisher(sys.argv[1]).publish_deposit({'deposit_id': sys.argv[2], 'account_id': 'acc', 'currency': 'USDT', 'amount': '5', 'occurred_at': 1767225600000000})"
. "$scenario"
