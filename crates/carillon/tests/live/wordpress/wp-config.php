<?php
// The settings of the WordPress that the tests talk to. start.sh passes the socket and the address.

define('DB_NAME', 'wordpress');
define('DB_USER', 'wordpress');
define('DB_PASSWORD', 'wordpress');
define('DB_HOST', 'localhost:' . getenv('CARILLON_WP_SOCKET'));
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
$table_prefix = 'wp_';

// The port is another one at each start: the address is not what the database remembers.
define('WP_HOME', getenv('CARILLON_WP_URL'));
define('WP_SITEURL', getenv('CARILLON_WP_URL'));

// Application passwords are refused over plain http, unless the site says that it is local.
define('WP_ENVIRONMENT_TYPE', 'local');

// Nothing but the test changes the site, and nothing leaves the machine.
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
define('DISABLE_WP_CRON', true);
define('WP_DEBUG', false);

require __DIR__ . '/salts.php';

if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
