# shellcheck shell=bash
# The benchmark's private PostgreSQL server and its data sets. Sourced by scripts/bench.
#
# It owns the cluster in $CACHE/data: starting, stopping, building databases in it. It leaves measuring to measure.sh.
# A server that runs already is adopted, and left running; only one that was started here is stopped.

# What a sidecar's neighbour on a small machine would have. fsync is on while something is measured, and off while data is built.
SERVER_OPTIONS=(-c listen_addresses= -c unix_socket_permissions=0700 -c shared_buffers=1GB -c max_wal_size=8GB -c checkpoint_timeout=30min)

server_user=
server_started=no
BIN=
MAJOR=

# Runs a command as the user who may run servers: PostgreSQL refuses root.
as_server() {
	if [ -n "$server_user" ]; then
		(cd / && runuser -u "$server_user" -- "$@" 9>&-)
	else
		"$@" 9>&-
	fi
}

# Every folder with PostgreSQL's programs, the newest major first, as "MAJOR FOLDER" lines.
server_programs() {
	local folder version
	{
		printf '%s\n' /usr/lib/postgresql/*/bin
		cat "$REPO/.cache/postgres.dirs" 2>/dev/null || true
	} | while read -r folder; do
		[ -x "$folder/initdb" ] && [ -x "$folder/pg_dump" ] && [ -x "$folder/psql" ] || continue
		version=$(as_server "$folder/postgres" --version 2>/dev/null) || continue
		version=${version##*) }
		echo "${version%%[!0-9]*} $folder"
	done | sort -rn -s -k1,1
}

# Sets BIN and MAJOR: the cluster's own major, else the one asked for, else the newest.
server_choose() {
	local wanted=$1 existing='' found
	if as_server test -e "$CACHE/data/PG_VERSION"; then
		existing=$(as_server cat "$CACHE/data/PG_VERSION")
		[ -z "$wanted" ] || [ "$wanted" = "$existing" ] ||
			die "the data set in '$CACHE' is PostgreSQL $existing; give major $wanted a folder of its own: --cache"
		wanted=$existing
	fi
	found=$(server_programs | awk -v wanted="$wanted" 'wanted == "" || $1 == wanted { print; exit }')
	[ -n "$found" ] || die "no PostgreSQL ${wanted:-at all} found that ${server_user:-this user} may run; scripts/setup test fetches servers"
	MAJOR=${found%% *}
	BIN=${found#* }
}

# The folder of cluster and socket, ours alone.
server_folder() {
	local owner
	[[ $CACHE =~ ^/[A-Za-z0-9/._-]+$ ]] || die "'$CACHE' has characters that cannot stand in a connection URL as they are; choose another --cache"
	[ ${#CACHE} -le 80 ] || die "'$CACHE' is too long a path for a socket; choose another --cache"
	if [ ! -e "$CACHE" ]; then
		mkdir -p "$CACHE"
		[ -z "$server_user" ] || chown "$server_user" "$CACHE"
	fi
	owner=$(stat -c %U "$CACHE")
	# Others could have put a cluster of theirs there, under a name that anyone can guess.
	[ "$owner" = "$(id -un)" ] || [ "$owner" = "$server_user" ] || die "'$CACHE' belongs to $owner"
	as_server test -w "$CACHE" || die "user $server_user cannot enter '$CACHE': choose another --cache, such as /var/tmp/kluis-bench"
}

server_runs() { "$BIN/pg_isready" -q -h "$CACHE" -p 5432; }

server_start() {
	as_server "$BIN/pg_ctl" start -D "$CACHE/data" -w -t 300 -l "$CACHE/log" -o "-k $CACHE ${SERVER_OPTIONS[*]} $*" </dev/null >/dev/null 2>&1 ||
		die "the server does not start; see '$CACHE/log'"
	server_started=yes
}

server_stop() {
	[ "$server_started" = yes ] || return 0
	as_server "$BIN/pg_ctl" stop -D "$CACHE/data" -w -t 300 -m fast </dev/null >/dev/null 2>&1 || say "the server in '$CACHE' could not be stopped"
	server_started=no
}

# Takes up the cluster, making it if there is none, and leaves the server running. Sets POSTMASTER.
server_open() {
	if ! as_server test -e "$CACHE/data/PG_VERSION"; then
		say "making a cluster of PostgreSQL $MAJOR in '$CACHE'"
		as_server "$BIN/initdb" -D "$CACHE/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 </dev/null >"$WORK/initdb" 2>&1 || die "initdb failed: $(tail -n 3 "$WORK/initdb")"
	fi
	if server_runs; then
		say "using the server that runs in '$CACHE'"
	else
		server_start
	fi
	POSTMASTER=$(as_server head -n 1 "$CACHE/data/postmaster.pid")
}

sql() { "$BIN/psql" -X -q -A -t -h "$CACHE" -U postgres -d "${2:-postgres}" -v ON_ERROR_STOP=1 -c "$1" </dev/null; }

has_database() { [ -n "$(sql "SELECT 1 FROM pg_database WHERE datname = '$1'")" ]; }

drop_database() { sql "DROP DATABASE IF EXISTS \"$1\"" 2>/dev/null || say "database $1 could not be dropped"; }

# Fills a database from an SQL file, unless it is there. It gets its name last, so that one half built is never taken for whole.
data_set() {
	local name=$1 file=$2 percent=$3 begun=$SECONDS
	! has_database "$name" || return 0
	say "building database $name (once)"
	if [ "$server_started" = yes ] && [ "$(sql 'SHOW fsync')" = on ]; then
		server_stop
		server_start -c fsync=off
		REBUILT=yes
	fi
	drop_database kluis_bench_building
	sql "CREATE DATABASE kluis_bench_building TEMPLATE template0"
	"$BIN/psql" -X -q -h "$CACHE" -U postgres -d kluis_bench_building -v ON_ERROR_STOP=1 -v percent="$percent" -f "$file" </dev/null >"$WORK/build" 2>&1 ||
		die "$file failed: $(tail -n 3 "$WORK/build")"
	sql "VACUUM ANALYZE" kluis_bench_building
	sql "ALTER DATABASE kluis_bench_building RENAME TO \"$name\""
	say "built in $((SECONDS - begun)) s"
}

# After building: the server as it is measured.
server_ready() {
	if [ "${REBUILT:-no}" = yes ]; then
		server_stop
		sync
		server_start
		POSTMASTER=$(as_server head -n 1 "$CACHE/data/postmaster.pid")
	fi
	[ "$(sql 'SHOW fsync')" = on ] || say "note: the server runs with fsync=off, which flatters every restore"
}
