//! Dead letters: what failed, is held or was missed, and waits for a person.

use axum::extract::State;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::paging;
use crate::app::App;
use crate::domain::delivery::DeliveryState;
use crate::domain::refusal::{Refusal, Wrong};
use crate::publishing::dead_letters::{self, DeadLetters, How, Replayed, Which};
use crate::store::dead_letters::Filter;
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Json, Query};

/// Which dead letters to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// `failed`, `held`, `missed`, or several of them with commas; all when not given.
    #[param(example = "failed,missed")]
    state: Option<String>,
    /// The class of the problem, as `causes` names it.
    #[param(example = "transient")]
    cause: Option<String>,
    #[param(example = "mastodon")]
    network: Option<String>,
    connection_id: Option<String>,
    /// A dead letter since this time or later.
    from: Option<String>,
    /// Since before this time.
    to: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 when not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Lists the deliveries that failed, are held or were missed, the latest first.
#[utoipa::path(get, path = "/dead-letters", tag = "dead_letters", params(ListQuery),
    responses((status = 200, description = "A page of them, and how many there are of each cause.", body = DeadLetters), Reads))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(q): Query<ListQuery>,
) -> Result<Json<DeadLetters>, ApiError> {
    let limit = paging::limit(q.limit, 50, 200)?;
    let cursor = paging::cursor(q.cursor.as_deref())?;
    let asked = Asked {
        state: q.state,
        cause: q.cause,
        network: q.network,
        connection_id: q.connection_id,
        from: q.from,
        to: q.to,
    };
    let filter = asked.filter()?;
    Ok(Json(dead_letters::list(&app, &caller.workspace_id, filter, cursor, limit).await?))
}

/// Which dead letters; an empty one means all of them.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = DeadLetterFilter)]
pub struct Asked {
    /// `failed`, `held`, `missed`, or several of them with commas; all when not given.
    state: Option<String>,
    cause: Option<String>,
    network: Option<String>,
    connection_id: Option<String>,
    /// A dead letter since this time or later.
    from: Option<String>,
    /// Since before this time.
    to: Option<String>,
}

impl Asked {
    fn filter(&self) -> Result<Filter, Refusal> {
        let said = |t: &Option<String>| t.clone().filter(|t| !t.is_empty());
        Ok(Filter {
            states: states(self.state.as_deref().unwrap_or(""))?,
            cause: said(&self.cause),
            network: said(&self.network),
            connection_id: said(&self.connection_id).map(|id| id.to_ascii_lowercase()),
            from: paging::moment("from", self.from.as_deref())?.unwrap_or(0),
            to: paging::moment("to", self.to.as_deref())?.unwrap_or(i64::MAX),
        })
    }
}

/// The states of a list with commas.
fn states(text: &str) -> Result<Vec<DeliveryState>, Refusal> {
    use DeliveryState::{Failed, Held, Missed};
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(|word| match word.parse() {
            Ok(state @ (Failed | Held | Missed)) => Ok(state),
            _ => Err(paging::wrong(
                "state",
                format!("`{word}` is no state of a dead letter: they are failed, held, missed."),
            )),
        })
        .collect()
}

/// Which dead letters to send again, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Replay {
    /// These deliveries.
    #[serde(default)]
    ids: Option<Vec<String>>,
    /// Or all that this fits.
    #[serde(default)]
    filter: Option<Asked>,
    /// Between two deliveries of one connection, 0 to 86400; 30 when not given.
    #[serde(default)]
    spacing_seconds: Option<i64>,
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// Sends dead letters again, those that cannot post twice; of the others it says why not.
#[utoipa::path(post, path = "/dead-letters/replay", tag = "dead_letters",
    request_body(content = Replay, example = json!({ "filter": { "cause": "transient" }, "dryRun": true })),
    responses((status = 200, description = "What was, or would be, sent again.", body = Replayed), Writes))]
pub async fn replay(
    State(app): State<App>,
    caller: Caller,
    Json(replay): Json<Replay>,
) -> Result<Json<Replayed>, ApiError> {
    let which = match (replay.ids, replay.filter) {
        (Some(ids), None) => Which::Ids(ids),
        (None, Some(filter)) => Which::All(filter.filter()?),
        _ => {
            let message = "Say which: either `ids` or `filter`; an empty filter means all.";
            let wrong = Wrong::new("ids", "ids_or_filter", message);
            return Err(Refusal::invalid(vec![wrong]).into());
        }
    };
    let how = How { spacing: replay.spacing_seconds, dry_run: replay.dry_run };
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    Ok(Json(dead_letters::replay(&app, ws, which, how, &actor, |_| {}).await?))
}
