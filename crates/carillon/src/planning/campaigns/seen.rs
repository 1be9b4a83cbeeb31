//! Campaigns as every surface shows them: how far their posts are is read off those.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::Form;
use crate::App;
use crate::db::Tx;
use crate::domain::campaign::{CampaignState, SeriesState};
use crate::domain::delivery::DeliveryState;
use crate::domain::post::PostState;
use crate::domain::refusal::{Kind, Refusal};
use crate::domain::review::Standing;
use crate::domain::when;
use crate::planning::series as planned;
use crate::publishing::view::{self, Page, PostView, known_id};
use crate::store::campaigns::{self, Campaign, Stand};
use crate::store::{accounts, series};

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignView {
    pub id: String,
    pub state: CampaignState,
    pub timezone: String,
    /// What it was made from, as it is now.
    pub form: Form,
    pub progress: Progress,
    /// The times of its first and its last post, ISO 8601 UTC.
    pub first: Option<String>,
    pub last: Option<String>,
    /// The series of a cadence without end.
    pub series: Vec<String>,
    /// May its latest cancel be taken back?
    pub can_reopen: bool,
    pub created_at: String,
}

/// How many posts a campaign has, by what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CampaignProgress)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    pub all: usize,
    pub draft: usize,
    /// Waiting for an approval.
    pub in_review: usize,
    /// Waiting for their time, or under way.
    pub scheduled: usize,
    pub published: usize,
    /// A person has to decide about them, as their time passed unapproved, or they failed.
    pub stuck: usize,
    pub cancelled: usize,
}

pub async fn show(app: &App, workspace: &str, id: &str) -> Result<CampaignView, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "campaign")?, app.clock.now());
    app.db.read(move |tx| async move { seen(&tx, &find(&tx, &ws, &id).await?, now).await }).await
}

/// Its posts, by their times.
pub async fn posts(app: &App, workspace: &str, id: &str) -> Result<Vec<PostView>, Refusal> {
    let (ws, id) = (workspace.to_owned(), known_id(id, "campaign")?);
    app.db
        .read(move |tx| async move {
            find(&tx, &ws, &id).await?;
            let mut all = Vec::new();
            for post in campaigns::posts(&tx, &id).await? {
                all.push(view::post_in(&tx, &ws, &post.id).await?);
            }
            Ok(all)
        })
        .await
}

/// Newest first.
pub async fn list(
    app: &App,
    workspace: &str,
    cursor: Option<String>,
    limit: usize,
) -> Result<Page<CampaignView>, Refusal> {
    let (ws, now) = (workspace.to_owned(), app.clock.now());
    app.db
        .read(move |tx| async move {
            let before = cursor.as_deref().unwrap_or("g");
            let mut found = campaigns::list(&tx, &ws, before, limit as i64 + 1).await?;
            let more = found.len() > limit;
            found.truncate(limit);
            let next = found.last().filter(|_| more).map(|c| c.id.clone());
            let mut items = Vec::with_capacity(found.len());
            for c in &found {
                items.push(seen(&tx, c, now).await?);
            }
            Ok(Page { items, next })
        })
        .await
}

pub(super) async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Campaign, Refusal> {
    campaigns::find(tx, workspace, id).await?.ok_or_else(|| Refusal::not_found("campaign"))
}

/// A campaign as every surface shows it.
pub(super) async fn seen(tx: &Tx, c: &Campaign, now: i64) -> Result<CampaignView, Refusal> {
    let form: Form = form(c)?;
    let last = accounts::policies(tx, &c.workspace_id).await?.last_stage();
    let mut posts: BTreeMap<String, (Stand, Vec<DeliveryState>)> = BTreeMap::new();
    for d in campaigns::states(tx, &c.id).await? {
        let state = d.state;
        let post = posts.entry(d.post_id.clone()).or_insert((d, Vec::new()));
        post.1.extend(state);
    }
    let mut progress = Progress { all: posts.len(), ..Progress::default() };
    for (post, states) in posts.values() {
        let cancelled = !states.is_empty() && states.iter().all(|s| *s == DeliveryState::Cancelled);
        let standing = last.map_or(Standing::None, |last| Standing::of(post.review, last));
        let state = match cancelled {
            true => PostState::Cancelled,
            false => PostState::of(post.committed, standing, states),
        };
        match state {
            // Approved, but not yet to go out.
            PostState::Approved if !post.committed => progress.draft += 1,
            PostState::Draft => progress.draft += 1,
            PostState::InReview => progress.in_review += 1,
            PostState::Scheduled | PostState::Publishing => progress.scheduled += 1,
            PostState::Published => progress.published += 1,
            PostState::PartlyPublished
            | PostState::Failed
            | PostState::Held
            | PostState::Approved => progress.stuck += 1,
            PostState::Cancelled => progress.cancelled += 1,
        }
    }
    let own = series::of_campaign(tx, &c.id).await?;
    let mut goes_on = false;
    for s in own.iter().filter(|s| s.state != SeriesState::Ended) {
        goes_on |= !planned::next_from(s, now, 1)?.is_empty();
    }
    let to_come =
        progress.draft + progress.in_review + progress.scheduled + progress.stuck > 0 || goes_on;
    let state = match c.state {
        CampaignState::Scheduled | CampaignState::Draft if !to_come => CampaignState::Ended,
        CampaignState::Draft
            if progress.in_review + progress.scheduled + progress.published > 0 =>
        {
            CampaignState::Scheduled
        }
        state => state,
    };
    let times = || posts.values().filter_map(|(post, _)| post.scheduled_at);
    Ok(CampaignView {
        id: c.id.clone(),
        state,
        timezone: c.timezone.clone(),
        form: Form { name: c.name.clone(), ..form },
        progress,
        first: times().min().map(when::iso),
        last: times().max().map(when::iso),
        series: own.into_iter().map(|s| s.id).collect(),
        can_reopen: c.state == CampaignState::Cancelled && !c.cancelled.is_empty(),
        created_at: when::iso(c.created_at),
    })
}

pub(super) fn form(c: &Campaign) -> Result<Form, Refusal> {
    serde_json::from_value(c.form.clone()).map_err(|e| {
        tracing::error!(campaign_id = %c.id, error = %e, "a campaign's form cannot be read");
        let fix = "Start the newest Carillon that wrote to this database.";
        Refusal::new(Kind::Internal, "damaged", "The campaign cannot be read.", fix)
    })
}
