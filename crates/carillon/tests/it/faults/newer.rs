//! Two versions on one database: jobs that the newer one wrote are left to it.

use std::time::Duration;

use carillon::db::Error;
use carillon::domain::delivery::DeliveryState as State;
use carillon::params;

use crate::both;

both! {
    async fn a_newer_versions_jobs_are_left_alone_and_hold_up_nobody(t: TestApp) {
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft("Still here", &[&c])).await;
        t.clock.advance(Duration::from_secs(600));
        let now = t.clock.now();
        // Two in lanes of their own, and one of a known kind whose payload is not ours.
        t.app.db.write(move |tx| async move {
            for (id, kind, payload) in [("n1", "hologram", "{\"v\":1}"), ("n2", "hologram", "{\"v\":2}"), ("n3", "prune", "{\"v\":2}")] {
                tx.execute(
                    "INSERT INTO gate (lane, pool, width, next_at, open_at) VALUES ($1, 'send', 1, $2, 0)",
                    params![format!("lane {id}"), now - 5_000],
                ).await?;
                tx.execute(
                    "INSERT INTO job (id, kind, lane, subject, payload, state, run_at, fence, tries, created_at) \
                     VALUES ($1, $2, $3, 'x', $4, 'ready', $5, 0, 0, $6)",
                    params![id, kind, format!("lane {id}"), payload, now - 5_000, now],
                ).await?;
            }
            Ok::<_, Error>(())
        }).await.unwrap();
        let ran = t.worker.tick().await.expect("unknown work does not stop the known");
        assert_eq!(ran, 1, "the delivery alone");
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Published);
        assert_eq!(t.worker.tick().await.unwrap(), 0, "nothing spins");
        let jobs = t.app.db.read(|tx| async move {
            tx.rows("SELECT id, state, run_at, tries FROM job WHERE subject = 'x' ORDER BY id", params![]).await
        }).await.unwrap();
        for job in &jobs {
            let seen = (job.text("state").unwrap(), job.int("run_at").unwrap(), job.int("tries").unwrap());
            assert_eq!(seen, ("ready".to_owned(), now + 60_000, 0));
        }
        assert_eq!(jobs.len(), 3);
    }

    /// A newer node died while it held its own job: any node's sweep frees that, too.
    async fn a_newer_versions_dead_lease_is_freed(t: TestApp) {
        let now = t.clock.now();
        t.app.db.write(move |tx| async move {
            tx.execute(
                "INSERT INTO job (id, kind, lane, subject, payload, state, run_at, fence, lease_owner, lease_until, tries, created_at) \
                 VALUES ('n1', 'hologram', 'lane', 'x', '{\"v\":9}', 'leased', $1, 3, 'newer', $2, 0, $3)",
                params![now, now + 60_000, now],
            ).await
        }).await.unwrap();
        t.clock.advance(Duration::from_secs(61));
        let swept = carillon::publishing::sweep::sweep(&t.app, false).await.expect("the sweep runs");
        assert_eq!((swept.freed, swept.unknown), (0, 0));
        let job = t.app.db.read(|tx| async move {
            tx.row("SELECT state FROM job WHERE id = 'n1'", params![]).await
        }).await.unwrap().unwrap();
        assert_eq!(job.text("state").unwrap(), "ready");
    }
}
