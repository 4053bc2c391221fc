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

# Fills in what the environment leaves open. The file is read, not run: it is written for Compose, not for a shell.
read_env_file() { # read_env_file FILE
	local line name value
	while IFS= read -r line || [ -n "$line" ]; do
		line=${line%$'\r'}
		[[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] || continue
		name=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]}
		case $name in
		DB_* | RETENTION_DAYS | BACKUP_PREFIX | BACKUP_DIR | BACKUP_DRY_RUN) ;;
		*) continue ;;
		esac
		[ -z "${!name:-}" ] || continue
		if [[ $value =~ ^\'([^\']*)\' ]] || [[ $value =~ ^\"([^\"]*)\" ]]; then
			value=${BASH_REMATCH[1]}
		else
			value=${value%%[[:space:]]#*}
			value=${value%"${value##*[![:space:]]}"}
			value=${value//\$\$/\$} # as Compose reads it
		fi
		export "$name=$value"
	done <"$1"
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
