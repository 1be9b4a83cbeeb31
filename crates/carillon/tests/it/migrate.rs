//! From one schema to the next: copied before, whole or not at all, and a stranger's data untouched.

use std::path::{Path, PathBuf};

use carillon::db::{Db, Error, Location, MIGRATIONS, Migration};
use carillon::params;
use sha2::{Digest, Sha256};

use crate::support::process::as_nobody;
use crate::support::{START, postgres_schema};

const MORE: Migration = Migration {
    version: 9_999,
    name: "more",
    sql: "CREATE TABLE more (id TEXT PRIMARY KEY); INSERT INTO more (id) VALUES ('made');",
};
/// Its first half can be done, its second cannot.
const BROKEN: Migration = Migration {
    version: 9_999,
    name: "broken",
    sql: "CREATE TABLE half (id TEXT PRIMARY KEY); DELETE FROM workspace; ALTER TABLE no_such_table ADD COLUMN x TEXT;",
};

/// This version's, and one that is not written yet.
fn and(last: Migration) -> &'static [Migration] {
    let mut all = MIGRATIONS.to_vec();
    all.push(last);
    all.leak()
}

async fn add_workspace(db: &Db) {
    db.write(|tx| async move {
        tx.execute(
            "INSERT INTO workspace (id, name, timezone, created_at) VALUES ('w', 'The Anchor', 'UTC', 1)",
            params![],
        )
        .await
    })
    .await
    .expect("a workspace");
}

async fn count(db: &Db, sql: &'static str) -> Result<i64, Error> {
    let row = db.read(move |tx| async move { tx.row(sql, params![]).await }).await?;
    row.expect("a count").int("n")
}

const WORKSPACES: &str = "SELECT count(*) AS n FROM workspace";

/// A file of today's schema with a workspace in it; nothing has it open any more.
async fn file_of_today(dir: &Path) -> Location {
    let at = Location::Sqlite(dir.join("carillon.db"));
    let (db, migrated) = Db::open(&at, START).await.expect("a new database");
    assert!(migrated.backup.is_none(), "of nothing no copy is taken");
    assert_eq!(migrated.applied.len(), MIGRATIONS.len());
    add_workspace(&db).await;
    at
}

/// Databases that applied one would keep what it said before.
#[test]
fn what_was_released_is_not_edited() {
    let released = [
        "b7ce3c5811c78b09b3c8f6d4a2a8e51eacdb75a206932891e71c84fcde8f273a",
        "9b26da69a4c8a16d803458d9c7f5561d91aadc3d7a76859ddbb9a43ed094721b",
    ];
    for (migration, hash) in MIGRATIONS.iter().zip(released) {
        let found: String =
            Sha256::digest(migration.sql).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(found, hash, "{:04}_{}", migration.version, migration.name);
    }
}

/// The first schema that was released, with data, to today's.
#[tokio::test]
async fn the_oldest_schema_is_brought_to_todays_with_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = Location::Sqlite(dir.path().join("carillon.db"));
    for at in [sqlite, Location::Postgres(postgres_schema().await)] {
        let (db, _) = Db::open_with(&at, &MIGRATIONS[..1], START).await.expect("the oldest");
        add_workspace(&db).await;
        drop(db);
        let (db, migrated) = Db::open(&at, START + 1).await.expect("it is brought on");
        assert_eq!(migrated.applied.len(), MIGRATIONS.len() - 1);
        assert_eq!(migrated.backup.is_some(), matches!(at, Location::Sqlite(_)));
        assert_eq!(count(&db, WORKSPACES).await.unwrap(), 1);
    }
}

fn copies(dir: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(dir).expect("the folder").map(|e| e.expect("an entry").path());
    all.filter(|p| p.to_string_lossy().contains(".before-")).collect()
}

