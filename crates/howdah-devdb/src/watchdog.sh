# The watchdog: makes the private folder, runs initdb and the postmaster in it, and takes both away.
#
# Arguments: folder to try, name of the private folder, folder of PostgreSQL's programs.
# Standard input, held open by the owner: the password, then one command a line. Its end means
# that the owner is gone or done. Standard output: one event a line.

# A terminal's Ctrl-C and a dead owner's pipe must not end this before it has cleaned up.
trap '' HUP INT TERM PIPE
umask 077
bin=$3
for base in "$1" /tmp; do
    dir=$base/$2
    mkdir "$dir" 2>/dev/null && break
    dir=
done
[ -n "$dir" ] || exit 1
# From here on every way out leads past the removal at the end.
cd "$dir" && exec 2>>log && mkfifo up && printf 'dir %s\n' "$dir"

read -r password && {
    printf '%s\n' "$password" >pw
    "$bin/initdb" -D data -U postgres -A scram-sha-256 --pwfile=pw -E UTF8 --locale=C \
        --no-sync >>log 2>&1 </dev/null
    status=$?
    rm -f pw
    printf 'initdb %s\n' "$status"
}

while read -r command argument; do
    case $command in
    start)
        # A shell of its own waits for the postmaster, so a dead one is told at once and is never
        # a zombie, which would keep its lock file valid.
        (
            "$bin/postgres" -D "$dir/data" -p "$argument" >>log 2>&1 </dev/null &
            : >alive
            echo $! >up
            wait $!
            status=$?
            rm -f alive
            printf 'ended %s\n' "$status"
        ) &
        read -r pid <up
        printf 'pid %s\n' "$pid"
        ;;
    signal)
        kill -s "$argument" "$pid"
        ;;
    kill)
        # Its processes with it, like a crash of the machine; left alone, a busy one would go on
        # writing and keep the next postmaster out.
        children=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null || pgrep -P "$pid")
        kill -s KILL "$pid" $children
        ;;
    esac
done

if [ -e alive ]; then
    kill -s QUIT "$pid"
    # A stopped postmaster has to go on to see it.
    kill -s CONT "$pid"
fi
wait
cd /
tries=0
until rm -rf "$dir" || [ "$tries" -ge 10 ]; do
    tries=$((tries + 1))
    sleep 1
done
