//! Deliveries and the moves between their states. Each move names the states it may come from;
//! none of the rows matching means that somebody else moved it first.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::db::{Error, Row, Tx};
use crate::domain::delivery::DeliveryState;
use crate::domain::problem::Problem;
use crate::{bugs, params, row, store};

#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: String,
    pub workspace_id: String,
    pub post_id: String,
    /// Of a segment: the delivery that it follows.
    pub parent_id: Option<String>,
    pub connection_id: String,
    pub network: String,
    pub placement: String,
    /// Among the post's deliveries; of a segment, behind the delivery at the head, from 1.
    pub position: i64,
    /// `None`: the post's text.
    pub text: Option<String>,
    /// What its title was changed to at its network; `None`: the post's.
    pub title: Option<String>,
    /// Answers to its placement's options.
    pub options: BTreeMap<String, String>,
    /// Of a segment: when what it follows was live, `None` before.
    pub scheduled_at: Option<i64>,
    pub state: DeliveryState,
    /// Stable over every try: the source of idempotency keys and markers.
    pub send_key: String,
    pub checkpoints: BTreeMap<String, Json>,
    pub intent_at: Option<i64>,
    /// When the visible call may first have begun since it was last certain that nothing is there.
    pub first_intent_at: Option<i64>,
    pub tries: i64,
    pub looks: i64,
    pub next_attempt_at: Option<i64>,
    pub cancel_wish_at: Option<i64>,
    pub remote_id: Option<String>,
    pub remote_url: Option<String>,
    pub published_at: Option<i64>,
    pub problem: Option<Problem>,
    /// Of its text and media: the same content is known again.
    pub content_hash: Option<String>,
    /// When it was last held against the network before its time …
    pub checked_at: Option<i64>,
    /// … and what speaks against it.
    pub warning: Option<Problem>,
    pub created_at: i64,
}

impl Delivery {
    /// Held because it may be live: nothing but a person's answer moves it.
    pub fn in_doubt(&self) -> bool {
        self.state == DeliveryState::Held
            && self.intent_at.is_some()
            && !bugs::on("question passed over")
    }

    /// May its time, text or media still be changed?
    pub fn open(&self) -> bool {
        self.state.open() && !self.in_doubt()
    }

    /// Is something of it at the network, or may it be, with its outcome still to come?
    pub fn under_way(&self) -> bool {
        use DeliveryState::{Sending, Unknown, Waiting};
        (matches!(self.state, Sending | Waiting | Unknown) || self.in_doubt())
            && !bugs::on("edited under way")
    }

    /// A segment whose turn has not come: nothing is late about it.
    pub fn waits_for_parent(&self) -> bool {
        self.parent_id.is_some()
            && self.state == DeliveryState::Queued
            && self.scheduled_at.is_none()
    }

    /// Does it wait for an approval, where its post is one to go out? By its problem, too: it may have
    /// come as far as its send.
    pub fn held_back(&self) -> bool {
        let stopped = |p: &Problem| p.class == "not_approved";
        match self.state {
            DeliveryState::Draft => true,
            DeliveryState::Held => {
                self.intent_at.is_none() && self.problem.as_ref().is_some_and(stopped)
            }
            _ => false,
        }
    }

    /// The reason why it cannot be cancelled, if it cannot.
    pub fn uncancellable(&self) -> Option<&'static str> {
        if self.in_doubt() {
            return Some("whether it is live has to be answered first");
        }
        self.state.uncancellable()
    }
}

/// Everything that a move may change besides the state.
#[derive(Debug, Clone, Default)]
pub struct Moved<'a> {
    pub tries: i64,
    pub looks: i64,
    pub intent_at: Option<i64>,
    /// Nothing of it is there for certain: the time from which it could be begins anew.
    pub certain: bool,
    pub next_attempt_at: Option<i64>,
    pub problem: Option<&'a Problem>,
    pub remote_id: Option<&'a str>,
    pub remote_url: Option<&'a str>,
    pub published_at: Option<i64>,
}

