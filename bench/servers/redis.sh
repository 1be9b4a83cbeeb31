#!/usr/bin/env bash
# A private Redis: redis.sh DIR everysec|always prints {"url":"redis://…","pid":…} and lives as life.sh says.
. "$(dirname "$0")/../../crates/carillon/tests/live/life.sh"

command -v redis-server >/dev/null || fail "Redis is not installed" "scripts/install redis"
begin "${1:-}" redis

started=
for _ in 1 2 3 4 5; do
  port=$(free_port)
  serve TERM "$home/log" redis-server --port "$port" --bind 127.0.0.1 --dir "$home" --save '' \
    --appendonly yes --appendfsync "${2:?everysec or always}" --maxmemory-policy noeviction
  if until_true 10 redis-cli -p "$port" ping; then
    started=yes
    break
  fi
done
[[ -n $started ]] || { cat "$home/log" >&2 && fail "Redis did not start" "its log is above"; }
ready "{\"url\":\"redis://127.0.0.1:$port\",\"pid\":$server}"
