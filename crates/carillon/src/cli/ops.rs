//! `carillon ops`: what the runbooks call for. Whatever takes or sends many things at once says
//! first what it would do, and does it with `--go`.

mod connections;
mod dead_letters;
mod drain;
mod pauses;
mod trail;

use std::process::ExitCode;

use clap::Subcommand;
use serde::Deserialize;

use super::{Here, Out, day_or_time};
use crate::App;
use crate::domain::refusal::{Kind, Refusal};
use crate::media::{derive, library};
use crate::planning::materialise;
use crate::publishing::sweep;
use crate::queue::worker::Worker;
use crate::store::audit::OPERATOR;
use crate::store::queue;

pub(super) const EXAMPLES: &str = "Examples:
  carillon ops dead-letters --network mastodon        what waits for a person
  carillon ops retry-failed --class transient         what would be sent again
  carillon ops retry-failed --class transient --go    send it again
  carillon ops drain send --network mastodon --go     cancel what waits there
  carillon ops invoke publish-queue '{\"leadWindowMinutes\":5}'
  carillon ops invoke materialise-weekly
  carillon ops invoke media-derivatives '{\"assetId\":\"0193…\"}'
  carillon ops pause network:mastodon --why 'It is down'
  carillon ops check-connections                      prove that every connection can post
  carillon ops backfill-connections --dry-run         which ids and names would be filled in
  carillon ops sweep                                  free what a dead worker held
  carillon ops audit --limit 20                       who did what";

