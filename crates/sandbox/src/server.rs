//! Every route, and the way of one request to a network: read, aimed, spoiled, answered, recorded.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::{Fault, Trouble};
use crate::line::Cut;
use crate::nostr;
use crate::numbers::Numbers;
use crate::page;
use crate::requests::Recorded;
use crate::world::{Network, World};

/// The biggest body a request may have.
const BODY_LIMIT: usize = 16 << 20;

pub(crate) fn router(world: Arc<World>) -> Router {
    let mut routes = Router::new()
        // What people look at
        .route("/", get(page::index))
        .route("/posts/{network}/{*id}", get(page::post))
        .route("/_style.css", get(page::style))
        .route("/favicon.ico", get(page::icon))
        .route("/_media/{name}", get(media))
        // What tests ask and order
        .route("/_ledger/{network}", get(ledger))
        .route("/_requests/{network}", get(requests))
        .route("/_faults", post(add_fault).get(faults).delete(clear_faults))
        .route("/_numbers/{network}/{*id}", post(set_numbers))
        .route("/_reset", post(reset));
    // What connectors speak to
    for &network in Network::ALL {
        let base = format!("/{}", network.id());
        let speak =
            any(move |State(world): State<Arc<World>>, request: Request<Body>| async move {
                if network == Network::Nostr && nostr::is_upgrade(&request) {
                    return nostr::open(world, request).await;
                }
                Box::pin(answer(network, &world, request)).await
            });
        routes = routes
            .route(&base, speak.clone())
            .route(&format!("{base}/"), speak.clone())
            .route(&format!("{base}/{{*path}}"), speak);
    }
    routes.fallback(page::missing).layer(DefaultBodyLimit::max(BODY_LIMIT)).with_state(world)
}

async fn answer(network: Network, world: &World, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let cut = parts.extensions.get::<ConnectInfo<Cut>>().map(|ConnectInfo(cut)| cut.clone());
    let path = decoded(parts.uri.path()).split_off(network.id().len() + 1);
    let read = to_bytes(body, BODY_LIMIT).await;
    let too_large = read.is_err();
    let call = Call::read(parts, &path, read.unwrap_or_default(), world.now()).await;
    let Aim { call: kind, account } = network.aim(world, &call);
    let met = world.faults.meet(network, kind, account.as_deref());
    let mut recorded = Recorded::of(network, &call, kind, account);
    recorded.fault = met.map(|(trouble, _)| trouble);

    if !world.options.latency.is_zero() {
        tokio::time::sleep(world.options.latency).await;
    }
    let refused = |refusal| Some(network.refuse(&call, refusal));
    let answer = match met {
        _ if too_large => refused(Refusal::TooLarge),
        _ if call.unreadable.is_some() => refused(Refusal::Unreadable),
        Some((Trouble::RateLimit, ms)) => {
            refused(Refusal::RateLimit(i64::try_from(ms).unwrap_or(i64::MAX)))
        }
        Some((Trouble::ServerError, _)) => refused(Refusal::ServerError),
        Some((Trouble::Auth, _)) => refused(Refusal::Auth),
        Some((Trouble::ResetBeforeAccept, _)) => None,
        Some((Trouble::ResetAfterAccept, _)) => {
            network.answer(world, &call).await;
            None
        }
        Some((Trouble::Garbage, _)) => {
            let answer = network.answer(world, &call).await;
            Some(garbled(network, answer))
        }
        Some((Trouble::Slow, ms)) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Some(network.answer(world, &call).await)
        }
        Some((Trouble::Processing, _)) | None => Some(network.answer(world, &call).await),
    };
    recorded.status = answer.as_ref().map(|answer| answer.status.as_u16());
    world.requests.add(network, recorded);
    match (answer, cut) {
        (Some(answer), _) => answer.header("date", &http_date(call.now)).into_response(),
        (None, Some(cut)) => {
            cut.cut();
            StatusCode::OK.into_response()
        }
        (None, None) => broken_off(),
    }
}

