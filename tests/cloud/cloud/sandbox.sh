#!/bin/sh
# Build the file tree that a Lambda function sees and run its command in there.
#
#   sandbox.sh ROOT TASK TMP_MB USER [MOUNT...] -- COMMAND...
#
# ROOT    an empty folder to build the tree at
# TASK    the unzipped package, seen at /var/task
# TMP_MB  size of /tmp
# USER    uid:gid to run as, or "-" to stay who we are
# MOUNT   rw:SOURCE:TARGET or ro:SOURCE:TARGET, a folder bound into the tree
#
# Runs in its own mount namespace, so no cleanup is needed.
set -eu

root=$1 task=$2 tmp_mb=$3 user=$4
shift 4

bind() { # bind MODE SOURCE TARGET
    mkdir -p "$root$3"
    mount --bind "$2" "$root$3"
    if [ "$1" = ro ]; then mount -o remount,bind,ro "$root$3"; fi
}

mount -t tmpfs -o mode=0755 tmpfs "$root"
for folder in /bin /sbin /lib /lib32 /lib64 /libx32; do
    if [ -L "$folder" ]; then cp -P "$folder" "$root$folder"
    elif [ -d "$folder" ]; then mkdir -p "$root$folder" && mount --rbind "$folder" "$root$folder"; fi
done
for folder in /usr /etc /dev /proc /sys; do
    mkdir -p "$root$folder"
    mount --rbind "$folder" "$root$folder"
done
mkdir -p "$root/tmp" "$root/var" "$root/mnt"
mount -t tmpfs -o "mode=1777,size=${tmp_mb}m" tmpfs "$root/tmp"
bind ro "$task" /var/task

while [ "$1" != -- ]; do
    mode=${1%%:*} rest=${1#*:}
    bind "$mode" "${rest%%:*}" "${rest#*:}"
    shift
done
shift

# As in Lambda, only /tmp and what is mounted can be written.
mount -o remount,ro "$root"

if [ "$user" = - ]; then exec chroot "$root" "$@"; fi
exec chroot --userspec="$user" --groups= "$root" "$@"
