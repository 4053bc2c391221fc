# shellcheck shell=bash
# The benchmark's tables, from $WORK/runs. Sourced by scripts/bench.
#
# It owns medians, ratios and the targets; the targets themselves are part of the project's design.
# A ratio is the median of Kluis's runs in the pairs with a command, divided by the median of that command's runs in the same pairs.

# Columns of $WORK/runs.
WALL=5 CLIENT=6 SERVER=7 PEAK=8 TREE=9 BYTES=10

# Prints one column of the runs of a label; pair * is any.
values() { # SECTION PAIR LABEL COLUMN
	awk -F '\t' -v section="$1" -v pair="$2" -v label="$3" -v column="$4" \
		'$1 == section && (pair == "*" || $2 == pair) && $3 == label { print $column }' "$WORK/runs" | sort -g
}

median() { values "$@" | awk '{ v[NR] = $1 } END { if (NR) printf "%.6f\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
least() { values "$@" | head -n 1; }
most() { values "$@" | tail -n 1; }
runs() { values "$@" | wc -l; }

# Evaluates an arithmetic expression of numbers, printed with a format.
number() { # FORMAT EXPRESSION
	awk "BEGIN { printf \"$1\", $2 }" </dev/null
}

# A row of a table of commands, if the command was run.
command_row() { # SECTION LABEL DIGITS
	local section=$1 label=$2 digits=$3 bytes
	[ "$(runs "$section" '*' "$label" $WALL)" -gt 0 ] || return 0
	bytes=$(median "$section" '*' "$label" $BYTES)
	# shellcheck disable=SC2016
	printf '| `%s` | %s | %s–%s | %s + %s | %s | %s |\n' "${label//|/\\|}" \
		"$(number "%.${digits}f" "$(median "$section" '*' "$label" $WALL) / 1e6")" \
		"$(number "%.${digits}f" "$(least "$section" '*' "$label" $WALL) / 1e6")" \
		"$(number "%.${digits}f" "$(most "$section" '*' "$label" $WALL) / 1e6")" \
		"$(number "%.${digits}f" "$(median "$section" '*' "$label" $CLIENT)")" \
		"$(number "%.${digits}f" "$(median "$section" '*' "$label" $SERVER)")" \
		"$(number '%.0f' "$(most "$section" '*' "$label" $PEAK) * 1024 / 1e6")" \
		"$(if [ "${bytes%.*}" = 0 ]; then echo –; else number "%.$((digits - 1))f" "$bytes / 1e6"; fi)"
}

command_head() {
	printf '| command | wall s | least–most | CPU s, client + server | peak MB | size MB |\n|---|---|---|---|---|---|\n'
}

# A row of the table of targets.
target_row() { # WHAT FORMAT VALUE LIMIT UNIT
	printf '| %s | %s%s | ≤ %s%s | %s |\n' "$1" "$(number "$2" "$3")" "$5" "$4" "$5" "$(awk "BEGIN { print ($3 <= $4) ? \"met\" : \"**not met**\" }")"
}

# The same, of a ratio of two labels in one pair.
ratio_row() { # WHAT SECTION PAIR LABEL OTHER COLUMN LIMIT
	[ "$(runs "$2" "$3" "$4" "$6")" -gt 0 ] && [ "$(runs "$2" "$3" "$5" "$6")" -gt 0 ] || return 0
	target_row "$1" '%.3f' "$(median "$2" "$3" "$4" "$6") / $(median "$2" "$3" "$5" "$6")" "$7" ''
}

targets() {
	local default='kluis backup' small='kluis backup, BACKUP_COMPRESSION=small' restore="kluis restore --jobs $JOBS --create" folder="pg_dump -Fd -j$JOBS -Z1"
	printf '| target | measured | limit | |\n|---|---|---|---|\n'
	if wanted dump; then
		# shellcheck disable=SC2016
		{
			ratio_row 'dump: wall ÷ `pg_dump \| gzip`' dump gzip "$default" 'pg_dump | gzip' $WALL 0.16
			ratio_row "dump: wall ÷ \`$folder\`" dump folder "$default" "$folder" $WALL 0.65
			ratio_row 'dump: size ÷ `pg_dump \| gzip`' dump gzip "$default" 'pg_dump | gzip' $BYTES 1.05
			target_row "dump: wall ÷ (CPU s of client and server ÷ $CORES cores)" '%.3f' \
				"$(median dump '*' "$default" $WALL) / 1e6 / (($(median dump '*' "$default" $CLIENT) + $(median dump '*' "$default" $SERVER)) / $CORES)" 1.15 ''
			target_row 'dump, small: size ÷ `pg_dump \| gzip`' '%.3f' "$(median dump '*' "$small" $BYTES) / $(median dump '*' 'pg_dump | gzip' $BYTES)" 0.98 ''
			ratio_row "dump, small: wall ÷ \`$folder\`" dump folder "$small" "$folder" $WALL 0.95
		}
	fi
	if wanted restore; then
		# shellcheck disable=SC2016
		ratio_row 'restore: wall ÷ `gunzip -c \| psql -q`' restore psql "$restore" 'gunzip -c | psql -q' $WALL 0.62
		ratio_row "restore: wall ÷ \`pg_restore -j$JOBS\`" restore custom "$restore" "pg_restore -j$JOBS (from -Fc)" $WALL 0.92
	fi
	if wanted memory; then
		local size
		for size in "${SIZES[@]}"; do
			target_row "memory: peak of the largest process, $(app_size "$size") of database" '%.1f' "$(most memory "$size" "$default" $PEAK) / 1024" 64 ' MiB'
		done
		target_row 'memory: the waiting daemon, after a run with its drill' '%.1f' "$(most memory daemon 'kluis serve' $PEAK) / 1024" 12 ' MiB'
	fi
	if wanted small; then
		# shellcheck disable=SC2016
		ratio_row 'small database: wall without drill ÷ `pg_dump \| gzip`' small gzip 'kluis backup, drill off' 'pg_dump | gzip' $WALL 2
		[ $DRILLS = no ] || target_row 'small database: wall with drill' '%.2f' "$(median small gzip 'kluis backup with drill' $WALL) / 1e6" 4 ' s'
	fi
	if wanted drill && [ $DRILLS = yes ]; then
		target_row 'drill of the small database: wall' '%.2f' "$(median drill small 'kluis drill, small database' $WALL) / 1e6" 3 ' s'
		# shellcheck disable=SC2016
		ratio_row 'drill: wall ÷ `kluis restore`' drill big 'kluis drill' "$restore" $WALL 1.4
	fi
}

app_size() { number '%.2f GB' "$(sql "SELECT pg_database_size('$(app "$1")')") / 1e9"; }

machine() {
	local version commit dirty=''
	version=$("$KLUIS" --version 2>/dev/null || echo unknown)
	# Of a program that was not built here nobody knows the commit.
	if [ "$BUILT" = yes ] && commit=$(git -C "$REPO" rev-parse --short=10 HEAD 2>/dev/null); then
		git -C "$REPO" diff --quiet HEAD -- src Cargo.toml Cargo.lock || dirty=', with changes'
		version="$version, commit $commit$dirty"
	fi
	printf '| | |\n|---|---|\n'
	printf '| date | %s |\n' "$(date -u +%Y-%m-%d)"
	printf '| processor | %s, %s cores |\n' "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)" "$CORES"
	printf '| memory | %s |\n' "$(awk '/^MemTotal:/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)"
	printf '| kernel | %s |\n' "$(uname -sr)"
	printf '| PostgreSQL | %s, %s |\n' "$(sql 'SHOW server_version')" \
		"$(sql "SELECT string_agg(name || ' ' || current_setting(name), ', ' ORDER BY name) FROM pg_settings WHERE name IN ('fsync', 'shared_buffers', 'max_wal_size')")"
	printf '| Kluis | %s |\n' "$version"
	printf '| rounds | %s; %s on the small database |\n' "$ROUNDS" "$SMALL_ROUNDS"
	printf '| load average at the start | %s |\n' "$LOAD"
	if disturbed; then printf '\n**The machine was not idle: these numbers are not to be quoted.**\n'; fi
	if [ "$QUICK" = yes ]; then printf '\n**A quick run on a tenth of the data: these numbers are not to be quoted.**\n'; fi
}

report() {
	local label
	machine
	printf '\n### Targets\n\nRatios of medians of paired runs.\n\n'
	targets
	if [ $DRILLS = no ]; then printf '\nLeft out: what needs `kluis drill`, which this version does not have.\n'; fi
	if wanted dump; then
		printf '\n### Dump, %s of database\n\n' "$(app_size "$PERCENT")"
		command_head
		for label in 'kluis backup' 'kluis backup, BACKUP_COMPRESSION=small' "pg_dump -Fd -j$JOBS -Z1" 'pg_dump | gzip'; do command_row dump "$label" 1; done
	fi
	if wanted restore; then
		printf '\n### Restore, %s of database\n\n' "$(app_size "$PERCENT")"
		command_head
		for label in "kluis restore --jobs $JOBS --create" "pg_restore -j$JOBS (from -Fc)" 'gunzip -c | psql -q'; do command_row restore "$label" 1; done
	fi
	if wanted memory; then
		printf '\n### Memory of `kluis backup`\n\n'
		printf '| database | largest process, MiB (RSS) | all processes together, MiB (PSS) |\n|---|---|---|\n'
		for label in "${SIZES[@]}"; do
			printf '| %s | %s | %s |\n' "$(app_size "$label")" "$(number '%.1f' "$(most memory "$label" 'kluis backup' $PEAK) / 1024")" \
				"$(number '%.1f' "$(most memory "$label" 'kluis backup' $TREE) / 1024")"
		done
	fi
	if wanted small; then
		printf '\n### Small database: 20 tables, 10,000 rows\n\n'
		command_head
		for label in 'kluis backup, drill off' 'kluis backup with drill' 'pg_dump | gzip'; do command_row small "$label" 2; done
	fi
	if wanted drill && [ $DRILLS = yes ]; then
		printf '\n### Drill\n\n'
		command_head
		for label in 'kluis drill' "kluis restore --jobs $JOBS --create" 'kluis drill, small database'; do command_row drill "$label" 2; done
	fi
}

# Puts the tables between the marks of a document.
report_into() { # DOCUMENT TABLES
	local document=$1 new
	new=$(mktemp "$document.XXXXXX")
	awk -v tables="$2" '
		/^<!-- bench: begin -->$/ { print; print ""; while ((getline line < tables) > 0) print line; print ""; inside = 1; found++; next }
		/^<!-- bench: end -->$/ { inside = 0; found++ }
		!inside { print }
		END { exit found != 2 }' "$document" >"$new" || {
		rm -f "$new"
		die "'$document' lacks the marks between which the tables go"
	}
	chmod --reference="$document" "$new"
	mv "$new" "$document"
}