#[derive(Debug, Subcommand)]
pub(super) enum Ops {
    /// List deliveries that failed, are held or were missed
    #[command(after_help = dead_letters::LIST_EXAMPLES)]
    DeadLetters(dead_letters::List),
    /// Send failed deliveries again, those that cannot post twice; a dry run without --go
    #[command(after_help = dead_letters::RETRY_EXAMPLES)]
    RetryFailed(dead_letters::Retry),
    /// Cancel what waits in a queue; posts stay. A dry run without --go
    #[command(after_help = drain::EXAMPLES)]
    Drain(drain::Drain),
    /// Keep everything, a network or a queue waiting; the whole installation's without --workspace
    #[command(after_help = pauses::EXAMPLES)]
    Pause(pauses::Pause),
    /// Let go on what `pause` keeps waiting
    #[command(after_help = pauses::EXAMPLES)]
    Resume {
        /// As it was paused: all, network:<id>, queue:<name>
        scope: String,
    },
    /// List what is paused, since when and why
    Pauses,
    /// List the circuit breakers of the networks
    Circuits,
    /// Close a circuit now: what waited behind it goes at once
    ResetCircuit {
        /// As `circuits` names it
        name: String,
    },
    /// Prove that connections can post, those of every workspace; the exit code is how many cannot
    #[command(after_help = connections::CHECK_EXAMPLES)]
    CheckConnections(connections::Check),
    /// Ask the networks for what is not known of connections: ids, names
    #[command(after_help = connections::BACKFILL_EXAMPLES)]
    BackfillConnections(connections::Backfill),
    /// Free work whose worker died, look after what is in doubt, repair lanes
    Sweep,
    /// List the sweeps that did something
    Sweeps {
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// List who did what, the latest first
    Audit(trail::Audit),
    /// Run a job now: publish-queue, media-derivatives or materialise-weekly, with an optional JSON
    /// payload
    Invoke {
        job: String,
        #[arg(default_value = "{}")]
        payload: String,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PublishQueue {
    /// Also counts what is due within this many minutes; nothing is sent before its time.
    #[serde(default)]
    lead_window_minutes: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MediaDerivatives {
    /// One asset; all unfinished ones without it.
    asset_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MaterialiseWeekly {
    /// Of one workspace alone; of all without it.
    workspace_id: Option<String>,
}

impl Ops {
    pub(super) async fn run(
        &self,
        app: App,
        workspace: Option<&str>,
        out: &Out,
    ) -> anyhow::Result<ExitCode> {
        if let Ops::CheckConnections(check) = self {
            return check.run(app, workspace, out).await;
        }
        self.act(app, workspace, out).await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn act(&self, app: App, workspace: Option<&str>, out: &Out) -> anyhow::Result<()> {
        match self {
            Ops::CheckConnections(check) => check.run(app, workspace, out).await.map(drop),
            Ops::BackfillConnections(backfill) => backfill.run(app, workspace, out).await,
            Ops::DeadLetters(list) => list.run(&Here::of(app, workspace).await?, out).await,
            Ops::RetryFailed(retry) => retry.run(&Here::of(app, workspace).await?, out).await,
            Ops::Drain(drain) => drain.run(&Here::of(app, workspace).await?, out).await,
            Ops::Pause(pause) => pause.run(app, workspace, out).await,
            Ops::Resume { scope } => pauses::resume(app, workspace, scope, out).await,
            Ops::Pauses => pauses::pauses(app, workspace, out).await,
            Ops::Circuits => pauses::circuits(app, workspace, out).await,
            Ops::ResetCircuit { name } => pauses::reset_circuit(app, workspace, name, out).await,
            Ops::Sweep => {
                let swept = sweep::by_hand(&app, None, OPERATOR).await?;
                out.show(&swept, |s| {
                    format!(
                        "freed {} jobs, {} of them to be looked up; repaired {} lanes",
                        s.freed, s.unknown, s.repaired
                    )
                });
                Ok(())
            }
            Ops::Sweeps { limit } => trail::sweeps(&app, *limit, out).await,
            Ops::Audit(audit) => audit.run(&Here::of(app, workspace).await?, out).await,
            Ops::Invoke { job, payload } => match job.as_str() {
                "publish-queue" => publish_queue(&app, read(payload)?, out).await,
                "media-derivatives" => media_derivatives(&app, read(payload)?, out).await,
                "materialise-weekly" => materialise_weekly(&app, read(payload)?, out).await,
                other => Err(Refusal::new(
                    Kind::Invalid,
                    "unknown_job",
                    format!("There is no job `{other}`."),
                    "Known jobs: publish-queue, media-derivatives, materialise-weekly.",
                )
                .into()),
            },
        }
    }
}

fn read<T: for<'a> Deserialize<'a>>(payload: &str) -> anyhow::Result<T> {
    serde_json::from_str(payload).map_err(|e| {
        Refusal::new(
            Kind::Invalid,
            "payload",
            format!("The payload is not what this job takes: {e}."),
            "See `carillon ops --help` for examples.",
        )
        .into()
    })
}

async fn publish_queue(app: &App, payload: PublishQueue, out: &Out) -> anyhow::Result<()> {
    let ran = Worker::new(app.clone()).tick().await?;
    let until = app.clock.now() + payload.lead_window_minutes.clamp(0, 10_080) * 60_000;
    let soon = app.db.read(move |tx| async move { queue::due_before(&tx, until).await }).await?;
    let answer = serde_json::json!({ "ran": ran, "dueWithinWindow": soon });
    out.show(&answer, |_| format!("ran {ran} jobs; {soon} deliveries are due within the window"));
    Ok(())
}

async fn media_derivatives(app: &App, payload: MediaDerivatives, out: &Out) -> anyhow::Result<()> {
    let asked = match &payload.asset_id {
        Some(id) => {
            library::reprocess(app, None, id).await?;
            1
        }
        None => derive::safety_net(app).await?,
    };
    let ran = Worker::new(app.clone()).tick().await?;
    let answer = serde_json::json!({ "asked": asked, "ran": ran });
    out.show(&answer, |_| format!("asked for {asked} assets, ran {ran} jobs"));
    Ok(())
}

async fn materialise_weekly(
    app: &App,
    payload: MaterialiseWeekly,
    out: &Out,
) -> anyhow::Result<()> {
    let done = Box::pin(materialise::run(app, payload.workspace_id.as_deref())).await?;
    out.show(&done, |done| {
        let mut text = format!(
            "went through {} series: {} posts made, {} moved\n",
            done.series, done.made, done.moved
        );
        for u in &done.unplanned {
            text.push_str(&format!(
                "not planned: {} {}: {} {}\n",
                u.series_id, u.occurrence, u.sentence, u.fix
            ));
        }
        text
    });
    Ok(())
}
