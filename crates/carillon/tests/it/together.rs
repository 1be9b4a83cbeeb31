//! Many at once is the same as one after the other: statements with many rows of parameters, and
//! calls that share a unit of work.

use std::sync::Arc;

use carillon::db::{Error, Row, Tx};
use carillon::{params, row};

use crate::both;
use crate::support::TestApp;

both! {
    async fn a_statement_for_many_rows_answers_for_each(t: TestApp) {
        let done = t.app.db.write(|tx| async move {
            let rows: Vec<_> = (0..5).map(|n: i64| row![format!("n{n}"), "seat", n, n]).collect();
            let sql = "INSERT INTO node (id, role, started_at, seen_at) VALUES ($1, $2, $3, $4)";
            let added = tx.execute_each(sql, &rows).await?;
            let sql = "UPDATE node SET seen_at = (SELECT max(started_at) FROM node WHERE role = 'seat') + $1 \
                       WHERE id = $2 AND started_at < $3";
            let each = [row![1, "n3", 9], row![2, "nobody", 9], row![3, "n0", 9], row![4, "n1", 0]];
            let changed = tx.execute_each(sql, &each).await?;
            let sql = "SELECT id, seen_at FROM node WHERE started_at >= $1 AND role = $2 ORDER BY id DESC";
            let found = tx.rows_each(sql, &[row![3, "seat"], row![0, None::<&str>], row![4, "seat"]]).await?;
            let none = tx.rows_each(sql, &[]).await?.len() + tx.execute_each(sql, &[]).await?.len();
            Ok::<_, Error>((added, changed, found, none))
        });
        let (added, changed, found, none) = done.await.unwrap();
        assert_eq!((added, changed, none), (vec![1; 5], vec![1, 0, 1, 0], 0));
        let read = |rows: &Vec<Row>| -> Vec<(String, i64)> {
            rows.iter().map(|r| (r.text("id").unwrap(), r.int("seen_at").unwrap())).collect()
        };
        let found: Vec<_> = found.iter().map(read).collect();
        let n4 = ("n4".to_owned(), 4);
        assert_eq!(found, [vec![n4.clone(), ("n3".to_owned(), 5)], vec![], vec![n4]]);
    }

    /// One that the database refuses takes nobody with it.
    async fn whoever_shares_a_unit_of_work_fails_alone(t: TestApp) {
        add(&t, "b").await.unwrap();
        let calls: Vec<_> = ["a", "b", "c", "d"]
            .map(|id| {
                let app = t.app.clone();
                tokio::spawn(async move { add_to(&app, id).await })
            })
            .into_iter()
            .collect();
        let mut answers = Vec::new();
        for call in calls {
            answers.push(call.await.unwrap());
        }
        assert!(matches!(answers[1], Err(Error::Unique(_))), "{answers:?}");
        assert!([0, 2, 3].iter().all(|n| answers[*n].is_ok()), "{answers:?}");
        assert_eq!(ids(&t).await, ["a", "b", "c", "d"]);
    }
}

#[derive(Clone)]
struct Added(&'static str);

async fn add(t: &TestApp, id: &'static str) -> Result<(), Error> {
    add_to(&t.app, id).await
}

async fn add_to(app: &carillon::App, id: &'static str) -> Result<(), Error> {
    let unit = |tx: Tx, all: Arc<[Added]>| async move {
        let rows: Vec<_> = all.iter().map(|a| row![a.0, "seat", 1, 1]).collect();
        let sql = "INSERT INTO node (id, role, started_at, seen_at) VALUES ($1, $2, $3, $4)";
        Ok(tx.execute_each(sql, &rows).await?.iter().map(|_| Ok(())).collect())
    };
    app.db.write_together(Added(id), unit).await
}

async fn ids(t: &TestApp) -> Vec<String> {
    let rows = t.app.db.read(|tx| async move {
        tx.rows("SELECT id FROM node WHERE role = 'seat' ORDER BY id", params![]).await
    });
    rows.await.unwrap().iter().map(|r| r.text("id").unwrap()).collect()
}
