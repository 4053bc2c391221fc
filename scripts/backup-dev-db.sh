#!/usr/bin/env bash
# Backs up a developer's own database, through kluis: the program where there is one in PATH, else the service "backup" of the Compose file.
#
#   scripts/backup-dev-db.sh
#   BACKUP_DRY_RUN=1 scripts/backup-dev-db.sh    goes as far as it can without writing
#
# The names of the script that was here before still do what they did:
#   COMPOSE_FILE      docker/compose.dev.yml
#   ENV_FILE          .env.local, for what the environment does not say
#   DB_SERVICE        db: the database's service in the Compose file
#   BACKUP_DIR        backups in the repository
#   BACKUP_PREFIX     db: now the target's name, a folder in BACKUP_DIR
#   RETENTION_DAYS    7
#   BACKUP_DRY_RUN    1, true or yes
#   DB_HOST, DB_PORT, DB_DATABASE, DB_USERNAME, DB_PASSWORD
# and all other variables of kluis (kluis help environment). The files PREFIX-*.sql.gz that the old script made are left alone.
# The exit code is that of kluis (kluis help exit-codes); 2 where this script itself cannot go on.
set -euo pipefail

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

die() { # die MESSAGE HINT
	printf 'backup-dev-db: %s\nhint: %s\n' "$1" "$2" >&2
	exit 2
}

if [ $# -gt 0 ]; then die "no argument is known, and '$1' was given" "settings are environment variables, see the head of this script"; fi

# ---------------------------------------------------------------- what was asked for

# Compose's own rules (checked against Compose): keys with spaces around `=` or `:`, `export` before them; a value in single quotes is literal, in double
# quotes it has escapes, and either may go over lines; elsewhere ` #` begins a comment. `$NAME`, `${NAME…}` and `$$` count but in single quotes. The environment
# comes before the file. The file is read, never run: only Compose's small grammar is understood.

# Sets `found` to the value of a variable: of the environment, else of the lines before. Status 1: there is none.
look_up() { # look_up NAME
	local in_file="env_file_$1"
	# Not ${!1}: this script's own variables are nobody's business.
	if found=$(printenv "$1" && echo .); then
		found=${found%$'\n'.}
	else
		found=${!in_file-}
		[ -n "${!in_file+x}" ]
	fi
}

# Sets `expanded`.
expand() { # expand TEXT
	local text=$1 out='' name operator word depth at there
	while [[ $text == *\$* ]]; do
		out+=${text%%\$*} text=${text#*\$}
		if [[ $text == \$* ]]; then
			out+=\$ text=${text:1}
		elif [[ $text =~ ^([A-Za-z_][A-Za-z0-9_]*) ]]; then
			name=${BASH_REMATCH[1]} text=${text:${#BASH_REMATCH[1]}}
			look_up "$name" || true
			out+=$found
		elif [[ $text == \{* ]]; then
			for ((at = 1, depth = 1; at < ${#text} && depth > 0; at++)); do
				case ${text:at:1} in
				\{) depth=$((depth + 1)) ;;
				\}) depth=$((depth - 1)) ;;
				esac
			done
			[ $depth -eq 0 ] && [[ ${text:1:at-2} =~ ^([A-Za-z_][A-Za-z0-9_]*)((:?[-+?])(.*))?$ ]] || return 1
			name=${BASH_REMATCH[1]} operator=${BASH_REMATCH[3]} word=${BASH_REMATCH[4]} text=${text:at}
			there=yes
			look_up "$name" || there=no
			if [[ $operator == :* && -z $found ]]; then there=no; fi
			case ${operator#:}$there in
			-no | +yes)
				expand "$word" || return 1
				found=$expanded
				;;
			+no) found= ;;
			\?no) return 1 ;;
			esac
			out+=$found
		else
			out+=\$
		fi
	done
	expanded=$out$text
}

# Sets `value` to what stands between double quotes, with escapes carried out and `$` still to be expanded.
unescape() { # unescape TEXT
	local text=$1 next
	value=
	while [[ $text == *\\* ]]; do
		value+=${text%%\\*} text=${text#*\\}
		next=${text:0:1} text=${text:1}
		case $next in
		n) value+=$'\n' ;;
		r) value+=$'\r' ;;
		t) value+=$'\t' ;;
		a) value+=$'\a' ;;
		b) value+=$'\b' ;;
		f) value+=$'\f' ;;
		v) value+=$'\v' ;;
		\\ | \") value+=$next ;;
		\$) value+=\$\$ ;;
		*) value+=\\$next ;;
		esac
	done
	value+=$text
}

