//! What Facebook and Instagram share: versions, tokens, consents, uploads, field lists, paging and
//! the error envelope.
//!
//! networks.md §1 and §1.5. The token `sandbox-{account}` owns the page `{account}` and the
//! Instagram account `{account}`. Nearly everything that goes wrong is HTTP 400 with a code.
//!
//! A person `{account}` who consents manages the page `{account}`, and a page `{account}-shop`
//! where they may only look on and which has no Instagram account; the person `nobody` manages
//! none. People's tokens are for listing pages: each page has one of its own.

use std::collections::HashMap;

use http::Method;
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Refusal};
use crate::film::{Misplaced, Upload};
use crate::oauth::{Bad, CLIENT_ID, CLIENT_SECRET, Provider, Rules};
use crate::world::{account_of_secret, number_of, stamp};

/// How long a person's token lives that was traded for a longer one.
const LONG_MS: i64 = 60 * 86_400_000;

/// An error of the Graph API.
pub(crate) struct Fail {
    status: u16,
    code: u32,
    subcode: Option<u32>,
    message: String,
    transient: bool,
    data: Value,
}

impl Fail {
    pub(crate) fn new(code: u32, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status: 400, code, subcode: None, message, transient: false, data: Value::Null }
    }

    pub(crate) fn sub(self, subcode: u32) -> Self {
        Self { subcode: Some(subcode), ..self }
    }

    /// What a caller needs to do better.
    pub(crate) fn data(self, data: Value) -> Self {
        Self { data, ..self }
    }

    /// A parameter that is missing or wrong.
    pub(crate) fn parameter(message: impl AsRef<str>) -> Self {
        Self::new(100, format!("(#100) {}", message.as_ref()))
    }

    /// An object that is not there, or not the caller's: the network does not say which.
    pub(crate) fn missing(call: &Call, id: &str) -> Self {
        let verb = call.method.as_str().to_lowercase();
        Self::new(
            100,
            format!(
                "Unsupported {verb} request. Object with ID '{id}' does not exist, cannot be \
                 loaded due to missing permissions, or does not support this operation. Please \
                 read the Graph API documentation at https://developers.facebook.com/docs/graph-api"
            ),
        )
        .sub(33)
    }

    pub(crate) fn answer(self) -> Answer {
        let kind = match self.code {
            100 if self.subcode == Some(33) => "GraphMethodException",
            4 | 10 | 32 | 100 | 190 | 200 => "OAuthException",
            1 | 2 => "OAuthException",
            _ => "IGApiException",
        };
        let mut error = json!({
            "message": self.message,
            "type": kind,
            "code": self.code,
            "is_transient": self.transient,
        });
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = json!(subcode);
            error["error_user_title"] = json!("The request was refused");
            error["error_user_msg"] = json!(self.message);
        }
        if !self.data.is_null() {
            error["error_data"] = self.data;
        }
        error["fbtrace_id"] =
            json!(format!("A{}", &uuid::Uuid::new_v4().simple().to_string()[..22]));
        Answer::json(self.status, &json!({ "error": error }))
    }
}

/// The path without a version in front.
pub(crate) fn segments(call: &Call) -> Vec<&str> {
    let mut segments = call.segments();
    let versioned = segments.first().and_then(|first| first.strip_prefix('v'));
    if versioned.is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit())) {
        segments.remove(0);
    }
    segments
}