impl<'a> Moved<'a> {
    /// What stays as it is in this delivery.
    pub fn from(d: &'a Delivery) -> Self {
        Self {
            tries: d.tries,
            looks: d.looks,
            intent_at: d.intent_at,
            certain: false,
            next_attempt_at: None,
            problem: d.problem.as_ref(),
            remote_id: d.remote_id.as_deref(),
            remote_url: d.remote_url.as_deref(),
            published_at: d.published_at,
        }
    }
}

pub async fn add(tx: &Tx, d: &Delivery) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO delivery (id, workspace_id, post_id, parent_id, connection_id, network, placement, position, text, \
         options, scheduled_at, state, send_key, checkpoints, tries, looks, next_attempt_at, content_hash, created_at, \
         updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, '{}', 0, 0, $14, $15, $16, $17)",
        params![
            &d.id,
            &d.workspace_id,
            &d.post_id,
            d.parent_id.clone(),
            &d.connection_id,
            &d.network,
            &d.placement,
            d.position,
            d.text.clone(),
            store::json(&d.options),
            d.scheduled_at,
            d.state.as_str(),
            &d.send_key,
            d.next_attempt_at,
            d.content_hash.clone(),
            d.created_at,
            d.created_at
        ],
    )
    .await?;
    Ok(())
}

/// What an edit changes, if the state is still `from`; `false` when it is not. What was found before
/// its time no longer counts.
pub async fn edit(tx: &Tx, d: &Delivery, from: DeliveryState, now: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
        "UPDATE delivery SET text = $1, options = $2, scheduled_at = $3, state = $4, position = $5, checkpoints = $6, \
         tries = $7, looks = $8, intent_at = $9, first_intent_at = $10, next_attempt_at = $11, problem = $12, cause = $13, \
         content_hash = $14, checked_at = NULL, warning = NULL, \
         cancel_wish_at = NULL, updated_at = $15 WHERE id = $16 AND state = $17",
        params![
            d.text.clone(),
            store::json(&d.options),
            d.scheduled_at,
            d.state.as_str(),
            d.position,
            store::json(&d.checkpoints),
            d.tries,
            d.looks,
            d.intent_at,
            d.first_intent_at,
            d.next_attempt_at,
            d.problem.as_ref().map(store::json),
            d.problem.as_ref().map(|p| p.class.as_str()),
            d.content_hash.clone(),
            now,
            &d.id,
            from.as_str()
        ],
    )
    .await?;
    Ok(changed == 1)
}

