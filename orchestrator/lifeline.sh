# Ends the programs that a daemon has left running, however the daemon ended. $1 is the daemon's session. stdin is a pipe
# that only the daemon can write to: "+PID" when a program was started, "-PID" when it has ended, and end of file when
# the daemon has ended. In plain POSIX shell, which starts in a millisecond and needs a megabyte.

trap '' HUP INT QUIT TERM # only the daemon's end counts
cd /
session=$1

running=' '
while read -r line; do
    pid=${line#?}
    case $line in
        +*) running="$running$pid " ;;
        -*) running="${running%%" $pid "*} ${running#*" $pid "}" ;;
    esac
done

# The process id of a program that ended together with the daemon may be another's by now: so only processes of the
# daemon's session, or leaders of their own, as tunnels are.
belongs() {
    read -r stat <"/proc/$1/stat" && is_in ${stat##*) }
}
is_in() { # STATE PARENT GROUP SESSION …
    [ "$4" = "$session" ] || [ "$4" = "$pid" ]
}

# Their descendants end, too. Background processes of commands that have ended have no such ancestor, and stay.
left= todo=
for pid in $running; do
    belongs "$pid" && todo="$todo $pid"
done
while set -- $todo && [ $# -gt 0 ]; do
    pid=$1
    shift
    todo=$*
    left="$left $pid"
    for children in "/proc/$pid/task/"*/children; do
        below=
        read -r below <"$children"
        todo="$todo $below"
    done
done

is_left() {
    for pid in $left; do
        kill -s 0 "$pid" && return
    done
    return 1
}

[ -z "$left" ] || kill -s TERM $left
for _ in 1 2 3 4 5; do
    is_left || exit 0
    sleep 1
done
kill -s KILL $left
