# The watchdog: makes the private folder, runs initdb and the postmaster in it, and takes both away.
#
# Arguments: folder to try, name of the private folder, folder of PostgreSQL's programs.
# Standard input, held open by the owner: the password, then one command a line. Its end means
# that the owner is gone or done. Standard output: one event a line.

# A terminal's Ctrl-C and a dead owner's pipe must not end this before it has cleaned up.
trap '' HUP INT TERM PIPE
umask 077
bin=$3
runner=
for base in "$1" /tmp; do
    dir=$base/$2
    mkdir "$dir" 2>/dev/null && break
    dir=
done
[ -n "$dir" ] || exit 1
cd "$dir" && exec 2>>log && mkfifo up || {
    rm -rf "$dir"
    exit 1
}
# From here on the only way out is the removal at the end.
printf 'dir %s\n' "$dir"

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
        runner=$!
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
    # One that was started just now may not listen yet, and one in trouble may not end.
    (
        left=20
        while sleep 1 && [ -e alive ]; do
            left=$((left - 1))
            [ "$left" -gt 0 ] || kill -s KILL "$pid"
            kill -s QUIT "$pid"
        done
    ) >/dev/null 2>&1 &
fi
[ -z "$runner" ] || wait "$runner"
cd /
tries=0
until rm -rf "$dir" || [ "$tries" -ge 10 ]; do
    tries=$((tries + 1))
    sleep 1
done