/// A parameter, or a header of either scheme: uploads use `OAuth`.
fn token(call: &Call) -> Option<String> {
    let header = || {
        let (scheme, token) = call.header("authorization")?.split_once(' ')?;
        let known = ["bearer", "oauth"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        known.then(|| token.trim().to_owned())
    };
    call.text("access_token").or_else(header)
}

/// Whose token a call carries.
pub(crate) struct Bearer {
    /// The page, or the person.
    pub(crate) account: String,
    pub(crate) is_person: bool,
    /// `None`: everything.
    scope: Option<String>,
}

impl Bearer {
    pub(crate) fn may(&self, permission: &str) -> bool {
        let all = |scope: &String| scope.split(',').any(|granted| granted == permission);
        self.scope.as_ref().is_none_or(all)
    }

    pub(crate) fn needs(&self, permission: &str) -> Result<(), Fail> {
        match self.may(permission) {
            true => Ok(()),
            false => Err(Fail::new(200, format!("(#200) Requires {permission} permission"))),
        }
    }

    /// What was asked for and what was granted of it.
    pub(crate) fn permissions(&self, all: &[&str]) -> Value {
        let one = |name: &&str| {
            let status = if self.may(name) { "granted" } else { "declined" };
            json!({ "permission": name, "status": status })
        };
        json!({ "data": all.iter().map(one).collect::<Vec<_>>() })
    }

    /// The node of a person.
    pub(crate) fn person(&self) -> Value {
        json!({
            "id": number_of(&self.account, 15).to_string(),
            "name": self.account,
            "picture": { "data": { "url": "" } },
        })
    }
}

/// A page that a person has something to do with.
pub(crate) struct Managed {
    pub(crate) page: String,
    pub(crate) tasks: &'static [&'static str],
    pub(crate) has_instagram: bool,
}

/// What was issued to people, and to their pages.
#[derive(Default)]
pub(crate) struct Keys {
    oauth: Provider,
    /// The token of a page, by its name and what the person behind it granted.
    pages: HashMap<(String, String), String>,
}

impl Keys {
    pub(crate) fn bearer(&self, call: &Call) -> Result<Bearer, Fail> {
        let Some(token) = token(call) else {
            let message = "An access token is required to request this resource.";
            return Err(Fail::new(104, message));
        };
        let account = self.oauth.account_of(&token, call.now).map_err(|bad| match bad {
            Bad::Unknown => {
                Fail::new(190, "Invalid OAuth access token - Cannot parse access token")
            }
            Bad::Expired => {
                let message = "Error validating access token: Session has expired on a day before \
                               this one.";
                Fail::new(190, message).sub(463)
            }
        })?;
        let scope = self.oauth.scope_of(&token).map(str::to_owned);
        let is_page = scope.is_none() || self.pages.values().any(|page| *page == token);
        Ok(Bearer { account, is_person: !is_page, scope })
    }

    /// For faults that are aimed at an account.
    pub(crate) fn account(&self, call: &Call) -> Option<String> {
        self.bearer(call).ok().map(|bearer| bearer.account)
    }

    /// The pages of a person, where they let them be seen.
    pub(crate) fn managed(&self, person: &Bearer) -> Vec<Managed> {
        if person.account == "nobody" || !person.may("pages_show_list") {
            return Vec::new();
        }
        let page = person.account.clone();
        let shop = format!("{page}-shop");
        let all = &["ANALYZE", "ADVERTISE", "MESSAGING", "MODERATE", "CREATE_CONTENT", "MANAGE"];
        vec![
            Managed { page, tasks: all, has_instagram: true },
            Managed { page: shop, tasks: &["ANALYZE", "ADVERTISE"], has_instagram: false },
        ]
    }

    /// The token of a page for this person: the same one each time.
    pub(crate) fn page_token(&mut self, page: &str, person: &Bearer) -> String {
        let scope = person.scope.clone().unwrap_or_default();
        let key = (page.to_owned(), scope.clone());
        let Self { oauth, pages } = self;
        pages.entry(key).or_insert_with(|| oauth.issue(page, &scope, None)).clone()
    }

