#!/bin/bash
# Pid 1 of the machine that the whole cluster runs on: makes its view of this one, then waits, and buries what others leave behind.
#
#   unshare --mount --net --pid --fork --kill-child --propagation private  bash _machine.sh BRIDGE GATEWAY/BITS NODE_ADDRESS/BITS...
#
# What the cluster sets up (iptables rules, bridges, mounts, sockets in /run) is in this machine only and ends with it.
set -euo pipefail
bridge=$1; shift

mount -t proc proc /proc
# Folders that container programs write to, wherever their own root is said to be.
for folder in /run /var/log /var/lib/cni /var/lib/kubelet; do
  mkdir -p "$folder"
  mount -t tmpfs -o mode=755 machine "$folder"
done
mkdir -p /run/netns /run/lock

ip link set lo up
# One bridge holds the gateway, the nodes' own addresses and the pods: nothing depends on this machine's own network.
ip link add "$bridge" type bridge
# An address of its own: it would take the lowest of its ports' otherwise, so that with the end of a pod nobody finds the gateway for half a minute.
ip link set "$bridge" address 02:00:00:00:00:01
for address; do ip address add "$address" dev "$bridge"; done
ip link set "$bridge" up
echo 1 >/proc/sys/net/ipv4/ip_forward

touch /run/ready
while :; do
  sleep 3600 &
  wait $! || true    # bash reaps every child that is given to pid 1 while it waits
done