#[tokio::test]
async fn a_sqlite_file_is_copied_before_it_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let at = file_of_today(dir.path()).await;
    let (db, migrated) = Db::open_with(&at, and(MORE), START).await.expect("it is brought on");
    assert_eq!(migrated.applied, ["9999_more"]);
    let copy = migrated.backup.expect("a copy");
    let name = copy.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(name, format!("carillon.db.before-9999-{START}"));
    assert_eq!(count(&db, "SELECT count(*) AS n FROM more").await.unwrap(), 1);
    assert_eq!(count(&db, WORKSPACES).await.unwrap(), 1);

    let (old, again) = Db::open(&Location::Sqlite(copy), START).await.expect("the copy opens");
    assert!(again.applied.is_empty(), "it is of the schema before");
    assert_eq!(count(&old, WORKSPACES).await.unwrap(), 1);
    assert!(count(&old, "SELECT count(*) AS n FROM more").await.is_err());

    let (_, third) = Db::open_with(&at, and(MORE), START + 1).await.expect("it opens again");
    assert!(third.applied.is_empty() && third.backup.is_none(), "once is enough");
}

#[tokio::test]
async fn a_migration_that_fails_changes_nothing_and_names_the_copy() {
    let dir = tempfile::tempdir().unwrap();
    let at = file_of_today(dir.path()).await;
    let e = Db::open_with(&at, and(BROKEN), START).await.err().expect("it fails");
    let copies = copies(dir.path());
    assert_eq!(copies.len(), 1);
    let said = e.to_string();
    assert!(said.contains("nothing was changed"), "{said}");
    assert!(said.contains("no_such_table"), "{said}");
    assert!(said.contains(&copies[0].display().to_string()), "{said}");
    let (db, migrated) = Db::open(&at, START).await.expect("the version before goes on");
    assert!(migrated.applied.is_empty());
    assert_eq!(count(&db, WORKSPACES).await.unwrap(), 1);
    assert!(count(&db, "SELECT count(*) AS n FROM half").await.is_err());
}

#[tokio::test]
async fn without_a_copy_nothing_is_migrated() {
    let dir = tempfile::tempdir().unwrap();
    let at = file_of_today(dir.path()).await;
    // Where the copy is to be there is a folder: it cannot be written.
    std::fs::create_dir(dir.path().join(format!("carillon.db.before-9999-{START}"))).unwrap();
    let e = Db::open_with(&at, and(MORE), START).await.err().expect("it is refused");
    assert!(e.to_string().contains("make room beside the database"), "{e}");
    let (db, _) = Db::open(&at, START).await.expect("the version before goes on");
    assert!(count(&db, "SELECT count(*) AS n FROM more").await.is_err());
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    for at in [file_of_today(dir.path()).await, Location::Postgres(postgres_schema().await)] {
        drop(Db::open_with(&at, and(MORE), START).await.expect("the newer version"));
        let e = Db::open(&at, START).await.err().expect("the older one refuses");
        assert!(e.to_string().contains("has schema 9999"), "{e}");
        assert!(e.to_string().contains("start the newer Carillon"), "{e}");
    }
}

