#!/usr/bin/env bash
# A real WordPress: start.sh DIR prints {"url","username","applicationPassword"} and lives as life.sh says.
#
# Debian's WordPress on PHP's built-in server, over a private MariaDB that is reached by its socket only.
# The first start sets a site up and keeps it in the cache, keyed by the versions of the programs and by the
# files of this folder; every start runs on a copy.
. "$(dirname "$0")/../life.sh"

for program in php mariadbd mariadb mariadb-install-db; do
  command -v "$program" >/dev/null || fail "$program is not installed" "scripts/install wordpress"
done
[[ -f /usr/share/wordpress/wp-load.php ]] || fail "/usr/share/wordpress is missing" "scripts/install wordpress"

begin "${1:-}" wordpress
cd "$home"
log=$home/log
export CARILLON_WP_SOCKET=$home/mariadb.sock CARILLON_WP_URL=http://127.0.0.1

# MariaDB does not run as root.
as=()
if [[ $EUID == 0 ]]; then
  as=(setpriv --reuid mysql --regid "$(id -g mysql)" --clear-groups --)
  chmod a+x "$(dirname "$home")"
  chgrp mysql "$home"
  chmod 770 "$home"
fi

quietly() { "$@" >>"$log" 2>&1 || { tail -n 40 "$log" >&2 && fail "\`$1\` failed" "its output is above"; }; }

# The data are thrown away at the end: nothing waits for the disk, and the files are small to copy.
start_database() {
  serve TERM "$log" "${as[@]}" mariadbd --no-defaults --datadir="$home/data" --socket="$CARILLON_WP_SOCKET" \
    --pid-file="$home/data/pid" --init-file="$home/database.sql" --skip-networking --skip-log-bin \
    --innodb-log-file-size=8M --innodb-buffer-pool-size=32M --innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync
  until_true 30 mariadb --no-defaults --socket="$CARILLON_WP_SOCKET" --user=wordpress --password=wordpress wordpress -e 'select 1' ||
    { tail -n 40 "$log" >&2 && fail "MariaDB did not start" "its log is above"; }
}

set_up() {
  # Debian's tree is made of links into its parts: followed, so that the site is whole and writable.
  mkdir site data
  cp -rL /usr/share/wordpress/. site
  cp "$live/wordpress/wp-config.php" site
  local name
  {
    printf '<?php\n'
    for name in AUTH_KEY SECURE_AUTH_KEY LOGGED_IN_KEY NONCE_KEY AUTH_SALT SECURE_AUTH_SALT LOGGED_IN_SALT NONCE_SALT; do
      printf "define('%s', '%s');\n" "$name" "$(head -c 48 /dev/urandom | base64 -w0)"
    done
  } >site/salts.php

  [[ $EUID != 0 ]] || chown mysql data
  quietly "${as[@]}" mariadb-install-db --no-defaults --datadir="$home/data" --auth-root-authentication-method=normal \
    --skip-test-db --innodb-log-file-size=8M
  start_database
  php "$live/wordpress/setup.php" "$home/site" >account.json 2>>"$log" ||
    { tail -n 40 "$log" account.json >&2 && fail "the site could not be set up" "the output of setup.php is above"; }
  stop_server

  mkdir -p "$cache/wordpress"
  local work
  work=$(mktemp -d "$cache/wordpress/.new.XXXXXX")
  cp -a site data account.json "$work"
  mv -T "$work" "$kept" 2>/dev/null || rm -rf "$work"
  # Sites of other versions go when nobody has used them for a month.
  find "$cache/wordpress" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} +
}

key=$({ php --version && mariadbd --version && cat /usr/share/wordpress/wp-includes/version.php "$live/life.sh" "$live"/wordpress/*; } | sha256sum)
kept=$cache/wordpress/${key:0:20}
cp "$live/wordpress/database.sql" .
chmod a+r database.sql
if [[ -d $kept ]]; then
  touch "$kept"
  cp -a "$kept"/{data,account.json} .
  # WordPress's own files never change here, only uploads are added: links do, where the file system has them.
  cp -al "$kept/site" site 2>/dev/null || { rm -rf site && cp -a "$kept/site" site; }
else
  set_up
fi
start_database

# PHP's own server answers several requests at a time with its workers; opcache spares it compiling
# WordPress for each. A path that is no file goes to index.php, as permalinks need it.
export PHP_CLI_SERVER_WORKERS=4
started=
for _ in 1 2 3 4 5; do
  port=$(free_port)
  export CARILLON_WP_URL=http://127.0.0.1:$port
  serve TERM "$home/php.log" php -d opcache.enable_cli=1 -d upload_max_filesize=64M -d post_max_size=72M -d display_errors=stderr \
    -S "127.0.0.1:$port" -t "$home/site"
  if until_true 30 php -r 'exit(file_get_contents($argv[1]) === false ? 1 : 0);' "$CARILLON_WP_URL/wp-json/"; then
    started=yes
    break
  fi
done
[[ -n $started ]] || { tail -n 40 php.log >&2 && fail "PHP's server did not start" "its log is above"; }

account=$(<account.json)
ready "{\"url\":\"$CARILLON_WP_URL\",${account#\{}"
