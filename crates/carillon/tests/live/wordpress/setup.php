<?php
// Makes a fresh WordPress usable: tables, permalinks, an editor with an application password.
// Run once on the command line: php setup.php SITE_FOLDER. Prints the editor's account as JSON.

define('WP_INSTALLING', true);

// WordPress would mail the administrator about the new site.
function wp_mail()
{
    return true;
}

require $argv[1] . '/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';

function or_exit($result)
{
    if (is_wp_error($result)) {
        fwrite(STDERR, $result->get_error_message() . "\n");
        exit(1);
    }
    return $result;
}

wp_install('Carillon tests', 'admin', 'admin@example.test', true, '', wp_generate_password(24, false));
update_option('permalink_structure', '/%year%/%monthnum%/%postname%/');
flush_rewrite_rules(false);

$editor = or_exit(wp_insert_user([
    'user_login' => 'editor',
    'user_email' => 'editor@example.test',
    'user_pass' => wp_generate_password(24, false),
    'display_name' => 'Edith Editor',
    'role' => 'editor',
]));
[$password] = or_exit(WP_Application_Passwords::create_new_application_password($editor, ['name' => 'Carillon']));

// As WordPress shows it to a person: in groups of four.
echo json_encode(['username' => 'editor', 'applicationPassword' => WP_Application_Passwords::chunk_password($password)]), "\n";
