//! Every SQL statement of the store prepares on both databases, with placeholders in order.

use std::path::Path;

use crate::support::{On, TestApp};

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_prepares_on_both() {
    let (sqlite, postgres) = (TestApp::new(On::Sqlite).await, TestApp::new(On::Postgres).await);
    let found = statements(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store")));
    assert!(found.len() > 80, "only {} statements found: does the search still work?", found.len());
    let mut wrong = Vec::new();
    for (file, sql) in found {
        if let Err(why) = in_order(&sql) {
            wrong.push(format!("{file}: {why}: {sql}"));
        }
        let sql: &'static str = Box::leak(sql.into_boxed_str());
        let (only_sqlite, only_postgres) = (
            file.ends_with("sqlite.rs"),
            file.ends_with("postgres.rs")
                || sql.contains("FOR UPDATE")
                || sql.contains("pg_advisory"),
        );
        if !only_postgres && let Err(e) = sqlite.app.db.prepares(sql).await {
            wrong.push(format!("{file} on SQLite: {e}: {sql}"));
        }
        if !only_sqlite && let Err(e) = postgres.app.db.prepares(sql).await {
            wrong.push(format!("{file} on PostgreSQL: {e}: {sql}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn placeholders_out_of_order_are_found() {
    assert!(in_order("UPDATE a SET b = $1 WHERE c = $2").is_ok());
    assert!(in_order("UPDATE a SET b = $2 WHERE c = $1").is_err());
    assert!(in_order("SELECT $1, $3").is_err());
    assert!(in_order("SELECT $1 WHERE a = $1").is_err(), "each placeholder stands once");
}

/// `$1 $2 $3 …`, each once, in order of appearance.
fn in_order(sql: &str) -> Result<(), String> {
    for (i, rest) in sql.split('$').skip(1).enumerate() {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        if digits.parse::<usize>() != Ok(i + 1) {
            return Err(format!("placeholder {} is ${digits}", i + 1));
        }
    }
    Ok(())
}

/// String literals in the store that begin as SQL does.
fn statements(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("the store's folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(statements(&path));
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("a source file");
        for literal in literals(&source) {
            let begins = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];
            if begins.iter().any(|b| literal.starts_with(b)) {
                found.push((path.display().to_string(), literal));
            }
        }
    }
    found
}

/// The string literals of a Rust source, with `\` line ends and `\"` undone.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = source
        .lines()
        .filter(|l| !l.trim_start().starts_with("//"))
        .flat_map(|l| l.chars().chain(['\n']))
        .peekable();
    while let Some(c) = chars.next() {
        if c == '\'' && chars.peek() == Some(&'"') {
            chars.next();
            continue;
        }
        if c != '"' {
            continue;
        }
        let mut text = String::new();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => match chars.next() {
                    Some('\n') => {
                        while chars.peek().is_some_and(|c| c.is_whitespace()) {
                            chars.next();
                        }
                    }
                    Some(c) => text.push(c),
                    None => break,
                },
                c => text.push(c),
            }
        }
        found.push(text);
    }
    found
}