#[tokio::test]
async fn a_strangers_file_is_refused_and_not_touched() {
    let theirs = [
        "CREATE TABLE songs (name TEXT)",
        "CREATE TABLE schema_version (version TEXT); INSERT INTO schema_version VALUES ('1.1')",
        "CREATE TABLE schema_version (installed_rank INT)",
        "CREATE TABLE schema_version (version BIGINT); INSERT INTO schema_version VALUES (1); CREATE TABLE songs (name TEXT)",
    ];
    for (i, sql) in theirs.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("theirs.db");
        rusqlite::Connection::open(&file).unwrap().execute_batch(sql).unwrap();
        let before = std::fs::read(&file).unwrap();
        let e = Db::open(&Location::Sqlite(file.clone()), START).await.err().expect("refused");
        assert!(e.to_string().contains("name another file or database"), "{i}: {e}");
        if i == 0 {
            assert_eq!(std::fs::read(&file).unwrap(), before, "not a byte of it is changed");
        }
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("letter.db");
    let letter = "Dear Anchor, this is no database at all. ".repeat(100);
    std::fs::write(&file, &letter).unwrap();
    let e = Db::open(&Location::Sqlite(file.clone()), START).await.err().expect("refused");
    assert!(matches!(e, Error::Corrupt(_)), "{e:?}");
    assert!(e.to_string().contains("name another file"), "{e}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), letter);
    // A folder in the file's place, and a folder that is not there.
    for path in [dir.path().to_owned(), dir.path().join("nowhere/carillon.db")] {
        let e = Db::open(&Location::Sqlite(path.clone()), START).await.err().expect("refused");
        assert!(matches!(e, Error::Unavailable(_)), "{e:?}");
        assert!(e.to_string().contains(&path.display().to_string()), "{e}");
        assert!(e.to_string().contains("see that its folder is there"), "{e}");
    }
}

/// By a user who may read both but write neither; root may write everything.
#[tokio::test]
async fn a_read_only_file_or_folder_is_said_to_be_one() {
    use std::os::unix::fs::PermissionsExt;
    let may = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let dir = tempfile::tempdir().unwrap();
    may(dir.path(), 0o755);
    let file_of = |name: &str| dir.path().join(name);
    for (name, dir_mode, file_mode) in
        [("folder", 0o555, Some(0o666)), ("file", 0o777, Some(0o444)), ("new", 0o555, None)]
    {
        let home = file_of(name);
        std::fs::create_dir(&home).unwrap();
        if let Some(mode) = file_mode {
            drop(file_of_today(&home).await);
            may(&home.join("carillon.db"), mode);
        }
        // The keys are read before the database is opened.
        std::fs::write(home.join("keys"), "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
            .unwrap();
        may(&home.join("keys"), 0o644);
        may(&home, dir_mode);
        let out = as_nobody(&["post", "list"], &home);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(5), "{name}: {said}");
        assert!(said.contains("cannot be opened for writing"), "{name}: {said}");
        assert!(said.contains("belong to the user that Carillon runs as"), "{name}: {said}");
        may(&home, 0o755);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_migrate_at_once_take_turns() {
    for _ in 0..5 {
        let at = Location::Postgres(postgres_schema().await);
        let open = |migrations| {
            let at = at.clone();
            tokio::spawn(async move { Db::open_with(&at, migrations, START).await })
        };
        let nodes = [(); 4].map(|()| open(MIGRATIONS));
        let mut applied = 0;
        for node in nodes {
            applied += node.await.unwrap().expect("every node opens").1.applied.len();
        }
        assert_eq!(applied, MIGRATIONS.len(), "each migration is applied once");
        let nodes = [(); 4].map(|()| open(and(MORE)));
        let mut applied = Vec::new();
        for node in nodes {
            let (_, migrated) = node.await.unwrap().expect("every node opens");
            assert!(migrated.backup.is_none());
            applied.extend(migrated.applied);
        }
        assert_eq!(applied, ["9999_more"]);
    }
}

#[tokio::test]
async fn a_migration_that_fails_on_postgres_changes_nothing() {
    let at = Location::Postgres(postgres_schema().await);
    let (db, _) = Db::open(&at, START).await.expect("a new database");
    add_workspace(&db).await;
    let e = Db::open_with(&at, and(BROKEN), START).await.err().expect("it fails");
    assert!(e.to_string().contains("nothing was changed"), "{e}");
    assert_eq!(count(&db, WORKSPACES).await.unwrap(), 1);
    assert!(count(&db, "SELECT count(*) AS n FROM half").await.is_err());
    Db::open(&at, START).await.expect("the version before goes on");
}

/// Tables of the same names that another program made, in a schema of its own.
#[tokio::test]
async fn a_strangers_schema_on_postgres_is_refused() {
    let url = postgres_schema().await;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("CREATE TABLE job (name TEXT)").await.unwrap();
    let e = Db::open(&Location::Postgres(url), START).await.err().expect("refused");
    assert!(e.to_string().contains("not Carillon's"), "{e}");
}
