# shellcheck shell=bash
# Measuring one command: wall time, CPU time of client and server, memory, size. Sourced by scripts/bench.
#
# It owns the file $WORK/runs, one line a run, tab-separated:
#   section  pair  label  round  wall µs  client CPU s  server CPU s  peak kB of the largest process  of all together  bytes
# Every run starts from a server with nothing left to write and an empty write-back queue.

TICKS=$(getconf CLK_TCK)
running=

# Prints the CPU time that the server and all its processes have used so far, in ticks. The server adds to its own count (cutime, cstime;
# proc(5)) what its children used when they end; if one ends while we read, we read again.
server_ticks() {
	local before after sum file line
	for _ in 1 2 3 4 5; do
		before=$(</proc/"$POSTMASTER"/stat)
		sum=0
		for file in /proc/[0-9]*/stat; do
			{ line=$(<"$file"); } 2>/dev/null || continue
			# Behind the name, which may hold anything: state, ppid, …, utime, stime, cutime, cstime.
			# shellcheck disable=SC2086
			set -- ${line##*) }
			[ "$2" = "$POSTMASTER" ] && sum=$((sum + ${12} + ${13} + ${14} + ${15}))
		done
		after=$(</proc/"$POSTMASTER"/stat)
		# shellcheck disable=SC2086
		set -- ${before##*) }
		local was="${14} ${15}"
		# shellcheck disable=SC2086
		set -- ${after##*) }
		[ "$was" != "${14} ${15}" ] || break
	done
	echo $((sum + ${12} + ${13} + ${14} + ${15}))
}

# Prints the memory of all descendants of a process, in kB: shared pages count in parts (PSS), so that the sum is what they really take.
tree_memory() {
	local file line key value _ sum=0 grown=yes
	local -A parent=() member=(["$1"]=1)
	for file in /proc/[0-9]*/stat; do
		{ line=$(<"$file"); } 2>/dev/null || continue
		# shellcheck disable=SC2086
		set -- "${line%% *}" ${line##*) }
		parent[$1]=$3
	done
	while [ $grown = yes ]; do
		grown=no
		for file in "${!parent[@]}"; do
			if [ -z "${member[$file]:-}" ] && [ -n "${member[${parent[$file]}]:-}" ]; then
				member[$file]=2
				grown=yes
			fi
		done
	done
	for file in "${!member[@]}"; do
		[ "${member[$file]}" = 2 ] || continue
		while read -r key value _; do
			[ "$key" != Pss: ] || sum=$((sum + value))
		done 2>/dev/null <"/proc/$file/smaps_rollup" || true
	done
	echo $sum
}

# Writes down the largest sum seen while the process lives.
watch_memory() {
	local now most=0
	while kill -0 "$1" 2>/dev/null; do
		now=$(tree_memory "$1")
		[ "$now" -le "$most" ] || most=$now
		echo "$most" >"$WORK/tree"
		sleep 0.05
	done
}

bytes_of() { find "$1" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%d\n", sum }'; }

# measure SECTION PAIR LABEL ROUND OUTPUT COMMAND…    OUTPUT: the file or folder whose size counts, or - ; WATCH=yes samples the memory of all
# processes together, which takes time of its own: not where time is judged. A command that fails ends the benchmark.
measure() {
	local section=$1 pair=$2 label=$3 round=$4 output=$5 before after begun ended status=0 user system peak watcher='' tree=0 bytes=0
	shift 5
	sql CHECKPOINT
	sync
	before=$(server_ticks)
	begun=${EPOCHREALTIME/./}
	# A session of its own, so that all of it can be ended together; GNU time waits for it and adds up its children.
	setsid /usr/bin/time -f '%U %S %M' -o "$WORK/time" -- "$@" </dev/null >"$WORK/stdout" 2>"$WORK/stderr" 9>&- &
	running=$!
	if [ "${WATCH:-no}" = yes ]; then
		: >"$WORK/tree"
		watch_memory "$running" &
		watcher=$!
	fi
	wait "$running" || status=$?
	ended=${EPOCHREALTIME/./}
	running=
	[ -z "$watcher" ] || wait "$watcher" || true
	# 3 is Kluis's "done with warnings".
	if [ $status -ne 0 ] && ! { [ $status -eq 3 ] && [[ $label == kluis* ]]; }; then
		die "'$label' failed with exit code $status: $(tail -n 5 "$WORK/stderr")"
	fi
	# Server processes end a moment after their clients.
	sleep 0.2
	after=$(server_ticks)
	read -r user system peak <<<"$(tail -n 1 "$WORK/time")"
	[ -z "$watcher" ] || tree=$(cat "$WORK/tree")
	[ "$output" = - ] || bytes=$(bytes_of "$output")
	awk -v OFS='\t' -v a="$section" -v b="$pair" -v c="$label" -v d="$round" -v wall=$((ended - begun)) -v user="$user" -v system_="$system" \
		-v ticks=$((after - before)) -v hz="$TICKS" -v peak="$peak" -v tree="${tree:-0}" -v bytes="$bytes" \
		'BEGIN { print a, b, c, d, wall, user + system_, ticks / hz, peak, tree, bytes }' >>"$WORK/runs"
	tail -n 1 "$WORK/runs" | awk -F '\t' '{ printf "bench: %-7s %-2s %-42s %8.2f s, CPU %.2f + %.2f s, %.0f MB\n", $1, $4, $3, $5 / 1e6, $6, $7, $10 / 1e6 }' >&2
}

# Ends what is being measured, with everything it started.
measure_stop() {
	[ -n "$running" ] || return 0
	kill -TERM -- "-$running" 2>/dev/null || true
	wait "$running" 2>/dev/null || true
	running=
}