    /// The answer of the consent page or the token endpoint, where the call is for one.
    pub(crate) fn consent(&mut self, rules: &Rules, call: &Call) -> Option<Answer> {
        let for_tokens = call.path == rules.token;
        if for_tokens && call.text("grant_type").as_deref() == Some("fb_exchange_token") {
            return Some(self.lengthen(call).unwrap_or_else(Fail::answer));
        }
        let mut answer = self.oauth.answer(rules, call)?;
        if !for_tokens {
            // What browsers are sent back to ends so; nobody knows why.
            for (name, to) in &mut answer.headers {
                let marked = to.to_str().ok().map(|to| format!("{to}#_=_"));
                if let Some(marked) = marked.filter(|_| name.as_str() == "location") {
                    *to = http::HeaderValue::from_str(&marked).unwrap_or_else(|_| to.clone());
                }
            }
            return Some(answer);
        }
        let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if !answer.status.is_success() {
            return Some(untraded(&body, call).answer());
        }
        if let Some(fields) = body.as_object_mut() {
            fields.remove("scope");
        }
        Some(Answer::json(200, &body))
    }

    /// A person's short-lived token for one that lives sixty days.
    fn lengthen(&mut self, call: &Call) -> Result<Answer, Fail> {
        let app = (call.text("client_id"), call.text("client_secret"));
        if app != (Some(CLIENT_ID.to_owned()), Some(CLIENT_SECRET.to_owned())) {
            return Err(unknown_app(call));
        }
        let short = call.text("fb_exchange_token").unwrap_or_default();
        let scope = self.oauth.scope_of(&short).map(str::to_owned);
        let person = self.oauth.account_of(&short, call.now).ok().zip(scope);
        let Some((person, scope)) = person else {
            return Err(Fail::new(190, "Invalid OAuth access token - Cannot parse access token"));
        };
        let long = self.oauth.issue(&person, &scope, Some(call.now + LONG_MS));
        let body = json!({
            "access_token": long,
            "token_type": "bearer",
            "expires_in": LONG_MS / 1_000,
        });
        Ok(Answer::json(200, &body))
    }
}

fn unknown_app(call: &Call) -> Fail {
    match call.text("client_id").as_deref() {
        Some(CLIENT_ID) => Fail::new(1, "Error validating client secret."),
        _ => {
            let message = "Error validating application. Cannot get application info due to a \
                           system error.";
            Fail::new(101, message)
        }
    }
}

/// What the standard calls `invalid_grant`, in Meta's numbers.
fn untraded(body: &Value, call: &Call) -> Fail {
    let why = body["error_description"].as_str().unwrap_or_default();
    let wrong = |subcode: u32, message: &str| Fail::new(100, message).sub(subcode);
    match body["error"].as_str() {
        Some("invalid_client") => unknown_app(call),
        _ if why.contains("used") => wrong(36_009, "This authorization code has been used."),
        _ if why.contains("expired") => wrong(36_007, "This authorization code has expired."),
        _ if why.contains("redirect") => {
            let message = "Error validating verification code. Please make sure your redirect_uri \
                           is identical to the one you used in the OAuth dialog request";
            wrong(36_008, message)
        }
        _ => Fail::new(100, "Invalid verification code format."),
    }
}

/// The token that every account has, for answers that are given before anything is read.
fn token_account(call: &Call) -> Option<String> {
    account_of_secret(&token(call)?).map(str::to_owned)
}

/// One request of `rupload.facebook.com`: where it begins and how long the file is stand in
/// headers, the bytes behind them. A request that ends too early is refused, and what came of it
/// is kept.
pub(crate) fn receive(upload: &mut Upload, call: &Call) -> Answer {
    let number = |name: &str| call.header(name).and_then(|text| text.trim().parse().ok());
    let Some(at) = number("offset") else {
        let message = "HeaderValuePredicate: Header Offset not convertable to unsigned long";
        return unreceived("ParameterValidationError", message);
    };
    let Some(total) = number("file_size") else {
        let message = "HeaderValuePredicate: Header file_size not convertable to unsigned long";
        return unreceived("ParameterValidationError", message);
    };
    match upload.take(at, &call.body, total) {
        Err(Misplaced::Offset) => {
            unreceived("OffsetInvalidError", "Request starting offset is invalid")
        }
        Ok(()) if upload.is_complete() => {
            Answer::json(200, &json!({ "success": true, "message": "Upload successful." }))
        }
        Ok(()) | Err(Misplaced::Size) => {
            let message = "Partial request (did not match length of file)";
            unreceived("PartialRequestError", message)
        }
    }
}