# Fills in what the environment leaves open.
read_env_file() { # read_env_file FILE
	local text line name value quote rest expanded found inside after ours='' number=0
	text=$(cat "$1" && echo .) && text=${text%.}
	text=${text#$'\xef\xbb\xbf'}
	while [ -n "$text" ]; do
		line=${text%%$'\n'*} number=$((number + 1))
		rest=${text:${#line}} rest=${rest#$'\n'}
		[[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([^=:[:space:]#][^=:[:space:]]*)[[:space:]]*([=:][[:space:]]*(.*))?$ ]] || {
			[[ $line =~ ^[[:space:]]*(#.*)?$ ]] || die "'$1', line $number: this is no NAME=VALUE" "correct the line: Compose would refuse the file as well"
			text=$rest
			continue
		}
		name=${BASH_REMATCH[2]} value=${BASH_REMATCH[4]}
		if [ -z "${BASH_REMATCH[3]}" ]; then # a name alone: the environment's
			text=$rest
			continue
		fi
		quote=${value:0:1}
		case $quote in
		\' | \")
			value=${value:1}
			while ! closes "$quote" "$value"; do
				[ -n "$rest" ] || die "'$1', line $number: the value of $name begins with a quote and has no end" "close the quote"
				line=${rest%%$'\n'*} number=$((number + 1)) rest=${rest:${#line}} rest=${rest#$'\n'}
				value+=$'\n'$line
			done
			[[ $after =~ ^[[:space:]]*(#.*)?$ ]] || die "'$1', line $number: something stands behind the quoted value of $name" "put all of the value between the quotes"
			value=$inside
			if [ "$quote" = \" ]; then unescape "$value"; else value=${value//\\\'/\'} ; fi
			;;
		*)
			value=${value%% #*}
			value=${value%"${value##*[![:space:]]}"}
			;;
		esac
		expanded=$value
		if [ "$quote" != \' ]; then
			expand "$value" || die "'$1', line $number: the value of $name cannot be understood" "write \$\$ for a \$, or put the value between single quotes"
		fi
		text=$rest
		[[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || continue
		printf -v "env_file_$name" %s "$expanded"
		case $name in
		DB_* | RETENTION_DAYS | BACKUP_PREFIX | BACKUP_DIR | BACKUP_DRY_RUN)
			# An empty value in the environment is one.
			printenv "$name" >/dev/null || ours+=" $name"
			;;
		esac
	done
	for name in $ours; do
		value=env_file_$name
		export "$name=${!value}"
	done
}

# Whether a quote ends in a text; sets `inside` and `after`.
closes() { # closes QUOTE TEXT
	local at
	for ((at = 0; at < ${#2}; at++)); do
		case ${2:at:1} in
		\\) at=$((at + 1)) ;;
		"$1")
			inside=${2:0:at} after=${2:at+1}
			return 0
			;;
		esac
	done
	return 1
}

env_file=${ENV_FILE:-$REPO/.env.local}
if [ -e "$env_file" ]; then
	[ -r "$env_file" ] || die "'$env_file' cannot be read" "let ENV_FILE name a file that you may read"
	read_env_file "$env_file"
elif [ -n "${ENV_FILE:-}" ]; then
	die "ENV_FILE: there is no file '$ENV_FILE'" "copy .env.example to it, and fill it in"
fi

compose_file=${COMPOSE_FILE:-$REPO/docker/compose.dev.yml}
db_service=${DB_SERVICE:-db}
folder=${BACKUP_DIR:-$REPO/backups}
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
prefix=${BACKUP_PREFIX:-db}
[[ $prefix =~ ^[a-z0-9][a-z0-9._-]{0,62}$ ]] ||
	die "BACKUP_PREFIX: '$prefix' cannot be a target's name" "use 1 to 63 of a-z, 0-9, dot, dash and underscore, a letter or digit first"
case ${BACKUP_DRY_RUN:-} in
'' | 0 | false | no | off) dry_run=() ;;
1 | true | yes | on) dry_run=(--dry-run) ;;
*) die "BACKUP_DRY_RUN: '$BACKUP_DRY_RUN' is neither yes nor no" "use 1 or 0" ;;
esac
# Unquoted values of a variable that is there are worth more than a guess about another database.
if [ -z "${DATABASE_URL:-}" ]; then
	export DB_DATABASE=${DB_DATABASE:-aimtrack} DB_USERNAME=${DB_USERNAME:-aimtrack}
fi

export BACKUP_TARGET=${BACKUP_TARGET:-$prefix} BACKUP_RETENTION_DAYS=${BACKUP_RETENTION_DAYS:-${RETENTION_DAYS:-7}}
program=${KLUIS_BIN:-$(command -v kluis || true)}
# What is this script's own, kluis would take for a misspelt setting.
unset BACKUP_PREFIX BACKUP_DRY_RUN KLUIS_BIN KLUIS_PG_CACHE KLUIS_DEBIAN_MIRROR

# ---------------------------------------------------------------- the program

if [ -n "$program" ]; then
	[ -x "$program" ] || die "KLUIS_BIN: '$program' is no program" "unset it, or let it name the kluis program"
	if [ -z "${DATABASE_URL:-}" ]; then
		# The service's name is known in its own network only; its port is published on this machine.
		if [ -z "${DB_HOST:-}" ] || [ "$DB_HOST" = "$db_service" ]; then export DB_HOST=127.0.0.1; fi
	fi
	export BACKUP_DIR=$folder
	exec "$program" backup "${dry_run[@]}"
fi

# ---------------------------------------------------------------- the service

{ command -v docker >/dev/null && docker compose version >/dev/null 2>&1; } ||
	die "there is neither a program kluis in PATH nor Docker Compose" "cargo install --path $REPO, or install Docker with Compose"
[ -r "$compose_file" ] || die "COMPOSE_FILE: '$compose_file' cannot be read" "let it name a Compose file with a service 'backup'"
[ -z "${DATABASE_URL:-}" ] || die "DATABASE_URL is for the program, and there is no kluis in PATH" "unset it, or cargo install --path $REPO"

compose=(docker compose --file "$compose_file" --profile backup)
if [ -e "$env_file" ]; then compose+=(--env-file "$env_file"); fi
# So that only this file counts, whatever is exported.
unset COMPOSE_FILE
services=$("${compose[@]}" config --services) || exit 2
grep -qx backup <<<"$services" || die "'$compose_file' has no service 'backup'" "take it from docker/compose.dev.yml, or put kluis into PATH"

mkdir -p "$folder"
[ -z "$(find "$folder" -maxdepth 0 -empty)" ] || chmod 0700 "$folder"
passwd=$(mktemp)
trap 'rm -f "$passwd"' EXIT
user=$(id -u) group=$(id -g)
if [ "$user" -eq 0 ]; then
	# Root without capabilities is nobody special, and PostgreSQL refuses it: the files become those of the image's own user.
	user=999 group=999
	if [ -n "$(find "$folder" -maxdepth 0 -empty)" ]; then chown 999:999 "$folder"; fi
fi
# The backups shall belong to who made them, and initdb wants that user to have a name.
printf '%s\n' root:x:0:0::/:/bin/sh "developer:x:$user:$group::/tmp:/bin/sh" >"$passwd"
chmod 0644 "$passwd"
options=(--rm --user "$user:$group" --volume "$passwd:/etc/passwd:ro" -e "DB_HOST=$db_service" -e DB_DATABASE -e DB_USERNAME -e BACKUP_TARGET -e BACKUP_RETENTION_DAYS)
# The password by name only: an argument could be read by every user of this machine.
if [ -n "${DB_PASSWORD:-}" ]; then options+=(-e DB_PASSWORD); fi
[ -t 0 ] && [ -t 1 ] || options+=(--no-TTY)
status=0
DEV_BACKUPS=$folder "${compose[@]}" run "${options[@]}" backup backup "${dry_run[@]}" || status=$?
exit $status
