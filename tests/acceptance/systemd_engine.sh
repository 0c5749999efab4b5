# The embedded broker, and an engine that runs as a user of a group which may publish, and may do nothing else here.
useradd --no-create-home --groups trading engine || no "a user cannot be made"
as() { user=$1; shift; runuser -u "$user" -- "$@"; }
socket=/run/jarvis/valkey.sock

# The second place, as the recipe asks for it.
install -d -m 755 /mnt/other && install -d -m 700 -o jarvis -g jarvis /mnt/other/jarvis
printf 'database: {backup: {second: {path: /mnt/other/jarvis}}}\n' > /etc/jarvis/database.yaml
printf '# a remark\nREMARK=two words, and $(false)\n' >> /etc/jarvis/environment
timeout 60 systemctl --user start jarvis-broker jarvis-worker jarvis-scheduler; echo "start=$?"
stat -c 'socket=%a %U %G' $socket
as engine /opt/jarvis/bin/python -c "$PUBLISH" unix://$socket d1; echo "published=$?"
echo "recorded=$(until_recorded 1)"
as nobody /opt/jarvis/bin/python -c "$PUBLISH" unix://$socket d2 2>/dev/null; echo "published_by_a_stranger=$?"
as engine ls /var/lib/jarvis >/dev/null 2>&1; echo "read_by_the_engine=$?"
as engine rm -f $socket 2>/dev/null; echo "removed_by_the_engine=$?"
process=$(shown jarvis-worker MainPID)
echo "environment=$(tr '\0' '\n' < "/proc/$process/environ" | sed -n 's/^REMARK=//p')"
PATH=/opt/bin:/usr/local/sbin:$PATH JARVIS=jarvis-ctl /opt/jarvis/share/ops/backup.sh >>/opt/control.log 2>&1; echo "backup=$?"
ls /mnt/other/jarvis | grep -q "zst$"; echo "copied=$?"
COLUMNS=200 control doctor >/opt/doctor.log 2>&1; echo "doctor=$?"
echo "socket_by_the_doctor=$(sed -n 's/.*socket is for the group/group/p' /opt/doctor.log)"
control verify >/dev/null 2>>/opt/control.log; echo "verified=$?"
echo "environment_of_the_wrapper=$(PROGRAM=/usr/bin/printenv control REMARK)"
timeout 120 systemctl --user stop jarvis-scheduler jarvis-worker jarvis-broker
for part in scheduler worker broker; do echo "$part=$(shown jarvis-$part ActiveState) $(shown jarvis-$part Result)"; done
tail -n 15 /opt/control.log >&2
