//! Generated documents are the committed ones. `UPDATE_DOCS=1 cargo test -p carillon documents`
//! writes them anew.

use std::fmt::Write;
use std::path::Path;

use carillon::config::SETTINGS;

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
        writeln!(text, "| `{}` | {default} | {}{secret} |", s.name, s.help).unwrap();
    }
    is_committed("configuration.md", &text);
}

#[test]
fn openapi() {
    let made = carillon::web::openapi().to_pretty_json().expect("a document");
    assert!(made.contains("\"openapi\": \"3.1"));
    is_committed("api.json", &format!("{made}\n"));
}

#[test]
fn networks() {
    let mut text = String::from(
        "# Networks\n\nWhat each takes, how a lost answer is settled, and what it can do. Made from the connectors' own SPEC.\n\n\
         | network | placement | text | pictures | send class | delete | alt text |\n|---|---|---|---|---|---|---|\n",
    );
    for network in carillon_networks::ALL {
        let spec = network.spec();
        for p in spec.placements {
            let class = serde_json::to_value(p.send).unwrap()["class"].as_str().unwrap().to_owned();
            let bytes = p.text.max_bytes.map_or(String::new(), |b| format!(", {b} bytes"));
            let caption =
                p.text.max_with_media.map_or(String::new(), |m| format!(" ({m} with a picture)"));
            let yes = |b: bool| if b { "yes" } else { "no" };
            writeln!(
                text,
                "| {} | {} | {} {}{caption}{bytes} | {}–{} | {class} | {} | {} |",
                spec.name,
                p.name,
                p.text.max,
                p.text.count.unit(),
                p.media.min,
                p.media.max,
                yes(spec.abilities.delete),
                yes(spec.abilities.alt_text),
            )
            .unwrap();
        }
    }
    is_committed("networks.md", &text);
}
