//! Changing what a live post says: at its network first, then here.
//!
//! The journal's line is begun before the call and keeps others out until it ends, so that the text
//! kept here is the one that the network was given last. What the network refuses changes nothing.
//! An answer that was lost is settled by sending the same again, which does no harm; where that
//! comes to nothing too, the text here stays, and whoever asked is told.

use std::time::Duration;

use carillon_networks::spec::{Beside, Edit, Placement};
use carillon_networks::{Action, Applied, Class, Error, Media, Published, Rendition, text};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::line::{self, Line, Next};
use super::load::{self, Work};
use super::tokens::{After, Unusable};
use super::view::{self, DeliveryView};
use super::{account, connecting, deliver, guard, options};
use crate::approval;
use crate::db::Tx;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::problem::Problem;
use crate::domain::refusal::{Kind, Refusal, Wrong};
use crate::store::attempts::{self, Begun, Ended};
use crate::store::connections;
use crate::store::deliveries::{self, Delivery};
use crate::store::{accounts, audit, events};
use crate::{App, ids};

const STEP: &str = "amend";

/// What a live post is to say.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Amendment {
    #[schema(example = "Doors open at eight.")]
    pub text: String,
    /// Without it the title stays. Only where the network lets titles be changed.
    #[serde(default)]
    pub title: Option<String>,
}

/// What can be changed of a delivery at its network.
pub(super) fn changeable(d: &Delivery) -> Edit {
    let spec = carillon_networks::find(&d.network).map(|n| n.spec());
    let placement = spec.and_then(|spec| spec.placement(&d.placement));
    match placement {
        Some(placement) if is_question(d, placement) => Edit::No,
        Some(placement) if d.state == State::Published && d.remote_id.is_some() => placement.edit,
        _ => Edit::No,
    }
}

/// Is its text the question of a poll? No network lets a poll be changed.
fn is_question(d: &Delivery, placement: &Placement) -> bool {
    placement.text.question_max.is_some() && options::beside(&d.options, false) == Beside::Poll
}

/// Gives a live post another text, and another title where its network has that.
pub async fn amend(
    app: &App,
    workspace: &str,
    id: &str,
    new: Amendment,
    actor: &str,
) -> Result<DeliveryView, Refusal> {
    let (ws, id) = (workspace.to_owned(), view::known_id(id, "delivery")?);
    let by = actor.to_owned();
    let d = app
        .db
        .read(move |tx| async move {
            let found = deliveries::find(&tx, &ws, &id).await?;
            let d = found.ok_or_else(|| Refusal::not_found("delivery"))?;
            is_live(&d)?;
            may_change_live(&tx, &d, &by).await?;
            match connections::find(&tx, &ws, &d.connection_id).await? {
                Some(_) => Ok(d),
                None => Err(disconnected(&d)),
            }
        })
        .await?;
    let work = load::load(app, &d.id).await?.ok_or_else(|| Refusal::not_found("delivery"))?;
    let remote_id = may_change(&work)?;
    let out = rendition(&work, &new)?;
    let line = begin(app, &work.delivery).await?;
    match change(app, &work, &remote_id, &out).await {
        Ok(Ok(url)) => accepted(app, &work, &out, url, line, actor).await,
        Ok(Err(e)) => {
            end(app, &line, if e.applied == Applied::No { "refused" } else { "unknown" }, &e)
                .await?;
            Err(told(&e, app.clock.now()))
        }
        Err(refusal) => {
            let class = match refusal.kind {
                Kind::Unavailable => Class::Transient,
                _ if refusal.code == "needs_action" => Class::Auth,
                _ => Class::Config,
            };
            let e = Error::new(class, refusal.sentence.clone());
            end(app, &line, "refused", &e).await?;
            Err(refusal)
        }
    }
}

fn is_live(d: &Delivery) -> Result<(), Refusal> {
    if d.state == State::Published {
        return Ok(());
    }
    Err(Refusal::conflict(
        "not_live",
        "This delivery is not live, so there is nothing to change at its network.",
        "Edit its post instead, or look at its journal.",
    ))
}

/// What is live was approved as it is: where that is asked for, whoever may approve may change it.
async fn may_change_live(tx: &Tx, d: &Delivery, actor: &str) -> Result<(), Refusal> {
    let policies = accounts::policies(tx, &d.workspace_id).await?;
    let free = match policies.last_stage() {
        None => true,
        Some(_) => approval::may_approve(tx, &d.workspace_id, actor).await?,
    };
    if free {
        return Ok(());
    }
    Err(Refusal::new(
        Kind::Forbidden,
        approval::NOT_APPROVED,
        "What is live here was approved, and the new text is not.",
        "Ask somebody who may approve to change it.",
    ))
}

fn disconnected(d: &Delivery) -> Refusal {
    let name = carillon_networks::find(&d.network).map_or(d.network.as_str(), |n| n.spec().name);
    Refusal::conflict(
        "disconnected",
        format!("The account at {name} was disconnected."),
        "Change it there by hand, or connect the account again.",
    )
}

