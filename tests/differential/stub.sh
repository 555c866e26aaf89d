#!/bin/sh
# Stands in for rsync, ssh and any other program a config starts: writes down its arguments and its stdin, then does
# what the plan of the case says. One directory serves all stubs of a run; calls are numbered in order of their start.
dir=${0%/*}
name=${0##*/}
n=1
set -C # a redirection creates its file or fails: claiming a number is atomic
until { printf '' >"$dir/calls/$n.claim"; } 2>/dev/null; do n=$((n + 1)); done
set +C
{ printf '%s\0' "$name" "$@"; } >"$dir/calls/$n.argv"
if [ ! -e "$dir/plan/noread" ]; then cat >"$dir/calls/$n.stdin"; fi
printf '' >"$dir/calls/$n.done"
hold() { read -r _ <"$dir/plan/gate.$n"; }
if [ -e "$dir/plan/$n" ]; then . "$dir/plan/$n"; fi
if [ -e "$dir/plan/$name" ]; then . "$dir/plan/$name"; fi
exit 0
