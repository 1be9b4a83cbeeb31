//! A database that is locked, or full, or answers late; and units of work that go wrong.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use carillon::db::{Db, Error, Location};
use carillon::domain::refusal::Kind;
use carillon::params;
use carillon::publishing::schedule;

use crate::both;
use crate::support::{On, START, TestApp};

both! {
    /// PostgreSQL would answer such a unit's COMMIT with a rollback and no error.
    async fn a_unit_that_goes_on_after_a_failed_statement_is_refused_or_stands(t: TestApp) {
        let went = t.app.db.write(|tx| async move {
            tx.execute("INSERT INTO idempotency VALUES ('w', 'k', 'h', 200, '', 1)", params![]).await?;
            let failed = tx.execute("INSERT INTO no_such_table VALUES (1)", params![]).await;
            assert!(failed.is_err());
            Ok::<_, Error>(())
        }).await;
        let stands = t.app.db.read(|tx| async move {
            tx.row("SELECT workspace_id FROM idempotency WHERE idempotency_key = 'k'", params![]).await
        }).await.unwrap().is_some();
        assert_eq!(went.is_ok(), stands, "what is answered is what is there: {went:?}");
    }

    /// Dropped in the middle: the half of it is not carried into the next unit's commit.
    async fn half_a_unit_is_never_committed(t: TestApp) {
        for i in 0..20i64 {
            let db = t.app.db.clone();
            let unit = tokio::spawn(async move {
                db.write(move |tx| async move {
                    tx.execute("INSERT INTO idempotency VALUES ('w', $1, 'h', 200, '', 1)", params![format!("{i}")]).await?;
                    if tx.is_postgres() {
                        std::future::pending::<()>().await;
                    }
                    Err::<(), _>(Error::Refused("half way".into()))
                }).await
            });
            if t.app.db.is_postgres() {
                for _ in 0..i { tokio::task::yield_now().await; }
                unit.abort();
            }
            let _ = unit.await;
        }
        for _ in 0..40 {
            t.app.db.write(|tx| async move { tx.execute("DELETE FROM idempotency WHERE workspace_id = 'nobody'", params![]).await }).await.unwrap();
        }
        let row = t.app.db.read(|tx| async move {
            tx.row("SELECT count(*) AS n FROM idempotency", params![]).await
        }).await.unwrap().unwrap();
        assert_eq!(row.int("n").unwrap(), 0);
    }
}

/// A unit that finds the disk full ends its group's transaction: its neighbours are told, and what
/// is told is what is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_in_the_middle_of_a_group_tells_everybody_the_truth() {
    let dir = tempfile::tempdir().unwrap();
    let (db, _) = Db::open(&Location::Sqlite(dir.path().join("carillon.db")), START).await.unwrap();
    // No more than 20 further pages of 4 KB.
    db.write(|tx| async move {
        let pages =
            tx.row("PRAGMA page_count", params![]).await?.expect("a row").int("page_count")?;
        tx.rows(&format!("PRAGMA max_page_count = {}", pages + 20), params![]).await
    })
    .await
    .unwrap();
    // While the first unit waits the others gather behind it: one group.
    let (go, wait) = mpsc::channel::<()>();
    let first = tokio::spawn({
        let db = db.clone();
        async move {
            db.write(move |_| async move {
                wait.recv().expect("the test goes on");
                Ok::<_, Error>(())
            })
            .await
        }
    });
    let mut units = Vec::new();
    for (key, bytes) in [("small", 10), ("huge", 400_000), ("after", 10), ("last", 10)] {
        let db = db.clone();
        let unit = async move {
            let wrote = db.write(move |tx| async move {
                let sql = "INSERT INTO idempotency VALUES ('w', $1, 'h', 200, $2, 1)";
                tx.execute(sql, params![key, "x".repeat(bytes)]).await
            });
            (key, wrote.await)
        };
        units.push(tokio::spawn(unit));
        // They are to stand in line in this order.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    go.send(()).unwrap();
    first.await.unwrap().unwrap();
    let mut told = Vec::new();
    for unit in units {
        let (key, wrote) = unit.await.unwrap();
        if let Err(e) = &wrote {
            assert!(matches!(e, Error::Unavailable(_)), "{key}: {e:?}");
        }
        let row = db.read(move |tx| async move {
            let sql = "SELECT count(*) AS n FROM idempotency WHERE idempotency_key = $1";
            tx.row(sql, params![key]).await
        });
        let there = row.await.unwrap().unwrap().int("n").unwrap() == 1;
        assert_eq!(wrote.is_ok(), there, "{key}: {wrote:?}");
        told.push((key, there));
    }
    assert!(told.contains(&("huge", false)), "{told:?}");
    assert!(told.contains(&("last", true)), "there is room for a small one: {told:?}");
}

/// Another process holds the lock, for longer than the product waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_locked_by_another_process_is_said_to_be_one() {
    let t = TestApp::new(On::Sqlite).await;
    let c = t.connect("mastodon").await;
    let file = t.app.db.file().expect("a file").to_owned();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["faults::database::holds_the_lock", "--exact", "--ignored", "--nocapture"])
        .env("CARILLON_TEST_LOCK", &file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a second process");
    let mut said = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|line| line.contains("it is locked")), "the other process has it");
    let refused = schedule::create(&t.app, &t.workspace, t.draft("Waits", &[&c]), None).await;
    let refused = refused.expect_err("nothing can be written");
    assert_eq!(refused.kind, Kind::Unavailable, "{refused:?}");
    let health = carillon::watch::health::check(&t.app).await;
    assert_eq!(health.checks.database.status.as_str(), "healthy", "it can be read");
    // And a start beside it.
    let e = Db::open(&Location::Sqlite(file), START).await.err().expect("it cannot be opened");
    assert!(e.to_string().contains("locked by another process"), "{e}");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    drop(said);
    t.schedule(t.draft("Goes on", &[&c])).await;
}

/// Not a test: the other process of the one above.
#[test]
#[ignore = "holds a lock for the test above"]
fn holds_the_lock() {
    // Whoever runs all ignored tests is not meant.
    let Ok(file) = std::env::var("CARILLON_TEST_LOCK") else { return };
    let conn = rusqlite::Connection::open(file).unwrap();
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    println!("it is locked");
    // Until the pipe closes.
    let _ = std::io::stdin().read(&mut [0]);
}
