//! What Facebook and Instagram share, and Threads in part: the Graph API's address, consents, the
//! upload server, the error envelope and table of codes, the usage headers, the paged listings.
//!
//! Source: the Graph API's error and rate-limit references for v25.0, checked 2026-11-22. Codes are
//! classified by `code`, then `error_subcode`, never by the message. The large numbers (1366046,
//! 2207026 …) arrive as either of the two, so they are looked for in both.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Action, Class, Error, quote, saying};
use crate::http::{Reply, Request};
use crate::oauth::{self, OAuth, SecretIn};
use crate::{Context, Grant, Media, Metric, Network, Numbers, Prepared, Secret, Tokens, numbers};

pub(crate) const BASE: &str = "https://graph.facebook.com";
/// Takes the bytes of videos, and nothing else.
const UPLOADS: &str = "https://rupload.facebook.com";
/// Versions live about two years.
const VERSION: &str = "v25.0";
/// A listing is followed this far; within a window of minutes one page is the rule.
const MAX_PAGES: usize = 4;

/// An answer that names what was made.
#[derive(Debug, Deserialize)]
pub(crate) struct Made {
    pub(crate) id: String,
    /// `permalink_url` on posts of a page, `permalink` on Instagram.
    #[serde(alias = "permalink_url")]
    pub(crate) permalink: Option<String>,
}

/// What was read of a listing, newest first.
pub(crate) struct Listing<T> {
    pub(crate) items: Vec<T>,
    /// Was it read as far back as asked? Otherwise "not in it" proves nothing.
    pub(crate) complete: bool,
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    next: Option<String>,
}

#[derive(Deserialize)]
struct Envelope {
    error: GraphError,
}

#[derive(Deserialize)]
struct GraphError {
    code: i64,
    #[serde(default)]
    message: String,
    error_subcode: Option<i64>,
    #[serde(default)]
    is_transient: bool,
    error_user_msg: Option<String>,
    fbtrace_id: Option<String>,
}

/// `{base}/v25.0/{path}`, each part escaped: ids come from people and from storage.
pub(crate) fn address(cx: &Context<'_>, path: &[&str]) -> Result<String, Error> {
    below(cx.base, std::iter::once(&VERSION).chain(path))
}

/// `{base}/{path}`, each part escaped.
pub(crate) fn below<'p>(
    base: &str,
    path: impl IntoIterator<Item = &'p &'p str>,
) -> Result<String, Error> {
    let unreadable = || {
        Error::new(Class::Config, "The address of the Graph API cannot be read.")
            .code("bad_address")
            .action(Action::AskOperator)
    };
    let mut url = url::Url::parse(base).map_err(|_| unreadable())?;
    url.path_segments_mut().map_err(|()| unreadable())?.pop_if_empty().extend(path);
    Ok(url.into())
}

/// Sends with the connection's token and reads the answer.
pub(crate) async fn call<T: DeserializeOwned>(
    cx: &Context<'_>,
    network: &dyn Network,
    request: Request,
) -> Result<T, Error> {
    call_within(cx, network, request, cx.timeout).await
}

pub(crate) async fn call_within<T: DeserializeOwned>(
    cx: &Context<'_>,
    network: &dyn Network,
    request: Request,
    timeout: Duration,
) -> Result<T, Error> {
    let token = cx.account.secret("accessToken")?;
    let reply = cx.http.send(request.bearer_auth(token.reveal()), timeout).await?;
    if reply.ok() {
        return reply.json();
    }
    let mut error = network.parse_error(&reply);
    // The Graph API quotes malformed tokens in its messages.
    error.sentence = error.sentence.replace(token.reveal(), "•••");
    Err(error)
}

/// Reads a listing that is newest first, until an item is `older` than what is looked for.
pub(crate) async fn list<T: DeserializeOwned>(
    cx: &Context<'_>,
    network: &dyn Network,
    path: &[&str],
    query: &[(&str, String)],
    older: impl Fn(&T) -> bool,
) -> Result<Listing<T>, Error> {
    list_at(cx, network, &address(cx, path)?, query, older).await
}

