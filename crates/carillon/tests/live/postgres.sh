#!/usr/bin/env bash
# A private PostgreSQL cluster: postgres.sh DIR prints {"url":"postgres://…"} and lives as life.sh says.
#
# Durable as shipped (fsync and synchronous_commit stay on), so that what tests see is what operators get.
# PostgreSQL refuses to run as root: then it runs as the user postgres, or nobody.
. "$(dirname "$0")/life.sh"

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[[ -n $bin ]] || bin=$(dirname "$(realpath "$(command -v initdb || true)")")
[[ -x $bin/initdb ]] || fail "PostgreSQL is not installed" "scripts/install postgres"

begin "${1:-}" postgres
as=()
if [[ $EUID == 0 ]]; then
  user=postgres
  id "$user" >/dev/null 2>&1 || user=nobody
  as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups --)
  chmod a+x "$(dirname "$home")"
  chown "$user" "$home"
fi
chmod 700 "$home"
cd "$home"

log=$home/log
# initdb writes tens of megabytes: it need not wait for the disk, a cluster that is cut short is thrown away.
"${as[@]}" "$bin/initdb" -D "$home/data" -U carillon --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$log" 2>&1 ||
  { cat "$log" >&2 && fail "initdb failed" "its output is above"; }

started=
for _ in 1 2 3 4 5; do
  port=$(free_port)
  serve INT "$log" "${as[@]}" "$bin/postgres" -D "$home/data" -k "$home" -h 127.0.0.1 -p "$port"
  if until_true 30 "$bin/pg_isready" -q -h "$home" -p "$port" -U carillon -d postgres; then
    started=yes
    break
  fi
done
[[ -n $started ]] || { cat "$log" >&2 && fail "PostgreSQL did not start" "its log is above"; }
ready "{\"url\":\"postgres://carillon@127.0.0.1:$port/postgres\",\"socket\":\"$home\"}"
