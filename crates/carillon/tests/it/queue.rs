//! The queue core on both databases.

use carillon::db::Error;
use carillon::domain::job::{Claim, Kind, NewJob, Pool};
use carillon::store::queue;

use crate::both;
use crate::support::TestApp;

fn job(lane: &str, width: i64, run_at: i64, key: Option<&str>) -> NewJob {
    NewJob {
        kind: Kind::Sweep,
        lane: lane.into(),
        width,
        subject: lane.into(),
        run_at,
        unique_key: key.map(str::to_owned),
    }
}

async fn add(t: &TestApp, jobs: Vec<NewJob>) -> usize {
    let now = t.clock.now();
    t.app
        .db
        .write(move |tx| async move {
            let mut added = 0;
            for job in &jobs {
                added += usize::from(queue::add(&tx, job, now).await?.is_some());
            }
            Ok::<_, Error>(added)
        })
        .await
        .unwrap()
}

async fn claim(t: &TestApp, most: i64) -> Vec<carillon::domain::job::Claim> {
    let now = t.clock.now();
    t.app
        .db
        .write(move |tx| async move {
            queue::claim(&tx, Pool::Housekeeping, most, "us", now, now + 60_000).await
        })
        .await
        .unwrap()
}

async fn finish(t: &TestApp, claim: carillon::domain::job::Claim) -> bool {
    let now = t.clock.now();
    t.app
        .db
        .write(move |tx| async move { queue::finish(&tx, &claim, "done", None, now).await })
        .await
        .unwrap()
}

both! {
    /// A clockwork that ticks again after a restart adds nothing, and its lane does not stand in
    /// everybody's way.
    async fn a_slot_that_is_over_blocks_nobody(t: TestApp) {
        let now = t.clock.now();
        assert_eq!(add(&t, vec![job("cron:a", 1, now - 5_000, Some("cron:a:1"))]).await, 1);
        let first = claim(&t, 1).await.remove(0);
        assert!(finish(&t, first).await);
        assert_eq!(add(&t, vec![job("cron:a", 1, now - 5_000, Some("cron:a:1"))]).await, 0);
        add(&t, vec![job("cron:b", 1, now - 1_000, Some("cron:b:1"))]).await;
        let next = claim(&t, 1).await;
        assert_eq!(next.iter().map(|c| c.lane.as_str()).collect::<Vec<_>>(), ["cron:b"]);
    }

    /// A worker died in the middle of a sweep: the next tick of any node's clockwork frees it.
    async fn the_sweeper_is_swept_as_well(t: TestApp) {
        carillon::queue::cron::tick(&t.app).await.unwrap();
        let dead = claim(&t, 100).await;
        assert!(dead.iter().any(|c| c.kind == Kind::Sweep), "{dead:?}");
        t.clock.advance(std::time::Duration::from_secs(61));
        assert!(claim(&t, 100).await.is_empty(), "its lane is full");
        carillon::queue::cron::tick(&t.app).await.unwrap();
        assert!(claim(&t, 100).await.iter().any(|c| c.kind == Kind::Sweep));
    }

    /// The clock is set back over slots that are done: they come round again.
    async fn a_clock_set_back_stops_no_sweeps(t: TestApp) {
        let sweeps = |claims: Vec<Claim>| claims.into_iter().filter(|c| c.kind == Kind::Sweep);
        for _ in 0..3 {
            t.clock.advance(std::time::Duration::from_secs(10));
            carillon::queue::cron::tick(&t.app).await.unwrap();
            for sweep in sweeps(claim(&t, 100).await) {
                assert!(finish(&t, sweep).await);
            }
        }
        t.clock.jump(-25_000);
        carillon::queue::cron::tick(&t.app).await.unwrap();
        let mut seen = sweeps(claim(&t, 100).await).count();
        t.clock.advance(std::time::Duration::from_secs(10));
        carillon::queue::cron::tick(&t.app).await.unwrap();
        seen += sweeps(claim(&t, 100).await).count();
        assert!(seen > 0, "nobody would sweep for as long as the clock went back");
    }

    async fn a_lane_with_a_wrong_time_is_passed_and_mended(t: TestApp) {
        let now = t.clock.now();
        add(&t, vec![job("empty", 1, now, None), job("full", 1, now, None)]).await;
        // Its job disappears without its gate being told.
        t.app.db.write(|tx| async move {
            tx.execute("DELETE FROM job WHERE lane = 'empty'", carillon::params![]).await
        }).await.unwrap();
        let mut lanes = Vec::new();
        for _ in 0..2 {
            lanes.extend(claim(&t, 1).await.into_iter().map(|c| c.lane));
        }
        assert_eq!(lanes, ["full"]);
    }

    async fn a_lane_is_worked_as_wide_as_it_is_and_in_order(t: TestApp) {
        let now = t.clock.now();
        let mut jobs: Vec<NewJob> = (0..5).map(|i| job("narrow", 1, now - 10 + i, None)).collect();
        jobs.extend((0..5).map(|i| job("wide", 3, now - 10 + i, None)));
        add(&t, jobs).await;
        let claims = claim(&t, 100).await;
        let count = |lane: &str| claims.iter().filter(|c| c.lane == lane).count();
        assert_eq!((count("narrow"), count("wide")), (1, 3));
        assert!(claim(&t, 100).await.is_empty(), "both lanes are full");
        let narrow = claims.iter().find(|c| c.lane == "narrow").unwrap().clone();
        assert_eq!(narrow.run_at, now - 10, "the first one first");
        assert!(finish(&t, narrow.clone()).await);
        assert!(!finish(&t, narrow).await, "it ends once");
        let next = claim(&t, 100).await;
        assert_eq!(next.iter().map(|c| c.run_at).collect::<Vec<_>>(), [now - 9]);
    }

    /// Whoever lost its lease changes nothing any more.
    async fn a_fence_keeps_a_late_worker_out(t: TestApp) {
        let now = t.clock.now();
        add(&t, vec![job("lane", 1, now, None)]).await;
        let old = claim(&t, 1).await.remove(0);
        let freed = t.app.db.write(move |tx| async move { queue::free(&tx, now + 61_000, false).await }).await.unwrap();
        assert_eq!(freed.len(), 1);
        t.clock.advance(std::time::Duration::from_secs(61));
        let new = claim(&t, 1).await.remove(0);
        assert!(new.fence > old.fence);
        assert!(!finish(&t, old.clone()).await);
        let later = now + 200_000;
        let (o, n) = (old, new.clone());
        let (extended, held) = t.app.db.write(move |tx| async move {
            Ok::<_, Error>((queue::extend(&tx, &o, later).await?, queue::extend(&tx, &n, later).await?))
        }).await.unwrap();
        assert_eq!((extended, held), (false, true));
        assert!(finish(&t, new).await);
    }
}