/// What a live one says from now on at its network, and so here; `false` when it is no longer live.
pub async fn amend(tx: &Tx, d: &Delivery, now: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE delivery SET text = $1, title = $2, content_hash = $3, remote_url = $4, updated_at = $5 \
             WHERE id = $6 AND state = 'published'",
            params![
                d.text.clone(),
                d.title.clone(),
                d.content_hash.clone(),
                d.remote_url.clone(),
                now,
                &d.id
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Removes one that was never tried.
pub async fn remove(tx: &Tx, id: &str) -> Result<(), Error> {
    tx.execute("DELETE FROM delivery WHERE id = $1", params![id]).await?;
    Ok(())
}

/// A move of one delivery.
#[derive(Debug, Clone)]
pub struct Go<'a> {
    pub id: &'a str,
    pub from: DeliveryState,
    pub to: DeliveryState,
    pub moved: Moved<'a>,
}

/// Moves to `to` if the state is `from`; `false` when it is not.
pub async fn go(
    tx: &Tx,
    id: &str,
    from: DeliveryState,
    to: DeliveryState,
    moved: &Moved<'_>,
    now: i64,
) -> Result<bool, Error> {
    Ok(go_each(tx, &[Go { id, from, to, moved: moved.clone() }], now).await? == [true])
}

pub async fn go_each(tx: &Tx, moves: &[Go<'_>], now: i64) -> Result<Vec<bool>, Error> {
    let row = |Go { id, from, to, moved }: &Go<'_>| {
        row![
            to.as_str(),
            moved.tries,
            moved.looks,
            moved.intent_at,
            i64::from(moved.certain),
            moved.next_attempt_at,
            moved.problem.map(store::json),
            moved.problem.map(|p| p.class.as_str()),
            moved.remote_id,
            moved.remote_url,
            moved.published_at,
            now,
            *id,
            from.as_str()
        ]
    };
    let changed = tx
        .execute_each(
            "UPDATE delivery SET state = $1, tries = $2, looks = $3, intent_at = $4, \
             first_intent_at = CASE WHEN CAST($5 AS BIGINT) = 1 THEN NULL ELSE first_intent_at END, \
             next_attempt_at = $6, problem = $7, cause = $8, remote_id = $9, remote_url = $10, published_at = $11, \
             updated_at = $12 WHERE id = $13 AND state = $14",
            &moves.iter().map(row).collect::<Vec<_>>(),
        )
        .await?;
    Ok(changed.iter().map(|n| *n == 1).collect())
}

/// The intent: from here on the visible call may be under way. Refused when a cancel came first, and
/// where an approval is needed.
pub async fn intend(tx: &Tx, id: &str, from: DeliveryState, now: i64) -> Result<bool, Error> {
    Ok(intend_each(tx, &[(id, from, false)], now).await? == [true])
}

/// Intents of deliveries in these states, each with whether it is known to be approved: without that
/// it is refused where its workspace asks for approvals.
pub async fn intend_each(
    tx: &Tx,
    deliveries: &[(&str, DeliveryState, bool)],
    now: i64,
) -> Result<Vec<bool>, Error> {
    if bugs::on("cancel overheard") {
        let ids: Vec<_> = deliveries.iter().map(|(id, ..)| row![*id]).collect();
        tx.execute_each("UPDATE delivery SET cancel_wish_at = NULL WHERE id = $1", &ids).await?;
    }
    let row = |(id, from, approved): &(&str, DeliveryState, bool)| {
        row![now, now, now, *id, from.as_str(), i64::from(*approved)]
    };
    let changed = tx
        .execute_each(
            "UPDATE delivery SET state = 'sending', intent_at = $1, first_intent_at = coalesce(first_intent_at, $2), \
             next_attempt_at = NULL, updated_at = $3 WHERE id = $4 AND state = $5 AND cancel_wish_at IS NULL \
             AND (CAST($6 AS BIGINT) = 1 OR NOT EXISTS (SELECT 1 FROM workspace \
               WHERE workspace.id = delivery.workspace_id AND workspace.gated = 1))",
            &deliveries.iter().map(row).collect::<Vec<_>>(),
        )
        .await?;
    Ok(changed.iter().map(|n| *n == 1).collect())
}

pub async fn set_checkpoints(
    tx: &Tx,
    id: &str,
    checkpoints: &BTreeMap<String, Json>,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE delivery SET checkpoints = $1 WHERE id = $2",
        params![store::json(checkpoints), id],
    )
    .await?;
    Ok(())
}

pub async fn wish_cancel(tx: &Tx, id: &str, now: i64) -> Result<(), Error> {
    tx.execute("UPDATE delivery SET cancel_wish_at = $1 WHERE id = $2", params![now, id]).await?;
    Ok(())
}

pub async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Delivery>, Error> {
    let row = tx
        .row("SELECT * FROM delivery WHERE workspace_id = $1 AND id = $2", params![workspace, id])
        .await?;
    row.as_ref().map(read).transpose()
}