pub(crate) async fn list_at<T: DeserializeOwned>(
    cx: &Context<'_>,
    network: &dyn Network,
    url: &str,
    query: &[(&str, String)],
    older: impl Fn(&T) -> bool,
) -> Result<Listing<T>, Error> {
    let mut query: Vec<(String, String)> =
        query.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    let mut items = Vec::new();
    for _ in 0..MAX_PAGES {
        let page: Page<T> = call(cx, network, cx.http.get(url).query(&query)).await?;
        let past = page.data.last().is_none_or(&older);
        items.extend(page.data);
        let next = page.paging.and_then(|p| p.next);
        let Some(next) = next.filter(|_| !past) else {
            return Ok(Listing { items, complete: true });
        };
        let Ok(next) = url::Url::parse(&next) else { break };
        // Its query only: the token in it, and a host of its choosing, stay unused.
        query = next
            .query_pairs()
            .filter(|(k, _)| k != "access_token")
            .map(|(k, v)| (k.into_owned(), v.into_owned()))
            .collect();
    }
    Ok(Listing { items, complete: false })
}

/// What is the same in both networks' [`OAuth`].
pub(crate) const fn consent(
    scopes: &'static [&'static str],
    reading: &'static [&'static str],
    guide: &'static [&'static str],
) -> OAuth {
    OAuth {
        authorize: "https://www.facebook.com/v25.0/dialog/oauth",
        token: "https://graph.facebook.com/v25.0/oauth/access_token",
        scopes,
        reading,
        separator: ',',
        pkce: false,
        id_param: "client_id",
        secret_in: SecretIn::Body,
        // Asks again for what was declined before.
        params: &[("auth_type", "rerequest")],
        guide,
    }
}

/// The code of a consent for a token of about an hour, that for one of sixty days, and what was
/// granted with it. Only tokens of pages that are made with the long one have no end.
pub(crate) async fn exchange(
    cx: &Context<'_>,
    network: &dyn Network,
    grant: &Grant,
) -> Result<Tokens, Error> {
    let (spec, errors) = (network.spec(), |reply: &Reply| untraded(network, reply));
    let short = oauth::exchange(spec, &errors, cx, grant).await?.access;
    let form = vec![
        ("grant_type", "fb_exchange_token".to_owned()),
        ("fb_exchange_token", short.reveal().to_owned()),
    ];
    let long = oauth::trade(spec, &errors, cx, form).await?;
    // The code is spent: what only this read fails to tell is asked again when it is needed.
    let scopes = granted(cx, network, &long.access).await.ok();
    // The connection keeps a page's token, not this one.
    Ok(Tokens { scopes, expires_in: None, ..long })
}

/// A code or a token that is not taken, and an app that is not known.
fn untraded(network: &dyn Network, reply: &Reply) -> Error {
    let (error, name) = (network.parse_error(reply), network.spec().name);
    match error.class {
        Class::Content => error
            .becomes(Class::Auth, format!("{name} does not accept this consent: connect again.")),
        _ => error,
    }
}

#[derive(Deserialize)]
struct Permission {
    permission: String,
    status: String,
}

/// What the person behind a token let us do: people can untick.
async fn granted(
    cx: &Context<'_>,
    network: &dyn Network,
    token: &Secret,
) -> Result<Vec<String>, Error> {
    let url = address(cx, &["me", "permissions"])?;
    let request = cx.http.get(&url).bearer_auth(token.reveal());
    let reply = cx.http.send(request, cx.timeout).await?;
    if !reply.ok() {
        return Err(network.parse_error(&reply));
    }
    let all: Page<Permission> = reply.json()?;
    let granted = all.data.into_iter().filter(|one| one.status == "granted");
    Ok(granted.map(|one| one.permission).collect())
}