/// The upload server's own way to refuse.
pub(crate) fn unreceived(kind: &str, message: &str) -> Answer {
    let info = json!({ "retriable": false, "type": kind, "message": message });
    Answer::json(400, &json!({ "debug_info": info }))
}

/// A finished answer with the usage that every answer carries.
pub(crate) fn finish(handled: Result<Value, Fail>, account: Option<&str>, kind: &str) -> Answer {
    let answer = match handled {
        Ok(body) => Answer::json(200, &body),
        Err(fail) => fail.answer(),
    };
    usage(answer, account, kind, 0, 0)
}

/// The headers that say how much of the budget is spent.
fn usage(answer: Answer, account: Option<&str>, kind: &str, percent: u8, minutes: i64) -> Answer {
    let app = json!({ "call_count": percent, "total_cputime": 0, "total_time": 0 });
    let answer = answer.header("x-app-usage", &app.to_string());
    let Some(account) = account else { return answer };
    let mut all = Map::new();
    all.insert(
        account.to_owned(),
        json!([{
            "type": kind,
            "call_count": percent,
            "total_cputime": 0,
            "total_time": 0,
            "estimated_time_to_regain_access": minutes,
        }]),
    );
    answer.header("x-business-use-case-usage", &Value::Object(all).to_string())
}

/// `limit` is the code that this network uses for too many calls.
pub(crate) fn refuse(call: &Call, refusal: Refusal, limit: u32, kind: &str) -> Answer {
    let account = token_account(call);
    match refusal {
        Refusal::Unreadable => Fail::parameter("The body could not be read").answer(),
        Refusal::RateLimit(ms) => {
            let message = match limit {
                4 => "(#4) Application request limit reached",
                _ => "(#32) Page request limit reached",
            };
            let minutes = (ms + 59_999).div_euclid(60_000);
            let fail = Fail { transient: true, ..Fail::new(limit, message) };
            usage(fail.answer(), account.as_deref(), kind, 100, minutes)
        }
        Refusal::ServerError => {
            let message = "An unexpected error has occurred. Please retry your request later.";
            Fail { status: 500, transient: true, ..Fail::new(2, message) }.answer()
        }
        Refusal::Auth => Fail::new(
            190,
            "Error validating access token: The session has been invalidated because the user \
             changed their password or Facebook has changed the session for security reasons.",
        )
        .sub(460)
        .answer(),
        Refusal::TooLarge => {
            Fail { status: 413, ..Fail::new(100, "(#100) The request is too large") }.answer()
        }
    }
}

/// The asked fields of a node; `id` is always among them. A field the node type does not have is an
/// error; one without a value is left out.
pub(crate) fn select(
    call: &Call,
    node: &Value,
    kind: &str,
    default: &[&str],
) -> Result<Value, Fail> {
    let asked = call.text("fields");
    let names: Vec<&str> = match &asked {
        Some(fields) => top_level(fields),
        None => default.to_vec(),
    };
    let mut selected = Map::new();
    for name in names {
        match node.get(name) {
            None => {
                return Err(Fail::parameter(format!(
                    "Tried accessing nonexisting field ({name}) on node type ({kind})"
                )));
            }
            Some(Value::Null) => {}
            Some(value) => {
                selected.insert(name.to_owned(), value.clone());
            }
        }
    }
    selected.entry("id").or_insert_with(|| node["id"].clone());
    Ok(Value::Object(selected))
}

