#!/bin/sh
# confine.sh BOX COMMAND…: run COMMAND in BOX with every file system read-only but BOX itself. A daemon under test starts
# programs that delete; whatever it or its config gets wrong, nothing outside the sandbox can be harmed.
set -eu
box=$1
shift
mount --make-rprivate /
mount --bind "$box" "$box"
while read -r _ point _; do
    case $point in
        "$box" | /proc | /proc/*) ;;
        *) mount -o remount,bind,ro "$point" 2>/dev/null || true ;;
    esac
done </proc/self/mounts
if [ -w / ] || [ -w /tmp ] || [ -w "${HOME:-/}" ]; then
    echo "confine.sh: the file system is still writable" >&2
    exit 125
fi
cd "$box"
exec "$@"