/// A page, as the person behind a fresh consent sees it.
#[derive(Deserialize)]
pub(crate) struct Managed {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
    access_token: Option<String>,
    #[serde(default)]
    tasks: Vec<String>,
    pub(crate) instagram_business_account: Option<Linked>,
}

#[derive(Deserialize)]
pub(crate) struct Linked {
    pub(crate) id: String,
    pub(crate) username: Option<String>,
}

impl Managed {
    /// The page's own token, or why nothing can be posted with it.
    pub(crate) fn token(&self) -> Result<Secret, String> {
        if !self.tasks.iter().any(|task| task == "CREATE_CONTENT" || task == "MANAGE") {
            return Err(format!(
                "You may not create posts for the page “{}”: one of its administrators can allow it.",
                self.name
            ));
        }
        let token = self.access_token.clone().filter(|token| !token.is_empty());
        token
            .map(Secret::new)
            .ok_or_else(|| format!("Facebook gives no access token for the page “{}”.", self.name))
    }
}

/// The pages of a fresh consent; none is an error that says why.
pub(crate) async fn pages(
    cx: &Context<'_>,
    network: &dyn Network,
    fields: &str,
) -> Result<Vec<Managed>, Error> {
    let query = [("fields", fields.to_owned()), ("limit", "100".to_owned())];
    let listing: Listing<Managed> =
        list(cx, network, &["me", "accounts"], &query, |_| false).await?;
    if !listing.items.is_empty() {
        return Ok(listing.items);
    }
    let granted = granted(cx, network, &cx.account.secret("accessToken")?).await?;
    let says = if granted.iter().any(|permission| permission == "pages_show_list") {
        "This Facebook account has no page, or none was ticked on the consent page."
    } else {
        "The list of pages was not allowed on the consent page: connect again and leave it ticked."
    };
    Err(Error::new(Class::Auth, says).code("no_pages"))
}

/// Sends a file from `from` on to the upload server, in one request as it wants it. `name` is what
/// the handle is saved under. Where the time of one call is not enough, what arrived stays there,
/// and the next call goes on behind it: an error is only what brings nothing.
pub(crate) async fn upload(
    cx: &Context<'_>,
    network: &dyn Network,
    name: &str,
    path: &[&str; 2],
    media: &Media,
    from: u64,
) -> Result<Prepared, Error> {
    let token = cx.account.secret("accessToken")?;
    let url = below(&OAuth::at(UPLOADS, cx.base, BASE), [&path[0], &VERSION, &path[1]])?;
    let (size, mark) = (media.size(), format!("{name}:from"));
    if from >= size {
        return Ok(Prepared::Ready);
    }
    let before = cx.saved(&mark).and_then(|at| at.as_u64());
    if before != Some(from) {
        cx.checkpoint(&mark, from).await?;
    }
    let request = cx
        .http
        .post(&url)
        .header("Authorization", format!("OAuth {}", token.reveal()))
        .header("offset", from)
        .header("file_size", size)
        .header("Content-Type", "application/octet-stream")
        .header("Content-Length", size.saturating_sub(from))
        .body(media.body(from));
    match cx.http.send(request, cx.timeout).await {
        Ok(reply) if reply.ok() && reply.value()["success"] == Value::Bool(true) => {
            Ok(Prepared::Ready)
        }
        Ok(reply) if reply.ok() => Err(Error::garbled("no word of success").harmless()),
        Ok(reply) => Err(network.parse_error(&reply).harmless()),
        Err(e) if e.class == Class::Unknown && before.is_none_or(|before| from > before) => {
            Ok(Prepared::Processing { again_in: Duration::from_secs(1) })
        }
        Err(e) => Err(e.harmless()),
    }
}