/// `id,picture.type(large),children{id,media_url}` → `id`, `picture`, `children`
fn top_level(fields: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let (mut depth, mut from) = (0_u32, 0);
    for (at, c) in fields.char_indices().chain([(fields.len(), ',')]) {
        match c {
            '{' | '(' => depth += 1,
            '}' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 || at == fields.len() => {
                let whole = fields[from..at].trim();
                let end = whole.find(['.', '{', '(']).unwrap_or(whole.len());
                if end > 0 {
                    names.push(&whole[..end]);
                }
                from = at + 1;
            }
            _ => {}
        }
    }
    names
}

/// Where a page of a list starts and how long it is.
pub(crate) struct Paging {
    pub(crate) limit: usize,
    /// Milliseconds UTC, exclusive at both ends.
    pub(crate) since: Option<i64>,
    pub(crate) until: Option<i64>,
    /// The last id of the page before.
    pub(crate) after: Option<String>,
}

impl Paging {
    pub(crate) fn of(call: &Call) -> Result<Self, Fail> {
        let limit = match call.text("limit") {
            None => 25,
            Some(text) => text
                .parse::<usize>()
                .ok()
                .filter(|limit| (1..=100).contains(limit))
                .ok_or_else(|| Fail::parameter("limit must be between 1 and 100"))?,
        };
        let time = |name: &str| {
            let Some(text) = call.text(name) else { return Ok(None) };
            let seconds = text.parse::<i64>().map(|seconds| seconds * 1_000);
            let stamp = || text.parse::<jiff::Timestamp>().map(|time| time.as_millisecond());
            seconds
                .or_else(|_| stamp())
                .map(Some)
                .map_err(|_| Fail::parameter(format!("{name} must be a unix time")))
        };
        let after = call.text("after").filter(|cursor| !cursor.is_empty());
        Ok(Self { limit, since: time("since")?, until: time("until")?, after })
    }

    /// The answer for a page of nodes, already selected and at most one longer than the limit.
    pub(crate) fn page(&self, call: &Call, mut nodes: Vec<Value>) -> Value {
        let more = nodes.len() > self.limit;
        nodes.truncate(self.limit);
        let cursor = |node: Option<&Value>| {
            node.and_then(|node| node["id"].as_str()).unwrap_or_default().to_owned()
        };
        let (before, after) = (cursor(nodes.first()), cursor(nodes.last()));
        let mut body = json!({ "data": nodes });
        if before.is_empty() {
            return body;
        }
        body["paging"] = json!({ "cursors": { "before": before, "after": after } });
        if more && call.method == Method::GET {
            let kept = call.query.iter().filter(|(name, _)| name != "after");
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(kept)
                .append_pair("after", &after)
                .finish();
            body["paging"]["next"] = json!(format!("{}{}?{query}", call.origin, call.target));
        }
        body
    }
}

/// Numbers of this network grow with the time, so that a new sandbox does not repeat old ones.
pub(crate) fn next_id(last: &mut u64, now: i64, per_ms: u64) -> String {
    *last = (*last + 1).max(now.unsigned_abs() * per_ms);
    last.to_string()
}

/// `2026-11-22T04:05:06+0000`
pub(crate) fn time(ms: i64) -> String {
    stamp(ms, "%Y-%m-%dT%H:%M:%S+0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_lists_are_read_at_the_top() {
        let fields = "id, picture.type(large),children{id,media{url}},comments.summary(true){a},x";
        assert_eq!(top_level(fields), ["id", "picture", "children", "comments", "x"]);
        assert_eq!(top_level(""), [] as [&str; 0]);
    }

    #[tokio::test]
    async fn a_field_that_does_not_exist_is_an_error_and_an_empty_one_is_left_out() {
        let node = json!({"id": "1", "name": "x", "link": null});
        let call = Call::of(Method::GET, "/1?fields=name,link", "", "").await;
        let Ok(selected) = select(&call, &node, "Page", &["id"]) else { panic!("refused") };
        assert_eq!(selected, json!({"name": "x", "id": "1"}));
        let call = Call::of(Method::GET, "/1?fields=colour", "", "").await;
        assert!(select(&call, &node, "Page", &["id"]).is_err());
    }
}