/// The id of what can be changed.
fn may_change(work: &Work) -> Result<String, Refusal> {
    let (spec, place) = (work.network.spec(), work.placement);
    match &work.delivery.remote_id {
        _ if place.edit == Edit::No => Err(Refusal::conflict(
            "not_changeable",
            format!("{} ({}) lets no program change what is live.", spec.name, place.name),
            match spec.abilities.delete {
                true => {
                    "Change it there by hand, if it lets people, or roll the post back and publish it again."
                }
                false => "Change it there by hand, if it lets people.",
            },
        )),
        _ if is_question(&work.delivery, place) => Err(Refusal::conflict(
            "not_changeable",
            format!(
                "The text is the question of a poll, and {} lets nobody change a poll.",
                spec.name
            ),
            "Roll the post back and publish it again.",
        )),
        None => Err(Refusal::conflict(
            "unknown_id",
            format!("Carillon does not know its id at {}.", spec.name),
            "Change it there by hand.",
        )),
        Some(id) => Ok(id.clone()),
    }
}

/// The delivery as its network is to show it from now on, held against what the network takes.
fn rendition(work: &Work, new: &Amendment) -> Result<Rendition, Refusal> {
    let (d, spec, place) = (&work.delivery, work.network.spec(), work.placement);
    let asked = new.title.as_deref().map(str::trim).filter(|title| !title.is_empty());
    let present = d.title.as_ref().or(work.post.title.as_ref()).filter(|_| d.parent_id.is_none());
    let title = asked.map(str::to_owned).or(present.cloned());
    let mut wrong = Vec::new();
    if asked.is_some() && place.edit != Edit::TitleAndText {
        let message = format!("{} ({}) has no title that could be changed.", spec.name, place.name);
        wrong.push(Wrong::new("title", "title_fixed", message).at(&d.connection_id));
    }
    let beside = options::beside(&d.options, !work.media.is_empty());
    for found in text::problems(spec, place, &new.text, title.as_deref(), beside) {
        let field = if found.code.starts_with("title") { "title" } else { "text" };
        wrong.push(Wrong::new(field, found.code, found.message).at(&d.connection_id));
    }
    if !wrong.is_empty() {
        return Err(Refusal::invalid(wrong));
    }
    let described = |m: &crate::store::media::Media| Media {
        id: m.id.clone(),
        content_type: m.content_type.clone(),
        alt: m.alt.chars().take(place.media.alt_max).collect(),
        file_name: m.name.clone(),
        ..Media::default()
    };
    Ok(Rendition {
        placement: d.placement.clone(),
        text: new.text.clone(),
        title,
        media: work.media.iter().map(described).collect(),
        key: d.send_key.clone(),
        created_at: d.scheduled_at.unwrap_or(d.created_at),
        reply_to: deliver::reply_to(&work.before),
        extra: d.options.clone(),
    })
}

/// Begins the line that keeps others out; its id.
async fn begin(app: &App, d: &Delivery) -> Result<String, Refusal> {
    let (d, now) = (d.clone(), app.clock.now());
    // Who died on it keeps nobody out for longer than its calls can have taken.
    let longest = (app.config.networks.timeout * 6 + Duration::from_secs(60)).as_millis() as i64;
    app.db
        .write(move |tx| async move {
            let found = deliveries::lock(&tx, &d.workspace_id, &d.id).await?;
            is_live(&found.ok_or_else(|| Refusal::not_found("delivery"))?)?;
            let journal = attempts::of(&tx, &d.workspace_id, &d.id).await?;
            let open = |a: &attempts::Attempt| {
                a.step == STEP && a.outcome.is_none() && a.started_at > now - longest
            };
            if journal.iter().any(open) {
                return Err(Refusal::conflict(
                    "being_changed",
                    "Somebody else is changing this post at its network in this moment.",
                    "Reload in a moment and look at what it says then.",
                ));
            }
            let id = ids::new(now);
            let line = Begun {
                id: &id,
                workspace_id: &d.workspace_id,
                delivery_id: &d.id,
                fence: 0,
                step: STEP,
                request_hash: None,
            };
            attempts::begin(&tx, &line, now).await?;
            Ok(id)
        })
        .await
}

/// Tells the network: once more after a lost answer, and after a token that ended on the way. Its
/// answer is the address, where that has changed.
async fn change(
    app: &App,
    work: &Work,
    remote_id: &str,
    out: &Rendition,
) -> Result<Result<Option<String>, Error>, Refusal> {
    let mut connection = line::fresh(app, &work.connection).await?;
    let mut first = true;
    loop {
        let line = Line::open(app, work.network, &connection)?;
        let cx = line.context(&work.delivery);
        let e = match line.told(work.network.edit(&cx, remote_id, out).await) {
            Ok(Published::Accepted(remote)) => return Ok(Ok(remote.url)),
            Ok(Published::Processing { .. }) => return Ok(Ok(None)),
            Err(e) => e,
        };
        if !(first && e.applied == Applied::Maybe) {
            match line::after(app, &connection, &e).await? {
                Next::Again(newer) if first => connection = *newer,
                Next::Not(After::Wait(_)) => {
                    return Ok(Err(Error { class: Class::Transient, ..e }));
                }
                Next::Not(After::Refused(Some(why))) => return Err(Unusable::Broken(why).into()),
                _ => {
                    connecting::refused(app, &connection, &e).await?;
                    return Ok(Err(e));
                }
            }
        }
        first = false;
    }
}