/// Deletes; what is gone already is success. Code 100/33 says "missing, or no right, or not
/// possible", so it counts as gone only when the object cannot be read and the connection works.
pub(crate) async fn delete(
    cx: &Context<'_>,
    network: &dyn Network,
    remote_id: &str,
) -> Result<(), Error> {
    delete_at(cx, network, &address(cx, &[remote_id])?).await
}

pub(crate) async fn delete_at(
    cx: &Context<'_>,
    network: &dyn Network,
    url: &str,
) -> Result<(), Error> {
    let refused = match call::<Value>(cx, network, cx.http.delete(url)).await {
        Ok(answer) if answer["success"] == Value::Bool(false) => {
            return Err(Error::new(Class::Transient, "The network did not delete the post.")
                .code("not_deleted"));
        }
        Ok(_) => return Ok(()),
        Err(error) if is_missing(&error) => error,
        Err(error) => return Err(error),
    };
    match call::<Made>(cx, network, cx.http.get(url).query(&[("fields", "id")])).await {
        Ok(_) => Err(refused),
        Err(error) if is_missing(&error) => network.check(cx).await.map(|_| ()),
        Err(error) => Err(error),
    }
}

/// Reads of a post. That it is gone, and that the token may not read numbers, is told apart from
/// the rest.
pub(crate) async fn counted<T: DeserializeOwned>(
    cx: &Context<'_>,
    network: &dyn Network,
    request: Request,
) -> Result<T, Error> {
    let name = network.spec().name;
    match call(cx, network, request).await.map_err(Error::harmless) {
        // Missing, or no right to it: the connection's own state tells which.
        Err(error) if is_missing(&error) => {
            network.check(cx).await.map_err(Error::harmless)?;
            Err(numbers::gone(name))
        }
        Err(error) if lacks_right(&error) => Err(numbers::ungranted(error, name)),
        other => other,
    }
}

#[derive(Deserialize)]
struct Insight {
    name: String,
    #[serde(default)]
    values: Vec<Value>,
    #[serde(default)]
    total_value: Value,
}

impl Insight {
    /// Some are told in parts, of advertisements and of all else.
    fn number(&self) -> Option<u64> {
        let told = self.values.last().unwrap_or(&self.total_value);
        match &told["value"] {
            Value::Object(parts) => Some(parts.values().filter_map(numbers::number).sum()),
            one => numbers::number(one),
        }
    }
}

/// The insights of a post at this address, by the network's names for them.
pub(crate) async fn insights(
    cx: &Context<'_>,
    network: &dyn Network,
    url: &str,
    metrics: &[(Metric, &str)],
) -> Result<Numbers, Error> {
    let asked = metrics.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(",");
    let request = cx.http.get(url).query(&[("metric", asked)]);
    let told: Page<Insight> = counted(cx, network, request).await?;
    Ok(numbers::sum(metrics.iter().filter_map(|(metric, name)| {
        let insight = told.data.iter().find(|insight| insight.name == *name)?;
        Some((*metric, insight.number()?))
    })))
}

/// 10 and 200 to 299: the token works and lacks a permission.
fn lacks_right(error: &Error) -> bool {
    let code = error.code.as_deref().unwrap_or_default();
    let code = code.split('/').next().and_then(|code| code.parse().ok());
    error.class == Class::Auth && code.is_some_and(|code| matches!(code, 10 | 200..=299))
}

/// 100/33: the object is missing, or the token has no right to it.
pub(crate) fn is_missing(error: &Error) -> bool {
    error.code.as_deref() == Some("100/33")
}

/// `2026-11-22T10:00:00+0000` in ms.
pub(crate) fn millis(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(|t| t.as_millisecond())
}

/// A handle that `prepare` should have left is not there; nothing was sent.
pub(crate) fn not_prepared() -> Error {
    Error::new(Class::Transient, "The pictures of this post are not at the network yet.")
        .code("not_prepared")
        .restart()
}

