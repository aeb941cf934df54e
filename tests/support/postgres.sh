#!/usr/bin/env bash
#
# A PostgreSQL server for the tests, started for one command and gone after it:
#
#     tests/support/postgres.sh run COMMAND [ARGUMENT…]
#
# COMMAND finds the server in HERALD_TEST_POSTGRES_URL. `./test` sources this file for the same functions.
#
# Where the server comes from, the first that holds:
#   1. HERALD_TEST_POSTGRES_URL is set: that server, untouched.
#   2. Installed server programs: a private cluster in a temporary folder.
#   3. Debian or Ubuntu, as root: the same after `apt-get install postgresql`.
#
# The private cluster listens on a Unix socket in its own folder and on nothing else. A socket cannot collide with
# another server as a port can, and the trust authentication is then worth something: only who may enter the folder
# connects. sqlx and libpq both take the folder as a percent-encoded host; it holds no slash, so that the name of the
# database is still all that follows the URL's last one.
#
# It does not fsync: no test cuts the power, and the suite is several times faster without. Times taken on it would
# flatter it, so for a bench set HERALD_TEST_POSTGRES_DURABLE=1, which leaves durability as PostgreSQL ships it.

set -euo pipefail

HERALD_POSTGRES_FOLDER='' # the private cluster's temporary folder, while there is one
HERALD_POSTGRES_BIN=''    # where its programs are
HERALD_POSTGRES_USER=''   # whom it runs as; empty: whoever runs this
HERALD_GROUP=''           # the process group of the command that is running

say() { printf '%s\n' "$*" >&2; }

# --- commands that can be ended with all that they started --------------------------------------------------------

# Runs a command as the leader of a process group and waits. In the background, because bash runs a trap only between
# foreground commands: a signal would otherwise wait for the whole test run. In a session of its own, because ending
# cargo alone leaves its compilers and test programs behind.
in_group() {
    local status=0
    (
        trap - INT # bash ignores it in background commands, and programs inherit that
        if command -v setsid >/dev/null; then exec setsid "$@"; fi
        exec perl -MPOSIX -e 'POSIX::setsid(); exec { $ARGV[0] } @ARGV or die "$ARGV[0]: $!\n"' "$@" # macOS
    ) <&0 &
    HERALD_GROUP=$!
    wait "$HERALD_GROUP" || status=$?
    end_group # whatever the command forgot
    return "$status"
}

end_group() {
    local group=$HERALD_GROUP tries=0
    HERALD_GROUP=''
    [ -n "$group" ] || return 0
    # The group does not exist until setsid has run, so the process itself is the second choice.
    kill -TERM -- "-$group" 2>/dev/null || kill -TERM "$group" 2>/dev/null || return 0
    while kill -0 -- "-$group" 2>/dev/null && [ "$tries" -lt 30 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -KILL -- "-$group" 2>/dev/null || true
    wait "$group" 2>/dev/null || true
}

# --- finding the programs -----------------------------------------------------------------------------------------

# Prints the folder that holds the server's programs: the one on PATH, else the highest version installed.
find_postgres() {
    local folder found
    {
        if found=$(command -v initdb); then dirname "$found"; fi
        # The glob sorts 9 after 16, sort -V does not.
        printf '%s\n' /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin \
            /usr/local/opt/postgresql*/bin /home/linuxbrew/.linuxbrew/opt/postgresql*/bin | sort -rV
    } | while read -r folder; do
        # initdb, and not a client's or a wrapper's folder that has only some of them.
        if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && [ -x "$folder/pg_ctl" ]; then
            printf '%s\n' "$folder"
            break
        fi
    done
}

# Installs the packages without the cluster that they would otherwise create and start for the whole machine.
install_postgres() {
    local settings=/etc/postgresql-common/createcluster.conf log status=0
    [ "$(id -u)" -eq 0 ] && [ -e /etc/debian_version ] && command -v apt-get >/dev/null || return 1
    say 'postgres: no server programs found; installing the package postgresql (apt-get)'
    local ours=''
    if [ ! -e "$settings" ]; then
        mkdir -p "${settings%/*}"
        echo 'create_main_cluster = false' >"$settings"
        ours=yes
    fi
    log=$(mktemp)
    {
        apt-get update &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql
    } >"$log" 2>&1 </dev/null || status=$?
    # The package keeps a file that it finds; the machine gets the package's own back.
    if [ -n "$ours" ]; then
        if [ -e "/usr/share/postgresql-common/${settings##*/}" ]; then
            cp "/usr/share/postgresql-common/${settings##*/}" "$settings"
        else
            rm -f "$settings"
        fi
    fi
    [ "$status" -eq 0 ] || tail -n 15 "$log" >&2
    rm -f "$log"
    return "$status"
}

# --- the private cluster ------------------------------------------------------------------------------------------

# PostgreSQL refuses to run as root.
as_postgres_user() {
    if [ -z "$HERALD_POSTGRES_USER" ]; then
        "$@"
    elif command -v setpriv >/dev/null; then
        setpriv --reuid "$HERALD_POSTGRES_USER" --regid "$(id -g "$HERALD_POSTGRES_USER")" --clear-groups -- "$@"
    else
        runuser -u "$HERALD_POSTGRES_USER" -- "$@"
    fi
}

# Makes the folder where the server's user can reach it: root's own TMPDIR may be closed to others. A folder's name
# also has to fit into a socket's address (about 100 bytes) and into a URL as it is.
make_folder() {
    local place
    for place in "${TMPDIR:-/tmp}" /tmp /var/tmp; do
        place=${place%/}
        case $place in *[!A-Za-z0-9/._-]*) continue ;; esac
        [ "${#place}" -le 60 ] || continue
        HERALD_POSTGRES_FOLDER=$(mktemp -d "$place/herald-postgres.XXXXXX") || continue
        if [ -n "$HERALD_POSTGRES_USER" ]; then chown "$HERALD_POSTGRES_USER" "$HERALD_POSTGRES_FOLDER"; fi
        if as_postgres_user test -w "$HERALD_POSTGRES_FOLDER"; then return 0; fi
        rm -rf "$HERALD_POSTGRES_FOLDER"
        HERALD_POSTGRES_FOLDER=''
    done
    say 'postgres: found no temporary folder that the server may write to'
    return 1
}

