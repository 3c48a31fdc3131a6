#!/bin/bash
# Pid 1 of a node: makes the node's own view of the machine, then runs the node's program in it as another user.
#
#   unshare --mount --uts --pid --ipc --fork --kill-child --propagation private  bash _node.sh FOLDER PROGRAM [ARGUMENT...]
#
# FOLDER is an empty folder of the host. Everything is mounted in this namespace only, so nothing is left when it ends.
# NODE_NAME   host name              NODE_ADDRESS  what the name stands for
# NODE_GATEWAY the host's address on the node's own network (--net), whose cable `eth0` somebody plugs in; empty: the host's network
# NODE_USER   name:uid               NODE_HOME     the user's folder, made here
# NODE_ROOT   what lies under all that the node writes: / or the root of another Debian
# NODE_HIDDEN paths that do not exist on the node, a line each: canonical, none within another
# NODE_BINDS  SOURCE TAB TARGET, a line each: host folders that are shown read-only
set -euo pipefail
umask 022
folder=$1; shift
user=${NODE_USER%:*} uid=${NODE_USER#*:}

if [ -n "$NODE_GATEWAY" ]; then
  for _ in {1..600}; do ip link show eth0 >/dev/null 2>&1 && break; sleep 0.05; done
  ip address add "$NODE_ADDRESS/24" dev eth0
  ip link set lo up
  ip link set eth0 up
  ip route add default via "$NODE_GATEWAY"
fi

mount -t tmpfs -o mode=755 node "$folder"
upper=$folder/upper root=$folder/root
mkdir "$upper" "$folder/work" "$root"

# In the upper layer of an overlay a character device 0:0 is a whiteout: the name below it is gone, folder or file, at no cost
# (Documentation/filesystems/overlayfs.rst).
while IFS= read -r path; do
  [ -n "$path" ] || continue
  mkdir -p "$upper${path%/*}"
  mknod "$upper$path" c 0 0
done <<<"$NODE_HIDDEN"
mount -t overlay node -o "lowerdir=$NODE_ROOT,upperdir=$upper,workdir=$folder/work" "$root"

mkdir -p "$root"/{root,home,opt,run,mnt,proc,sys,dev,var/tmp,tmp,usr/local}
chmod 1777 "$root/tmp" "$root/var/tmp"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"

while IFS=$'\t' read -r source target; do
  [ -n "$source" ] || continue
  mkdir -p "$root$target"
  mount --bind "$source" "$root$target"
  mount -o remount,bind,ro "$root$target"
done <<<"$NODE_BINDS"

printf '%s:x:%s:%s::%s:/bin/sh\n' "$user" "$uid" "$uid" "$NODE_HOME" >>"$root/etc/passwd"
printf '%s:x:%s:\n' "$user" "$uid" >>"$root/etc/group"
named=$NODE_ADDRESS
if [ -n "$NODE_GATEWAY" ]; then
  named=127.0.1.1    # no address of the network has a name: Java would give that to others, who do not know it
  # a name server that cannot be reached costs ten seconds a look-up; with none, the answer is no at once
  rm -f "$root/etc/resolv.conf"
  : >"$root/etc/resolv.conf"
fi
printf '127.0.0.1 localhost\n%s %s\n' "$named" "$NODE_NAME" >"$root/etc/hosts"
echo "$NODE_NAME" >/proc/sys/kernel/hostname
mkdir -p "$root$NODE_HOME"
chown "$uid:$uid" "$root$NODE_HOME"
ldconfig -r "$root"    # the cache of the loader must not name what is gone

cd "$root"
pivot_root . .
umount -l .
cd "$NODE_HOME"
setpriv --reuid="$uid" --regid="$uid" --clear-groups --no-new-privs -- "$@" &
code=0
wait $! || code=$?    # bash reaps what the program's own children leave to pid 1
exit "$code"