/// Reads an error; `own` is the network's own table and wins.
pub(crate) fn parse(reply: &Reply, network: &str, own: fn(i64, i64) -> Option<Error>) -> Error {
    let status = reply.status.as_u16();
    let Ok(Envelope { error: said }) = serde_json::from_slice::<Envelope>(&reply.body) else {
        let error = refused_upload(reply)
            .unwrap_or_else(|| foreign(reply).status(status).code(format!("http_{status}")));
        return if status >= 500 { error.maybe_applied() } else { error };
    };
    let sub = said.error_subcode.unwrap_or(0);
    let mut error = own(said.code, sub)
        .or_else(|| wrong_app(&said, network))
        .or_else(|| table(said.code, sub))
        .unwrap_or_else(|| unlisted(&said, reply, network))
        .status(status)
        .request_id(said.fbtrace_id.or_else(|| reply.request_id()));
    error.code = Some(match sub {
        0 => said.code.to_string(),
        _ => format!("{}/{sub}", said.code),
    });
    if let Some(text) = said.error_user_msg.filter(|text| !text.trim().is_empty()) {
        error.sentence = format!("{}.", quote(&text));
    }
    if matches!(error.class, Class::RateLimit | Class::Quota) {
        error.retry_after = retry_after(reply);
    }
    // An answer of 5xx does not prove that nothing was done.
    if status >= 500 { error.maybe_applied() } else { error }
}

/// The codes of both networks. `None`: not in the documents.
pub(crate) fn table(code: i64, sub: i64) -> Option<Error> {
    by_number(sub).or_else(|| by_number(code)).or_else(|| by_code(code, sub))
}

/// Numbers that mean the same as a code and as a subcode.
fn by_number(number: i64) -> Option<Error> {
    let content = |says: &str| Error::new(Class::Content, says);
    let policy = |says: &str| Error::new(Class::Policy, says);
    Some(match number {
        1404082 => Error::new(Class::Duplicate, "The network says that it has this very post."),
        1366051 => Error::new(Class::Duplicate, "These photos were posted already."),
        1390008 => policy("Posting went too fast: let the page rest for days, not minutes."),
        4854002 => policy("The network wants an identity confirmed in its mobile app."),
        1404078 => policy("The page needs its publishing authorisation."),
        1404112 => policy("The account has limited access for now."),
        1346003 => policy("The post was reported as abusive."),
        1404102 => policy("The post goes against the community standards."),
        1404006 => policy("The network wants a security check passed first."),
        1366046 => content("A photo is larger than 4 MB or of a type that is not taken."),
        1609005 => content("The link in the post cannot be read by the network."),
        1609008 => content("Links to facebook.com are refused."),
        2061006 => content("An address in the post is not valid."),
        1349125 => content("The file has a format that is not taken."),
        2069019 => content("The file is broken or of a type that is not taken."),
        1363040 => content("The video has a shape that is not taken."),
        1363127 => content("The video has a resolution that is not taken."),
        1363128 => content("The video is too short or too long."),
        1363129 => content("The video has a frame rate that is not taken."),
        1363047 | 1609010 => Error::new(Class::Transient, "The network asks to try again later."),
        1363019 | 1363021 | 1363030 | 1363033 | 1363037 => {
            Error::new(Class::Transient, "The upload of the video broke off in the middle.")
        }
        1363041 => {
            Error::new(Class::Transient, "The upload of the video has to begin anew.").restart()
        }
        36007 | 36009 => {
            Error::new(Class::Auth, "This consent was used before or is too old: connect again.")
        }
        36008 => Error::new(Class::Config, "The network knows another redirect address.")
            .action(Action::AskOperator),
        _ => return None,
    })
}