# Every step is checked by hand: bash drops `set -e` in a function that is called in a condition.
postgres_start() {
    if [ -n "${HERALD_TEST_POSTGRES_URL:-}" ]; then
        export HERALD_TEST_POSTGRES_URL
        return 0
    fi
    HERALD_POSTGRES_BIN=$(find_postgres)
    if [ -z "$HERALD_POSTGRES_BIN" ] && install_postgres; then HERALD_POSTGRES_BIN=$(find_postgres); fi
    if [ -z "$HERALD_POSTGRES_BIN" ]; then
        say 'postgres: not found. Install the PostgreSQL server (Debian: apt-get install postgresql; macOS: brew install postgresql), or set HERALD_TEST_POSTGRES_URL.'
        return 1
    fi
    if [ "$(id -u)" -eq 0 ]; then
        HERALD_POSTGRES_USER=nobody
        if id postgres >/dev/null 2>&1; then HERALD_POSTGRES_USER=postgres; fi
    fi
    make_folder || return 1

    local folder=$HERALD_POSTGRES_FOLDER settings
    # One process a connection: the suites open many pools, and the machine may be small. Shared memory for parallel
    # queries lies in the folder too, so that it goes with it.
    settings="-c listen_addresses= -c unix_socket_directories=$folder -c port=5432 -c max_connections=200"
    settings="$settings -c shared_buffers=64MB -c dynamic_shared_memory_type=mmap"
    if [ -z "${HERALD_TEST_POSTGRES_DURABLE:-}" ]; then
        settings="$settings -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
    fi
    # In the folder: the server's user may not be allowed into ours, and says so at length.
    if ! (
        cd "$folder" || exit 1
        as_postgres_user "$HERALD_POSTGRES_BIN/initdb" --pgdata="$folder/data" --username=postgres --auth=trust \
            --encoding=UTF8 --locale=C --no-sync || exit 1
        as_postgres_user "$HERALD_POSTGRES_BIN/pg_ctl" start --wait --timeout=60 --pgdata="$folder/data" \
            --log="$folder/server.log" --options="$settings"
    ) >"$folder/start.log" 2>&1 </dev/null; then
        say 'postgres: the private server did not start:'
        tail -n 20 "$folder/start.log" "$folder/server.log" >&2 2>/dev/null || true
        return 1
    fi
    HERALD_TEST_POSTGRES_URL="postgres://postgres@${folder//\//%2F}:5432/postgres"
    export HERALD_TEST_POSTGRES_URL
}

# Stops the private cluster, if there is one, and removes its folder. Nothing in it is worth an orderly end.
postgres_stop() {
    local folder=$HERALD_POSTGRES_FOLDER
    [ -n "$folder" ] || return 0
    if [ -e "$folder/data/postmaster.pid" ]; then
        (
            cd "$folder" || exit 1
            as_postgres_user "$HERALD_POSTGRES_BIN/pg_ctl" stop --wait --timeout=30 --mode=immediate \
                --pgdata="$folder/data"
        ) >/dev/null 2>&1 </dev/null || say "postgres: the private server in $folder did not stop"
    fi
    rm -rf "$folder"
    HERALD_POSTGRES_FOLDER=''
}

# --- as a command -------------------------------------------------------------------------------------------------

postgres_main() {
    if [ "${1:-}" != run ] || [ $# -lt 2 ]; then
        say 'usage: tests/support/postgres.sh run COMMAND [ARGUMENT…]'
        exit 2
    fi
    shift
    trap 'trap "" HUP INT TERM; end_group; postgres_stop' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    postgres_start || exit 1
    local status=0
    in_group "$@" || status=$?
    exit "$status"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then postgres_main "$@"; fi
