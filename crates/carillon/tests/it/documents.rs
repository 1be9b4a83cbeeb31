//! Generated documents are the committed ones. `UPDATE_DOCS=1 cargo test -p carillon documents`
//! writes them anew.

use std::path::Path;

use carillon::config::SETTINGS;

mod networks;

fn is_committed(name: &str, made: &str) {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, made).expect("the document can be written");
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == made, "docs/{name} is not what the code says: look at it, then UPDATE_DOCS=1");
}

#[test]
fn configuration() {
    let mut text = String::from(
        "# Settings\n\nRead from the environment at start; `carillon config print` shows the present values, `carillon config check` \
         names every mistake at once. Secrets are printed masked. Made from the code.\n\n| name | unset | what |\n|---|---|---|\n",
    );
    for s in SETTINGS {
        let default =
            if s.default.is_empty() { "–".to_owned() } else { format!("`{}`", s.default) };
        let secret = if s.secret { " (secret)" } else { "" };
        text += &format!("| `{}` | {default} | {}{secret} |\n", s.name, s.help);
    }
    is_committed("configuration.md", &text);
}

#[test]
fn openapi() {
    let made = carillon::web::openapi().to_pretty_json().expect("a document");
    assert!(made.contains("\"openapi\": \"3.1"));
    is_committed("api.json", &format!("{made}\n"));
}