fn by_code(code: i64, sub: i64) -> Option<Error> {
    let auth = |says: &str| Error::new(Class::Auth, says);
    let content = |says: &str| Error::new(Class::Content, says);
    let rate = |says: &str| Error::new(Class::RateLimit, says);
    Some(match (code, sub) {
        (190, 458) => auth("The app was removed from the account's settings."),
        (190, 459) => auth("The account is held for a check: sign in at facebook.com first.")
            .action(Action::ActAtNetwork),
        (190, 460) => auth("The password was changed, so the access token ended."),
        (190, 463) => auth("The access token has expired."),
        (190, 464) => auth("The account is not confirmed yet: sign in at facebook.com first.")
            .action(Action::ActAtNetwork),
        (190, 492) => auth("The person behind the access token lost their role on this page."),
        (102 | 190, _) => auth("The access token is not valid."),
        (104, _) => auth("The request reached the network without an access token."),
        (10, _) => {
            auth("A permission is missing, or the app has no Advanced Access for this account.")
        }
        (200..=299, _) => auth("The access token lacks a permission that publishing needs."),
        (100, 33) => auth("It does not exist, or the access token has no right to it."),
        (3, _) => Error::new(Class::Config, "The app lacks the capability for this call.")
            .action(Action::AskOperator),
        (4, _) => rate("The app made too many calls."),
        (17, _) => rate("The account made too many calls."),
        (32 | 80001, _) => rate("The page had too many calls."),
        (341, _) => rate("The app reached its limit for now."),
        (613, _) => rate("There were too many calls of this kind."),
        (80002, _) => rate("The Instagram account had too many calls."),
        (368, _) => Error::new(Class::Policy, "The account is blocked from posting for now."),
        (506, _) => Error::new(Class::Duplicate, "The network says that it has this very post."),
        (100, _) => content("The network refused a part of the post as not valid."),
        (389, _) => content("The network cannot fetch the video."),
        (382, _) => content("The video is too small."),
        (6000 | 6001, _) => content("The upload was refused."),
        // Seen with the post made all the same, hence not certain.
        (1 | 2, _) => Error::new(Class::Transient, "The network had a passing error of its own.")
            .maybe_applied(),
        _ => return None,
    })
}

/// Code 1 is the network's own failure, but for these words of it.
fn wrong_app(said: &GraphError, network: &str) -> Option<Error> {
    let secret = said.code == 1 && said.message.contains("client secret");
    (secret || said.code == 101).then(|| {
        let says = format!("{network} does not know this app, or its secret is wrong.");
        Error::new(Class::Config, says).action(Action::AskOperator)
    })
}

/// The upload server has an envelope of its own.
fn refused_upload(reply: &Reply) -> Option<Error> {
    let body = reply.value();
    let info = body["debug_info"].as_object()?;
    let kind = info.get("type").and_then(Value::as_str).unwrap_or_default();
    let again = |says: &str| Error::new(Class::Transient, says);
    let retriable = info.get("retriable") == Some(&Value::Bool(true));
    let error = match kind {
        "NotAuthorizedError" => {
            Error::new(Class::Auth, "The access token may not upload this video.")
        }
        "OffsetInvalidError" | "PartialRequestError" => {
            again("The upload broke off in the middle.")
        }
        "ProcessingFailedError" => {
            again("The network could not work with what was uploaded.").restart()
        }
        _ if retriable || reply.status.is_server_error() => again("The upload failed for now."),
        _ => {
            let words = info.get("message").and_then(Value::as_str).unwrap_or_default();
            Error::new(Class::Content, saying("The upload of the video was refused", words))
        }
    };
    Some(error.status(reply.status.as_u16()).code(if kind.is_empty() { "upload" } else { kind }))
}

fn unlisted(said: &GraphError, reply: &Reply, network: &str) -> Error {
    if said.is_transient {
        return Error::new(Class::Transient, "The network asks to try again later.")
            .maybe_applied();
    }
    let mut error = reply.error(network);
    error.sentence = saying(&format!("{network} refused with code {}", said.code), &said.message);
    error
}