/// The same, kept for this transaction: on PostgreSQL nobody else moves it before its end.
pub async fn lock(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Delivery>, Error> {
    if !tx.is_postgres() {
        return find(tx, workspace, id).await;
    }
    let row = tx
        .row(
            "SELECT * FROM delivery WHERE workspace_id = $1 AND id = $2 FOR UPDATE",
            params![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// By id alone, for a worker.
pub async fn load(tx: &Tx, id: &str) -> Result<Option<Delivery>, Error> {
    Ok(load_each(tx, [id]).await?.pop().flatten())
}

pub async fn load_each(
    tx: &Tx,
    ids: impl IntoIterator<Item = &str>,
) -> Result<Vec<Option<Delivery>>, Error> {
    let ids: Vec<_> = ids.into_iter().map(|id| row![id]).collect();
    let found = tx.rows_each("SELECT * FROM delivery WHERE id = $1", &ids).await?;
    found.iter().map(|rows| rows.first().map(read).transpose()).collect()
}

pub async fn of_post(tx: &Tx, post: &str) -> Result<Vec<Delivery>, Error> {
    let rows = tx
        .rows("SELECT * FROM delivery WHERE post_id = $1 ORDER BY position, id", params![post])
        .await?;
    Ok(in_order(rows.iter().map(read).collect::<Result<_, _>>()?))
}

/// What follows a delivery.
pub async fn children(tx: &Tx, parent: &str) -> Result<Vec<Delivery>, Error> {
    Ok(children_each(tx, [parent]).await?.pop().unwrap_or_default())
}

pub async fn children_each(
    tx: &Tx,
    parents: impl IntoIterator<Item = &str>,
) -> Result<Vec<Vec<Delivery>>, Error> {
    let parents: Vec<_> = parents.into_iter().map(|id| row![id]).collect();
    let found = tx
        .rows_each("SELECT * FROM delivery WHERE parent_id = $1 ORDER BY position, id", &parents)
        .await?;
    found.iter().map(|rows| rows.iter().map(read).collect()).collect()
}

/// A segment's turn has come; `false` when it is no longer queued.
pub async fn begin(tx: &Tx, id: &str, now: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE delivery SET scheduled_at = $1, next_attempt_at = $2, updated_at = $3 \
             WHERE id = $4 AND state = 'queued'",
            params![now, now, now, id],
        )
        .await?;
    Ok(changed == 1)
}

/// Each segment behind what it follows.
fn in_order(all: Vec<Delivery>) -> Vec<Delivery> {
    let (mut segments, heads): (Vec<Delivery>, Vec<Delivery>) =
        all.into_iter().partition(|d| d.parent_id.is_some());
    let mut found = Vec::with_capacity(segments.len() + heads.len());
    for head in heads {
        let mut parents = vec![head.id.clone()];
        found.push(head);
        while let Some(parent) = parents.pop() {
            let (next, rest): (Vec<Delivery>, Vec<Delivery>) =
                segments.into_iter().partition(|d| d.parent_id.as_ref() == Some(&parent));
            segments = rest;
            for d in next {
                parents.push(d.id.clone());
                found.push(d);
            }
        }
    }
    found
}

/// Deliveries of the posts due in `[from, to)`, for a calendar in one question.
pub async fn between(tx: &Tx, workspace: &str, from: i64, to: i64) -> Result<Vec<Delivery>, Error> {
    let rows = tx
        .rows(
            "SELECT delivery.* FROM post JOIN delivery ON delivery.post_id = post.id WHERE post.workspace_id = $1 \
             AND post.scheduled_at >= $2 AND post.scheduled_at < $3 AND post.deleted_at IS NULL \
             ORDER BY delivery.post_id, delivery.position",
            params![workspace, from, to],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Which of these ids at the network are bound to another delivery of the same connection?
pub async fn bound(tx: &Tx, connection: &str, remote_id: &str, but: &str) -> Result<bool, Error> {
    let row = tx
        .row(
            "SELECT id FROM delivery WHERE connection_id = $1 AND remote_id = $2 AND id <> $3",
            params![connection, remote_id, but],
        )
        .await?;
    Ok(row.is_some() && !bugs::on("found though bound"))
}

/// How many deliveries wait for a connection.
pub async fn waiting_for(tx: &Tx, connection: &str) -> Result<i64, Error> {
    let row = tx
        .row(
            "SELECT count(*) AS n FROM delivery WHERE connection_id = $1 AND state IN ('queued', 'held')",
            params![connection],
        )
        .await?;
    row.map_or(Ok(0), |r| r.int("n"))
}

/// How many of a connection are queued for a time since `since` that is earlier than this one's
/// `due`, up to a thousand.
pub async fn queued_before(
    tx: &Tx,
    connection: &str,
    since: i64,
    due: i64,
    id: &str,
) -> Result<i64, Error> {
    let row = tx
        .row(
            "SELECT count(*) AS n FROM (SELECT id FROM delivery WHERE connection_id = $1 AND state = 'queued' \
             AND scheduled_at >= $2 AND scheduled_at <= $3 AND (scheduled_at < $4 OR id < $5) LIMIT 1000) AS earlier",
            params![connection, since, due, due, id],
        )
        .await?;
    row.map_or(Ok(0), |r| r.int("n"))
}

/// Deliveries of a connection that a disconnect has to cancel; what may be live keeps its question.
pub async fn open_of_connection(tx: &Tx, connection: &str) -> Result<Vec<Delivery>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM delivery WHERE connection_id = $1 AND state IN ('queued', 'held', 'draft')",
            params![connection],
        )
        .await?;
    let open: Result<Vec<Delivery>, Error> = rows.iter().map(read).collect();
    Ok(open?.into_iter().filter(|d| !d.in_doubt()).collect())
}

/// What a look before its time found. A delivery that was edited or sent meanwhile is left alone.
pub async fn checked(
    tx: &Tx,
    id: &str,
    scheduled_at: i64,
    warning: Option<&Problem>,
    now: i64,
) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE delivery SET checked_at = $1, warning = $2 WHERE id = $3 AND scheduled_at = $4 AND state = 'queued'",
            params![now, warning.map(store::json), id, scheduled_at],
        )
        .await?;
    Ok(changed == 1)
}

/// What was found about the deliveries of a connection no longer holds: they are looked at again.
pub async fn uncheck(tx: &Tx, connection: &str) -> Result<u64, Error> {
    tx.execute(
        "UPDATE delivery SET checked_at = NULL, warning = NULL WHERE connection_id = $1 AND state = 'queued' \
         AND warning IS NOT NULL",
        params![connection],
    )
    .await
}

pub(super) fn read(r: &Row) -> Result<Delivery, Error> {
    Ok(Delivery {
        id: r.text("id")?,
        workspace_id: r.text("workspace_id")?,
        post_id: r.text("post_id")?,
        parent_id: r.opt_text("parent_id")?,
        connection_id: r.text("connection_id")?,
        network: r.text("network")?,
        placement: r.text("placement")?,
        position: r.int("position")?,
        text: r.opt_text("text")?,
        title: r.opt_text("title")?,
        options: r.json("options")?,
        scheduled_at: r.opt_int("scheduled_at")?,
        state: r.word("state")?,
        send_key: r.text("send_key")?,
        checkpoints: r.json("checkpoints")?,
        intent_at: r.opt_int("intent_at")?,
        first_intent_at: r.opt_int("first_intent_at")?,
        tries: r.int("tries")?,
        looks: r.int("looks")?,
        next_attempt_at: r.opt_int("next_attempt_at")?,
        cancel_wish_at: r.opt_int("cancel_wish_at")?,
        remote_id: r.opt_text("remote_id")?,
        remote_url: r.opt_text("remote_url")?,
        published_at: r.opt_int("published_at")?,
        problem: r.opt_json("problem")?,
        content_hash: r.opt_text("content_hash")?,
        checked_at: r.opt_int("checked_at")?,
        warning: r.opt_json("warning")?,
        created_at: r.int("created_at")?,
    })
}
