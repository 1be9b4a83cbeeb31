# Sourced by the scripts beside it: how long a live server lives.
#
# A script starts its servers with `serve`, prints one line of JSON with `ready` and stays until its stdin
# closes, it gets TERM, or a server ends by itself. One guard process does the cleaning: it is told each
# process group, and waits on a pipe that only the script holds. However the script ends, by `kill -9` too,
# the pipe closes and the guard stops every group and removes the private folder, and DIR when nothing else
# is in it.
set -euo pipefail

live=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
servers=()
cache=${CARILLON_CACHE:-$HOME/.cache/carillon}

fail() {
  printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

# Sets `home`, a new private folder $1/$2 that goes when the servers have gone.
begin() {
  local dir=${1:?usage: $0 DIR}
  mkdir -p "$dir"
  home=$(realpath "$dir")/$2
  mkdir "$home" || fail "$home cannot be made" "give every start a folder of its own"
  exec {guard_pipe}> >(guard "$home")
  guard_pid=$!
  trap end EXIT
  trap 'exit 143' TERM
  trap 'exit 130' INT
}

end() {
  trap - EXIT
  exec {guard_pipe}>&-
  wait "$guard_pid" || true
}

# Reads `GROUP SIGNAL` lines until the script is gone, then stops the groups, the last started first.
guard() {
  trap '' INT TERM HUP
  local folder=$1 group signal groups=() tries
  while read -r group signal; do groups=("$group $signal" "${groups[@]}"); done
  for group in "${groups[@]}"; do
    read -r group signal <<<"$group"
    kill -s "$signal" -- "-$group" 2>/dev/null || continue
    for ((tries = 0; tries < 200; tries++)); do
      kill -0 -- "-$group" 2>/dev/null || break
      sleep 0.05
    done
    kill -s KILL -- "-$group" 2>/dev/null || true
  done
  rm -rf "$folder"
  rmdir --ignore-fail-on-non-empty "$(dirname "$folder")"
}

# serve SIGNAL LOG COMMAND…: starts a server in a process group of its own, sets `server`. LOG ends in `log`.
serve() {
  local signal=$1 log=$2
  shift 2
  setsid -- "$@" {guard_pipe}>&- </dev/null >>"$log" 2>&1 &
  server=$!
  printf '%s %s\n' "$server" "$signal" >&"$guard_pipe"
}

# until_true SECONDS COMMAND…: tries until the command succeeds. When `server` ends before that or time is
# up, the server is gone for good and another one may be tried.
until_true() {
  local tries=$(($1 * 50))
  shift
  while ((tries-- > 0)) && kill -0 "$server" 2>/dev/null; do
    if "$@" >/dev/null 2>&1; then
      servers+=("$server")
      return 0
    fi
    sleep 0.02
  done
  kill -s KILL -- "-$server" 2>/dev/null || true
  wait "$server" || true
  return 1
}

# stop_server: ends the last server in its own time, as its data must be whole.
stop_server() {
  kill "$server"
  wait "$server" || true
  unset 'servers[-1]'
}

free_port() {
  node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'
}

# ready JSON: tells the caller, then stays until stdin closes, a signal comes or a server ends.
ready() {
  printf '%s\n' "$1"
  cat <&0 >/dev/null {guard_pipe}>&- &
  local watcher=$!
  wait -n "$watcher" "${servers[@]}" || true
  if kill -0 "$watcher" 2>/dev/null; then
    kill "$watcher"
    tail -n 40 "$home"/*log >&2 || true
    fail "a server ended by itself" "the end of its log is above"
  fi
}