/// No envelope: a proxy or gateway between us and the Graph API answered.
fn foreign(reply: &Reply) -> Error {
    let status = reply.status.as_u16();
    let says = format!("Something that is not the Graph API answered with HTTP {status}.");
    match status {
        429 => Error::new(Class::RateLimit, says).retry_after(retry_after(reply)),
        300..=399 => Error::new(Class::Config, says).action(Action::AskOperator),
        500.. => Error::new(Class::Transient, says).maybe_applied(),
        _ => Error::new(Class::Transient, says),
    }
}

/// `estimated_time_to_regain_access` is in minutes. The documents know no `Retry-After`; a proxy
/// in front may send one.
fn retry_after(reply: &Reply) -> Option<Duration> {
    reply.retry_after().or_else(|| {
        let usage: Value = serde_json::from_str(reply.header("x-business-use-case-usage")?).ok()?;
        let minutes = usage
            .as_object()?
            .values()
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(|one| one["estimated_time_to_regain_access"].as_u64())
            .max()
            .filter(|minutes| *minutes > 0)?;
        Some(Duration::from_secs((minutes * 60).min(86_400)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Applied;
    use crate::http::reply;

    fn parsed(status: u16, code: i64, sub: i64) -> Error {
        let body = format!(
            r#"{{"error":{{"message":"m","type":"OAuthException","code":{code},"error_subcode":{sub},"fbtrace_id":"T1"}}}}"#
        );
        parse(&reply(status, &[], &body), "Exemplum", |_, _| None)
    }

    #[test]
    fn an_answer_of_5xx_proves_nothing_whatever_its_code() {
        for (code, sub) in [(190, 463), (506, 0), (100, 1366046), (2, 0)] {
            assert_eq!(parsed(500, code, sub).applied, Applied::Maybe, "{code}/{sub}");
        }
        assert_eq!(parsed(400, 190, 463).code.as_deref(), Some("190/463"));
        assert_eq!(parsed(400, 506, 0).code.as_deref(), Some("506"));
        assert_eq!(parsed(400, 506, 0).request_id.as_deref(), Some("T1"));
    }

    #[test]
    fn an_unlisted_code_follows_the_flag_and_then_the_status() {
        let body = r#"{"error":{"message":"m","code":987,"is_transient":true}}"#;
        assert_eq!(parse(&reply(400, &[], body), "Exemplum", |_, _| None).class, Class::Transient);
        assert_eq!(parsed(400, 987, 0).class, Class::Content);
        assert_eq!(parsed(403, 987, 0).class, Class::Auth);
        for status in [500, 502, 504] {
            let error =
                parse(&reply(status, &[], "<html>bad gateway</html>"), "Exemplum", |_, _| None);
            assert_eq!((error.class, error.applied), (Class::Transient, Applied::Maybe));
        }
    }

    #[test]
    fn minutes_of_the_usage_header_become_the_retry_time() {
        let usage = r#"{"1":[{"type":"pages","call_count":100,"estimated_time_to_regain_access":3},{"estimated_time_to_regain_access":7}]}"#;
        let limited = r#"{"error":{"message":"m","code":32}}"#;
        let error = parse(
            &reply(400, &[("x-business-use-case-usage", usage)], limited),
            "Exemplum",
            |_, _| None,
        );
        assert_eq!(error.retry_after, Some(Duration::from_secs(420)));
    }

    #[test]
    fn the_networks_words_for_people_win() {
        let body = r#"{"error":{"message":"m","code":368,"error_user_title":"t","error_user_msg":"You are\nblocked"}}"#;
        assert_eq!(
            parse(&reply(400, &[], body), "Exemplum", |_, _| None).sentence,
            "You are blocked."
        );
    }

    #[test]
    fn times_are_read_with_the_graph_apis_offset() {
        assert_eq!(millis("1970-01-01T00:00:02+0000"), Some(2000));
        assert_eq!(millis("1970-01-01T01:00:02+01:00"), Some(2000));
        assert_eq!(millis("yesterday"), None);
    }
}