/// The network agreed: the text here is its text.
async fn accepted(
    app: &App,
    work: &Work,
    out: &Rendition,
    url: Option<String>,
    line: String,
    actor: &str,
) -> Result<DeliveryView, Refusal> {
    let (d, now, actor) = (work.delivery.clone(), app.clock.now(), actor.to_owned());
    let said = d.text.clone().unwrap_or_else(|| work.post.text.clone());
    let media: Vec<String> = work.media.iter().map(|m| m.id.clone()).collect();
    let after = Delivery {
        text: Some(out.text.clone()),
        title: out.title.clone().filter(|title| work.post.title.as_ref() != Some(title)),
        // Only whole posts are told to be the same.
        content_hash: d.content_hash.as_ref().map(|_| guard::content_hash(&out.text, &media)),
        remote_url: url.or_else(|| d.remote_url.clone()),
        ..d
    };
    let amended = app
        .db
        .write(move |tx| async move {
            let remote_id = after.remote_id.as_deref();
            let ended = Ended { outcome: "accepted", remote_id, ..Ended::default() };
            attempts::end(&tx, &line, &ended, now).await?;
            // It may have been taken down meanwhile.
            if deliveries::amend(&tx, &after, now).await? {
                tell(&tx, &after, &said, &actor, now).await?;
            }
            view::delivery_in(&tx, &after.workspace_id, &after.id).await
        })
        .await?;
    app.news.notify_waiters();
    Ok(amended)
}

async fn tell(tx: &Tx, d: &Delivery, said: &str, actor: &str, now: i64) -> Result<(), Refusal> {
    let ws = &d.workspace_id;
    let data = json!({ "postId": d.post_id, "from": said, "text": d.text, "title": d.title });
    audit::add(tx, Some(ws), actor, "delivery.amended", &d.id, &data, now).await?;
    let data = json!({
        "postId": d.post_id,
        "deliveryId": d.id,
        "connectionId": d.connection_id,
        "network": d.network,
        "state": d.state,
        "text": d.text,
    });
    events::add(tx, ws, "delivery.amended", &d.id, &data, now).await?;
    Ok(())
}

async fn end(app: &App, line: &str, outcome: &'static str, e: &Error) -> Result<(), Refusal> {
    let (line, problem, now) = (line.to_owned(), kept(e), app.clock.now());
    let ended = app.db.write(move |tx| async move {
        let ended = Ended { outcome, error: Some(&problem), ..Ended::default() };
        attempts::end(&tx, &line, &ended, now).await
    });
    Ok(ended.await?)
}

/// What the journal says of it: nothing goes on by itself here, and nothing is scheduled again.
fn kept(e: &Error) -> Problem {
    let problem = account::problem(e);
    match e.action {
        Action::Wait | Action::EditPost | Action::Look => Problem {
            action: STEP.to_owned(),
            action_sentence: "Edit it at the network once more.".to_owned(),
            ..problem
        },
        _ => problem,
    }
}

/// Why it was not changed, or may have been, and what to do.
fn told(e: &Error, now: i64) -> Refusal {
    if e.applied == Applied::Maybe {
        let sentence = format!("{} The post may say it by now, or not.", e.sentence);
        let fix = "Save the same text once more: doing it twice does no harm.";
        return Refusal::new(Kind::Unavailable, "maybe_changed", sentence, fix);
    }
    let (kind, fix) = match e.class {
        Class::Auth | Class::Config => (Kind::Conflict, e.action.sentence().to_owned()),
        Class::Content | Class::Duplicate | Class::Policy => {
            let fix = "Write it in another way, or change it at the network by hand.";
            (Kind::Conflict, fix.to_owned())
        }
        Class::RateLimit | Class::Quota | Class::Transient | Class::Unknown => {
            let fix = match e.retry_after.map_or(0, |wait| wait.as_secs().div_ceil(60)) {
                0 | 1 => "Try again in a minute.".to_owned(),
                n @ 2..120 => format!("Try again in {n} minutes."),
                n => format!("Try again in {} hours.", n.div_ceil(60)),
            };
            (Kind::Unavailable, fix)
        }
    };
    let sentence = format!("{} The post says what it said before.", e.sentence);
    let suggested_at = e.retry_after.map(|wait| now + wait.as_millis() as i64);
    Refusal { suggested_at, ..Refusal::new(kind, "not_changed", sentence, fix) }
}