/// The clock of the service itself: times of resets are meant against it.
fn http_date(now: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(now).unwrap_or_default();
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The path with its escapes resolved; what is no UTF-8 is replaced.
fn decoded(path: &str) -> String {
    // The decoder of forms also reads `+` as a space, which a path does not mean.
    let escaped = path.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(escaped.as_bytes())
        .next()
        .map_or_else(String::new, |(path, _)| path.into_owned())
}

/// A 200 that cannot be read: half of the JSON, or a page where a plugin printed something.
fn garbled(network: Network, answer: Answer) -> Answer {
    if network == Network::Wordpress {
        return Answer::html(
            200,
            "<br />\n<b>Warning</b>:  Undefined array key \"width\" in <b>plugin.php</b> on line \
             <b>212</b><br />\n{\"id\":",
        );
    }
    let half = answer.body.slice(..answer.body.len() / 2);
    let body = if half.is_empty() { Bytes::from_static(b"{\"") } else { half };
    Answer { status: StatusCode::OK, body, ..answer }
}

/// The nearest to a cut connection where the connection belongs to another server.
fn broken_off() -> Response {
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let stream = futures_util::stream::once(async { Err::<Bytes, _>(broken) });
    Response::new(Body::from_stream(stream))
}

async fn media(State(world): State<Arc<World>>, Path(name): Path<String>) -> Response {
    let hash = name.split('.').next().unwrap_or_default();
    match world.blobs.get(hash) {
        Some(bytes) => {
            let kind = crate::media::recognise(&bytes);
            let mime = kind.map_or("application/octet-stream", |kind| kind.mime);
            Answer::new(200, mime, bytes)
                .header("cache-control", "public, max-age=31536000, immutable")
                .header("x-content-type-options", "nosniff")
                .into_response()
        }
        None => Answer::new(404, "text/plain; charset=utf-8", "No such media.").into_response(),
    }
}

async fn ledger(State(world): State<Arc<World>>, Path(network): Path<String>) -> Response {
    known(&network, |network| json!({ "posts": world.ledger(network) }))
}

async fn requests(State(world): State<Arc<World>>, Path(network): Path<String>) -> Response {
    known(&network, |network| json!({ "requests": world.requests.of(network) }))
}

fn known(network: &str, body: impl FnOnce(Network) -> serde_json::Value) -> Response {
    match Network::find(network) {
        Some(network) => Answer::json(200, &body(network)).into_response(),
        None => {
            let all = Network::ALL.iter().map(|n| n.id()).collect::<Vec<_>>().join(", ");
            let error = format!("`{network}` is not a network of the sandbox: {all} are.");
            Answer::json(404, &json!({ "error": error })).into_response()
        }
    }
}

async fn set_numbers(
    State(world): State<Arc<World>>,
    Path((network, id)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let refused = |status: u16, error: String| {
        Answer::json(status, &json!({ "error": error })).into_response()
    };
    let Some(network) = Network::find(&network) else {
        return refused(404, format!("`{network}` is not a network of the sandbox."));
    };
    if !world.ledger(network).iter().any(|post| post.id == id) {
        return refused(404, format!("{} has no post `{id}`.", network.name()));
    }
    match serde_json::from_slice::<Numbers>(&body) {
        Ok(numbers) => {
            world.counts.set(network, &id, numbers);
            Answer::json(200, &json!(numbers)).into_response()
        }
        Err(error) => refused(400, format!("The body is no object of whole numbers: {error}.")),
    }
}

async fn add_fault(State(world): State<Arc<World>>, body: Bytes) -> Response {
    match Fault::read(&body) {
        Ok(fault) => {
            world.faults.add(fault);
            Answer::json(200, &world.faults.left()).into_response()
        }
        Err(error) => Answer::json(400, &json!({ "error": error })).into_response(),
    }
}

async fn faults(State(world): State<Arc<World>>) -> Response {
    Answer::json(200, &world.faults.left()).into_response()
}

async fn clear_faults(State(world): State<Arc<World>>) -> Response {
    world.faults.clear();
    faults(State(world)).await
}

async fn reset(State(world): State<Arc<World>>) -> StatusCode {
    world.reset();
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once() {
        assert_eq!(decoded("/a%2Fb/c+d&e=f/%2520"), "/a/b/c+d&e=f/%20");
        assert_eq!(decoded("/"), "/");
    }
}
