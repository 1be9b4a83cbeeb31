//! LinkedIn: the versioned REST API under `/linkedin/rest/…`, its consent page under
//! `/linkedin/oauth/v2/authorization`.
//!
//! networks.md §8 and §22. Bearer `sandbox-{account}`, or a token of the consent page: 60 days, codes
//! half an hour, no refresh. The member `{account}` administers a page of the same name and may only
//! look at the figures of `Chamber`. Texts are read as little text, which an unescaped sign cuts off. A
//! picture is usable two seconds after its bytes came. Nobody may list a member's posts. The same
//! words within an hour are refused with the first post's name.
//! Of a post that is live its words can be changed. Not spoken: films, documents, polls, articles,
//! mentions.

use std::collections::HashMap;

use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::Appeared;
use crate::media::Blob;
use crate::numbers::Numbers;
use crate::oauth::{self, Refresh};
use crate::poll::{Poll, fit, texts};
use crate::world::{Fields, Network, World, hex, lock, number_of, secret_of, sha256};

const MAX_TEXT: usize = 3_000;
const MAX_COMMENT: usize = 1_250;
const MAX_ALT: usize = 4_086;
const MAX_PIXELS: u64 = 36_152_320;
const HOUR: i64 = 3_600_000;
/// Between the bytes of a picture and its use.
const PROCESSING: i64 = 2_000;
const VERSIONS: std::ops::RangeInclusive<u32> = 202_511..=202_611;
/// A page on which nobody may post.
const CHAMBER: u64 = 1_000_001;
const RESERVED: &str = "\\|{}@[]()<>#*_~";

const RULES: oauth::Rules = oauth::Rules {
    name: "LinkedIn",
    authorize: "oauth/v2/authorization",
    token: "oauth/v2/accessToken",
    id_param: "client_id",
    secret: oauth::SecretIn::Body,
    grant_type: true,
    pkce: false,
    // What it answers is so; it takes spaces as well.
    separator: ',',
    code_ms: 1_800_000,
    access_ms: Some(60 * 86_400_000),
    refresh: Refresh::Never,
};

#[derive(Default)]
pub(crate) struct State {
    oauth: oauth::Provider,
    /// The names of pages, by their numbers.
    pages: HashMap<u64, String>,
    posts: Vec<Post>,
    by_urn: HashMap<String, usize>,
    images: HashMap<String, Image>,
    last_id: u64,
}

struct Post {
    urn: String,
    author: String,
    /// As it was sent, and as it is read.
    commentary: String,
    text: String,
    content: Value,
    images: usize,
    at: i64,
    gone: bool,
    comments: Vec<Comment>,
}

struct Comment {
    id: String,
    actor: String,
    text: String,
    at: i64,
}

struct Image {
    owner: String,
    uploaded: Option<(i64, Blob)>,
}

/// Who calls, and what they may.
struct Caller {
    account: String,
    /// `None`: a static token, which may do all that LinkedIn gives to anybody.
    scopes: Option<Vec<String>>,
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("accessToken", secret_of(account)), ("author", page_urn(account))]
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let kind = match (&call.method, call.segments().as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::DELETE, _) => Calls::Delete,
        (&Method::POST, ["rest", "posts"] | ["rest", "socialActions", _, "comments"]) => {
            Calls::Publish
        }
        (&Method::POST, ["rest", "posts", _] | ["rest", "socialActions", _, "comments", _]) => {
            Calls::Edit
        }
        _ => Calls::Prepare,
    };
    let state = lock(&world.states.linkedin);
    let account = call.bearer().and_then(|token| state.oauth.account_of(token, call.now).ok());
    Aim { call: kind, account }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    let mut state = lock(&world.states.linkedin);
    if let Some(answer) = state.oauth.answer(&RULES, call) {
        return answer;
    }
    handle(world, &mut state, call).unwrap_or_else(|refused| refused)
}

fn handle(world: &World, state: &mut State, call: &Call) -> Result<Answer, Answer> {
    let caller = authorized(state, call)?;
    let segments = call.segments();
    if segments.first() == Some(&"rest") {
        check_headers(call)?;
    }
    match (call.method.as_str(), segments.as_slice()) {
        ("GET", ["v2", "userinfo"]) => userinfo(&caller),
        ("GET", ["rest", "organizationAcls"]) => roles(&caller, call),
        ("GET", ["rest", "organizations", id]) => page(state, &caller, id),
        ("POST", ["rest", "images"]) => begin_upload(state, &caller, call),
        ("PUT", ["dms-uploads", id, "uploaded-image", "0"]) => take_bytes(world, state, call, id),
        ("GET", ["rest", "images", urn]) => image(world, state, &caller, call, urn),
        ("POST", ["rest", "posts"]) => create(world, state, &caller, call),
        ("GET", ["rest", "posts"]) => list(state, &caller, call),
        ("GET", ["rest", "posts", urn]) => show(state, &caller, urn),
        ("GET", ["rest", "organizationalEntityShareStatistics"]) => {
            page_statistics(world, state, &caller, call)
        }
        ("GET", ["rest", "memberCreatorPostAnalytics"]) => {
            member_analytics(world, state, &caller, call)
        }
        ("POST", ["rest", "posts", urn]) => edit(world, state, &caller, call, urn),
        ("POST", ["rest", "socialActions", on, "comments", id]) => {
            edit_comment(world, state, &caller, call, on, id)
        }
        ("DELETE", ["rest", "posts", urn]) => delete(world, state, &caller, call, urn),
        ("POST", ["rest", "socialActions", on, "comments"]) => {
            comment(world, state, &caller, call, on)
        }
        ("GET", ["rest", "socialActions", on, "comments"]) => comments(state, &caller, call, on),
        ("DELETE", ["rest", "socialActions", on, "comments", id]) => {
            delete_comment(world, state, &caller, call, on, id)
        }
        _ => Err(fail(404, "RESOURCE_NOT_FOUND", "No virtual resource found")),
    }
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => fail(400, "ILLEGAL_ARGUMENT", "Cannot parse request entity"),
        Refusal::RateLimit(_) => coded(
            429,
            101,
            "TOO_MANY_REQUESTS",
            "Resource level throttle APPLICATION_AND_MEMBER limit for calls to this resource is reached.",
        ),
        Refusal::ServerError => fail(500, "INTERNAL_SERVER_ERROR", "Internal Server Error"),
        Refusal::Auth => coded(
            401,
            65_601,
            "REVOKED_ACCESS_TOKEN",
            "The token used in the request has been revoked by the user",
        ),
        Refusal::TooLarge => fail(413, "REQUEST_ENTITY_TOO_LARGE", "Request entity too large"),
    }
}

fn fail(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({ "status": status, "code": code, "message": message });
    Answer::json(status, &body).header("x-li-uuid", "AAYtZ0Q2c2FuZGJveA==")
}

fn coded(status: u16, service: u32, code: &str, message: &str) -> Answer {
    let body = json!({
        "status": status,
        "serviceErrorCode": service,
        "code": code,
        "message": message,
    });
    Answer::json(status, &body).header("x-li-uuid", "AAYtZ0Q2c2FuZGJveA==")
}

fn input(code: &str, field: &str, description: &str) -> Answer {
    let body = json!({
        "status": 422,
        "code": "INPUT_ERROR",
        "message": format!("ERROR :: /{field} :: {description}"),
        "errorDetailType": "com.linkedin.common.error.BadRequest",
        "errorDetails": { "inputErrors": [{
            "code": code,
            "description": description,
            "input": { "inputPath": { "fieldPath": field } },
        }]},
    });
    Answer::json(422, &body)
}

fn denied(what: &str) -> Answer {
    let message = format!("Not enough permissions to access: {what}");
    coded(403, 100, "ACCESS_DENIED", &message)
}

fn missing(what: &str) -> Answer {
    fail(404, "NOT_FOUND", &format!("{what} was not found"))
}

fn done(status: u16, body: &Value) -> Answer {
    Answer::json(status, body)
}

/// 201, nothing, and the id in a header.
fn created(id: &str) -> Answer {
    let answer = Answer::new(201, "application/json", "");
    answer.header("x-restli-id", id).header("x-linkedin-id", id)
}

// Members and pages

fn authorized(state: &mut State, call: &Call) -> Result<Caller, Answer> {
    let bearer = call
        .bearer()
        .ok_or_else(|| coded(401, 65_604, "EMPTY_ACCESS_TOKEN", "Empty oauth2 access token"))?;
    let account = state.oauth.account_of(bearer, call.now).map_err(|bad| match bad {
        oauth::Bad::Expired => {
            coded(401, 65_602, "EXPIRED_ACCESS_TOKEN", "The token used in the request has expired")
        }
        oauth::Bad::Unknown => coded(401, 65_600, "INVALID_ACCESS_TOKEN", "Invalid access token"),
    })?;
    let granted = state.oauth.scope_of(bearer);
    let scopes = granted.map(|all| all.split(',').map(str::to_owned).collect());
    state.pages.insert(page_id(&account), account.clone());
    Ok(Caller { account, scopes })
}

impl Caller {
    fn member(&self) -> String {
        format!("urn:li:person:{}", sub(&self.account))
    }

    /// May they do this as that author?
    fn acts_as(&self, author: &str, what: &str, member: &str, page: &str) -> Result<(), Answer> {
        let scope = if author == self.member() {
            member
        } else if author == page_urn(&self.account) {
            page
        } else {
            return Err(denied(what));
        };
        self.holds(scope, what)
    }

    fn holds(&self, scope: &str, what: &str) -> Result<(), Answer> {
        // Closed: nobody is given it.
        let closed = scope == "r_member_social";
        let held = self.scopes.as_ref().is_none_or(|all| all.iter().any(|one| one == scope));
        if held && !closed { Ok(()) } else { Err(denied(what)) }
    }
}

fn check_headers(call: &Call) -> Result<(), Answer> {
    let Some(version) = call.header("linkedin-version") else {
        let message = "A version must be present. Please specify a version by adding the \
                       LinkedIn-Version header.";
        return Err(fail(400, "VERSION_MISSING", message));
    };
    if !version.parse().is_ok_and(|version: u32| VERSIONS.contains(&version)) {
        let message = format!("Requested version {version} is not active");
        return Err(fail(426, "NONEXISTENT_VERSION", &message));
    }
    if call.header("x-restli-protocol-version") != Some("2.0.0") {
        return Err(fail(400, "ILLEGAL_ARGUMENT", "Syntax exception in path variables"));
    }
    Ok(())
}

fn sub(account: &str) -> String {
    hex(&sha256(account.as_bytes())[..5])
}

fn page_id(account: &str) -> u64 {
    number_of(account, 8)
}

fn page_urn(account: &str) -> String {
    format!("urn:li:organization:{}", page_id(account))
}

fn userinfo(caller: &Caller) -> Result<Answer, Answer> {
    caller.holds("openid", "GET /v2/userinfo")?;
    Ok(done(200, &json!({ "sub": sub(&caller.account), "name": caller.account })))
}

fn roles(caller: &Caller, call: &Call) -> Result<Answer, Answer> {
    caller.holds("rw_organization_admin", "organizationAcls.FINDER-roleAssignee")?;
    if call.text("q").as_deref() != Some("roleAssignee") {
        return Err(fail(400, "ILLEGAL_ARGUMENT", "The finder is not known"));
    }
    let role = |page: String, role: &str| {
        json!({
            "role": role,
            "organization": page,
            "roleAssignee": caller.member(),
            "state": "APPROVED",
        })
    };
    let all = [
        role(page_urn(&caller.account), "ADMINISTRATOR"),
        role(format!("urn:li:organization:{CHAMBER}"), "ANALYST"),
    ];
    let paging = json!({ "start": 0, "count": 10, "links": [], "total": all.len() });
    Ok(done(200, &json!({ "elements": all, "paging": paging })))
}

fn page(state: &State, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    caller.holds("rw_organization_admin", "organizations.GET")?;
    let number = id.parse().ok();
    let name = match number {
        Some(CHAMBER) => "Chamber",
        Some(number) => state.pages.get(&number).ok_or_else(|| missing("The organization"))?,
        None => return Err(fail(400, "ILLEGAL_ARGUMENT", "The key is not valid")),
    };
    Ok(done(200, &json!({ "id": number, "localizedName": name, "vanityName": name })))
}

// Pictures

fn begin_upload(state: &mut State, caller: &Caller, call: &Call) -> Result<Answer, Answer> {
    if call.text("action").as_deref() != Some("initializeUpload") {
        return Err(fail(400, "ILLEGAL_ARGUMENT", "The action is not known"));
    }
    let json = call.json.as_ref().unwrap_or(&Value::Null);
    let owner = json["initializeUploadRequest"]["owner"].as_str();
    let owner = owner.ok_or_else(|| input("MISSING_FIELD", "owner", "field is required"))?;
    caller.acts_as(
        owner,
        "images.ACTION-initializeUpload",
        "w_member_social",
        "w_organization_social",
    )?;
    let id = format!("C4E10AQ{}", state.id(call.now));
    let urn = format!("urn:li:image:{id}");
    state.images.insert(urn.clone(), Image { owner: owner.to_owned(), uploaded: None });
    Ok(done(
        200,
        &json!({ "value": {
            "uploadUrlExpiresAt": call.now + 24 * HOUR,
            "uploadUrl": format!("{}/linkedin/dms-uploads/{id}/uploaded-image/0?ca=vector&cn=uploads", call.origin),
            "image": urn,
        }}),
    ))
}

fn take_bytes(world: &World, state: &mut State, call: &Call, id: &str) -> Result<Answer, Answer> {
    let image = state.images.get_mut(&format!("urn:li:image:{id}"));
    let image = image.ok_or_else(|| missing("The upload"))?;
    let blob = world.blobs.keep(&call.body);
    image.uploaded = Some((call.now, blob));
    Ok(Answer::new(201, "text/plain", ""))
}

impl Image {
    fn status(&self, now: i64) -> &'static str {
        let Some((at, blob)) = &self.uploaded else { return "WAITING_UPLOAD" };
        let taken = ["image/jpeg", "image/png", "image/gif"];
        let fits = blob.kind.is_some_and(|kind| {
            taken.contains(&kind.mime)
                && u64::from(kind.width) * u64::from(kind.height) < MAX_PIXELS
        });
        match fits {
            false => "PROCESSING_FAILED",
            true if now < at + PROCESSING => "PROCESSING",
            true => "AVAILABLE",
        }
    }
}

fn image(
    world: &World,
    state: &State,
    caller: &Caller,
    call: &Call,
    urn: &str,
) -> Result<Answer, Answer> {
    let image = state.images.get(urn).ok_or_else(|| missing("The image"))?;
    caller.acts_as(&image.owner, "images.GET", "r_member_social", "r_organization_social")?;
    let held = world.faults.still_processing(Network::Linkedin, &caller.account);
    let status = if held { "PROCESSING" } else { image.status(call.now) };
    Ok(done(200, &json!({ "id": urn, "owner": image.owner, "status": status })))
}

// Posts

impl State {
    /// A number of the time, greater than every one before.
    fn id(&mut self, now: i64) -> u64 {
        self.last_id = (self.last_id + 1).max(now.unsigned_abs() << 22);
        self.last_id
    }

    fn live(&self, urn: &str) -> Option<&Post> {
        self.by_urn.get(urn).map(|at| &self.posts[*at]).filter(|post| !post.gone)
    }
}

fn create(
    world: &World,
    state: &mut State,
    caller: &Caller,
    call: &Call,
) -> Result<Answer, Answer> {
    let json = call.json.as_ref().ok_or_else(|| fail(400, "ILLEGAL_ARGUMENT", "No entity"))?;
    let text_of = |name: &str| json[name].as_str();
    let required = |name: &str| {
        text_of(name).ok_or_else(|| input("MISSING_FIELD", name, "field is required but not found"))
    };
    let author = required("author")?;
    caller.acts_as(author, "posts.CREATE", "w_member_social", "w_organization_social")?;
    let commentary = required("commentary")?;
    if !["PUBLIC", "CONNECTIONS", "LOGGED_IN"].contains(&required("visibility")?) {
        return Err(input("INVALID_VALUE", "visibility", "is not a valid enum symbol"));
    }
    if required("lifecycleState")? != "PUBLISHED" {
        return Err(input("INVALID_VALUE", "lifecycleState", "only PUBLISHED can be created"));
    }
    if json["distribution"]["feedDistribution"].as_str() != Some("MAIN_FEED") {
        return Err(input("MISSING_FIELD", "distribution", "field is required but not found"));
    }
    let known = [
        "author",
        "commentary",
        "visibility",
        "distribution",
        "content",
        "lifecycleState",
        "isReshareDisabledByAuthor",
    ];
    let fields = json.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    if let Some(name) = fields.into_iter().find(|name| !known.contains(name)) {
        return Err(input("UNKNOWN_FIELD", name, "unrecognized field found but not allowed"));
    }
    let text = rendered(commentary);
    if text.chars().count() > MAX_TEXT {
        return Err(input("FIELD_LENGTH_TOO_LONG", "commentary", "length is more than 3000"));
    }
    let (images, media) = pictures(state, call, author, &json["content"])?;
    let poll = asked(call, &json["content"])?;
    if text.trim().is_empty() && images == 0 && poll.is_none() {
        return Err(input("MISSING_FIELD", "commentary", "a post needs text or content"));
    }
    let same = state.posts.iter().rev().take_while(|post| call.now - post.at < HOUR).find(|post| {
        !post.gone && post.author == author && post.text == text && post.images + images == 0
    });
    if let Some(first) = same {
        let says = format!("Content is a duplicate of {}", first.urn);
        return Err(input("DUPLICATE_POST", "commentary", &says));
    }
    let kind = if images > 0 { "ugcPost" } else { "share" };
    let urn = format!("urn:li:{kind}:{}", state.id(call.now));
    world.ledger.appear(
        Network::Linkedin,
        Appeared {
            id: urn.clone(),
            account: &caller.account,
            placement: "feed",
            reply_to: None,
            text: text.clone(),
            media,
            at: call.now,
        },
    );
    world.ledger.ask(Network::Linkedin, &urn, poll.as_ref());
    state.by_urn.insert(urn.clone(), state.posts.len());
    state.posts.push(Post {
        urn: urn.clone(),
        author: author.to_owned(),
        commentary: commentary.to_owned(),
        text,
        content: json["content"].clone(),
        images,
        at: call.now,
        gone: false,
        comments: Vec::new(),
    });
    Ok(created(&urn))
}

/// How many pictures a post is to show, and what they are.
fn pictures(
    state: &State,
    call: &Call,
    author: &str,
    content: &Value,
) -> Result<(usize, Vec<crate::ledger::LedgerMedia>), Answer> {
    let wanted: Vec<&Value> = match content {
        Value::Null => Vec::new(),
        one if one.as_object().is_some_and(|all| all.len() > 1) => {
            return Err(input("INVALID_VALUE", "content", "takes one kind of content"));
        }
        one if one["poll"].is_object() => Vec::new(),
        one if one["media"].is_object() => vec![&one["media"]],
        several => {
            let images = several["multiImage"]["images"].as_array();
            let images = images.filter(|images| (2..=20).contains(&images.len()));
            let few = || input("INVALID_VALUE", "content", "multiImage takes 2 to 20 images");
            images.ok_or_else(few)?.iter().collect()
        }
    };
    let mut media = Vec::new();
    for one in &wanted {
        let alt = one["altText"].as_str().unwrap_or_default();
        if alt.chars().count() > MAX_ALT {
            return Err(input(
                "FIELD_LENGTH_TOO_LONG",
                "content/altText",
                "length is more than 4086",
            ));
        }
        let image = one["id"].as_str().and_then(|urn| state.images.get(urn));
        let image = image.filter(|image| image.owner == author);
        let image = image
            .ok_or_else(|| input("INVALID_URN", "content/id", "is not an image of the author"))?;
        match (image.status(call.now), &image.uploaded) {
            ("AVAILABLE", Some((_, blob))) => media.push(blob.in_ledger(alt)),
            (status, _) => {
                let says = format!("the image is not available yet: {status}, processing");
                return Err(input("MEDIA_ASSET_PROCESSING", "content/id", &says));
            }
        }
    }
    Ok((wanted.len(), media))
}

/// The poll of a new post.
fn asked(call: &Call, content: &Value) -> Result<Option<Poll>, Answer> {
    let poll = &content["poll"];
    if poll.is_null() {
        return Ok(None);
    }
    let question = poll["question"].as_str().unwrap_or_default().to_owned();
    if question.trim().is_empty() {
        return Err(input("MISSING_FIELD", "content/poll/question", "field is required"));
    }
    if question.chars().count() > 140 {
        let why = "length is more than 140";
        return Err(input("FIELD_LENGTH_TOO_LONG", "content/poll/question", why));
    }
    let options = poll["options"].as_array().filter(|all| (2..=4).contains(&all.len()));
    let options = options
        .ok_or_else(|| input("INVALID_VALUE", "content/poll/options", "takes 2 to 4 options"))?;
    let answers = texts(options, |one| &one["text"]);
    if answers.len() != options.len() || !fit(&answers, 30) {
        let why = "length is not between 1 and 30";
        return Err(input("FIELD_LENGTH_TOO_LONG", "content/poll/options/text", why));
    }
    let days = match poll["settings"]["duration"].as_str() {
        Some("ONE_DAY") => 1,
        Some("THREE_DAYS") => 3,
        Some("SEVEN_DAYS") => 7,
        Some("FOURTEEN_DAYS") => 14,
        _ => {
            let why = "is not a valid enum symbol";
            return Err(input("INVALID_VALUE", "content/poll/settings/duration", why));
        }
    };
    let ends = Some(call.now + days * 24 * HOUR);
    Ok(Some(Poll { question: Some(question), answers, several: false, ends }))
}

/// What readers see of little text. A reserved sign that is neither escaped nor part of a hashtag
/// cuts the rest off, as it does at LinkedIn.
fn rendered(little: &str) -> String {
    let mut out = String::new();
    let mut rest = little;
    while let Some(c) = rest.chars().next() {
        if let Some(template) = rest.strip_prefix("{hashtag|\\#|")
            && let Some((tag, after)) = template.split_once('}')
        {
            out.push('#');
            out.push_str(tag);
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let escaped = rest.chars().next().filter(|next| RESERVED.contains(*next));
                let Some(next) = escaped else { break };
                out.push(next);
                rest = &rest[next.len_utf8()..];
            }
            '#' => out.push('#'),
            c if RESERVED.contains(c) => break,
            c => out.push(c),
        }
    }
    out
}

fn post_json(post: &Post) -> Value {
    let mut body = json!({
        "id": post.urn,
        "author": post.author,
        "commentary": post.commentary,
        "visibility": "PUBLIC",
        "distribution": { "feedDistribution": "MAIN_FEED", "targetEntities": [], "thirdPartyDistributionChannels": [] },
        "lifecycleState": "PUBLISHED",
        "isReshareDisabledByAuthor": false,
        "createdAt": post.at,
        "publishedAt": post.at,
        "lastModifiedAt": post.at,
    });
    if !post.content.is_null() {
        body["content"] = post.content.clone();
    }
    body
}

fn range(call: &Call) -> Result<(usize, usize), Answer> {
    let of = |name: &str, usual: i64| call.number(name).unwrap_or(usual);
    let (start, count) = (of("start", 0), of("count", 10));
    if !(1..=100).contains(&count) || start < 0 {
        return Err(fail(400, "ILLEGAL_ARGUMENT", "count must be between 1 and 100"));
    }
    Ok((usize::try_from(start).unwrap_or(0), usize::try_from(count).unwrap_or(10)))
}

fn elements(call: &Call, all: Vec<Value>) -> Result<Answer, Answer> {
    let (start, count) = range(call)?;
    let total = all.len();
    let page: Vec<Value> = all.into_iter().skip(start).take(count).collect();
    let paging = json!({ "start": start, "count": count, "links": [], "total": total });
    Ok(done(200, &json!({ "elements": page, "paging": paging })))
}

fn list(state: &State, caller: &Caller, call: &Call) -> Result<Answer, Answer> {
    if call.text("q").as_deref() != Some("author") {
        return Err(fail(400, "ILLEGAL_ARGUMENT", "The finder is not known"));
    }
    let author = call.text("author").unwrap_or_default();
    caller.acts_as(&author, "posts.FINDER-author", "r_member_social", "r_organization_social")?;
    let all = state.posts.iter().rev().filter(|post| !post.gone && post.author == author);
    elements(call, all.map(post_json).collect())
}

fn show(state: &State, caller: &Caller, urn: &str) -> Result<Answer, Answer> {
    let post = state.live(urn).ok_or_else(|| missing("The post"))?;
    caller.acts_as(&post.author, "posts.GET", "r_member_social", "r_organization_social")?;
    Ok(done(200, &post_json(post)))
}

/// The only post of `shares=List(…)` or `ugcPosts=List(…)`; one that nothing has happened to is
/// left out.
fn page_statistics(
    world: &World,
    state: &State,
    caller: &Caller,
    call: &Call,
) -> Result<Answer, Answer> {
    let what = "organizationalEntityShareStatistics.FINDER-organizationalEntity";
    caller.holds("rw_organization_admin", what)?;
    let page = call.text("organizationalEntity").unwrap_or_default();
    if call.text("q").as_deref() != Some("organizationalEntity") {
        return Err(fail(400, "ILLEGAL_ARGUMENT", "The finder is not known"));
    }
    if page != page_urn(&caller.account) {
        return Err(denied(what));
    }
    let list = |name: &str, kind: &str| {
        let urn = call.text(name)?.strip_prefix("List(")?.strip_suffix(')')?.to_owned();
        urn.starts_with(kind).then_some(urn)
    };
    let urn = list("shares", "urn:li:share:").or_else(|| list("ugcPosts", "urn:li:ugcPost:"));
    let urn = urn.ok_or_else(|| fail(400, "ILLEGAL_ARGUMENT", "No list of posts"))?;
    let told = world.numbers(Network::Linkedin, &urn);
    let post = state.live(&urn).filter(|post| post.author == page);
    let idle = told == Numbers::default();
    let elements: Vec<Value> = post
        .filter(|_| !idle)
        .into_iter()
        .map(|_| {
            json!({
                "organizationalEntity": page,
                "share": urn,
                "totalShareStatistics": {
                    "impressionCount": told.views,
                    "uniqueImpressionsCount": told.reach,
                    "clickCount": told.clicks,
                    "likeCount": told.likes,
                    "commentCount": told.comments,
                    "shareCount": told.shares,
                    "engagement": 0.0,
                },
            })
        })
        .collect();
    let paging = json!({ "start": 0, "count": 10, "links": [] });
    Ok(done(200, &json!({ "elements": elements, "paging": paging })))
}

/// One number of a member's own post.
fn member_analytics(
    world: &World,
    state: &State,
    caller: &Caller,
    call: &Call,
) -> Result<Answer, Answer> {
    let what = "memberCreatorPostAnalytics.FINDER-entity";
    caller.holds("r_member_postAnalytics", what)?;
    let wrong = |says: &str| fail(400, "ILLEGAL_ARGUMENT", says);
    let entity = call.text("entity").unwrap_or_default();
    let urn = entity.strip_prefix("(share:").or_else(|| entity.strip_prefix("(ugc:"));
    let urn = urn.and_then(|urn| urn.strip_suffix(')')).ok_or_else(|| wrong("No entity"))?;
    let post = state.live(urn).ok_or_else(|| missing("The post"))?;
    if post.author != caller.member() {
        return Err(denied(what));
    }
    if call.text("aggregation").as_deref() != Some("TOTAL") {
        return Err(wrong("The sandbox counts in all only: aggregation=TOTAL"));
    }
    let told = world.numbers(Network::Linkedin, urn);
    let kind = call.text("queryType").unwrap_or_default();
    let count = match kind.as_str() {
        "IMPRESSION" => told.views,
        "MEMBERS_REACHED" => told.reach,
        "RESHARE" => told.shares,
        "REACTION" => told.likes,
        "COMMENT" => told.comments,
        "POST_SAVE" => told.saves,
        "LINK_CLICKS" => told.clicks,
        _ => return Err(wrong("The query type is not known")),
    };
    let element = json!({ "count": count, "metricType": kind, "targetEntity": { "share": urn } });
    Ok(done(200, &json!({ "elements": [element] })))
}

/// The one field that a partial update sets.
fn patched(call: &Call, of: &[&str], field: &str) -> Result<String, Answer> {
    if call.header("x-restli-method") != Some("PARTIAL_UPDATE") {
        let says = "POST operation PARTIAL_UPDATE needs the header X-RestLi-Method";
        return Err(fail(400, "ILLEGAL_ARGUMENT", says));
    }
    let patch = call.json.as_ref().map(|json| &json["patch"]).filter(|patch| patch.is_object());
    let patch = patch.ok_or_else(|| fail(400, "ILLEGAL_ARGUMENT", "No patch"))?;
    let set = of.iter().fold(patch, |at, name| &at[*name])["$set"].as_object();
    let set = set.ok_or_else(|| fail(400, "ILLEGAL_ARGUMENT", "The patch sets nothing"))?;
    if let Some(name) = set.keys().find(|name| *name != field) {
        return Err(input("UNKNOWN_FIELD", name, "unrecognized field found but not allowed"));
    }
    let text = set.get(field).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| fail(400, "ILLEGAL_ARGUMENT", "The patch sets nothing"))
}

fn edit(
    world: &World,
    state: &mut State,
    caller: &Caller,
    call: &Call,
    urn: &str,
) -> Result<Answer, Answer> {
    let at = *state.by_urn.get(urn).ok_or_else(|| missing("The post"))?;
    let post = &mut state.posts[at];
    if post.gone {
        return Err(missing("The post"));
    }
    caller.acts_as(&post.author, "posts.UPDATE", "w_member_social", "w_organization_social")?;
    let commentary = patched(call, &[], "commentary")?;
    let text = rendered(&commentary);
    if text.chars().count() > MAX_TEXT {
        return Err(input("FIELD_LENGTH_TOO_LONG", "commentary", "length is more than 3000"));
    }
    if text.trim().is_empty() && post.images == 0 {
        return Err(input("MISSING_FIELD", "commentary", "a post needs text or content"));
    }
    (post.commentary, post.text) = (commentary, text.clone());
    world.ledger.edit(Network::Linkedin, urn, |post| post.text = text);
    Ok(Answer::new(204, "application/json", ""))
}

/// Again and again with the same answer.
fn delete(
    world: &World,
    state: &mut State,
    caller: &Caller,
    call: &Call,
    urn: &str,
) -> Result<Answer, Answer> {
    if let Some(at) = state.by_urn.get(urn) {
        let post = &mut state.posts[*at];
        caller.acts_as(&post.author, "posts.DELETE", "w_member_social", "w_organization_social")?;
        post.gone = true;
        world.ledger.vanish(Network::Linkedin, urn, call.now);
        for comment in std::mem::take(&mut post.comments) {
            world.ledger.vanish(Network::Linkedin, &comment_urn(urn, &comment.id), call.now);
        }
    }
    Ok(Answer::new(204, "application/json", ""))
}

// Comments

fn comment_urn(on: &str, id: &str) -> String {
    format!("urn:li:comment:({on},{id})")
}

fn comment(
    world: &World,
    state: &mut State,
    caller: &Caller,
    call: &Call,
    on: &str,
) -> Result<Answer, Answer> {
    let json = call.json.as_ref().ok_or_else(|| fail(400, "ILLEGAL_ARGUMENT", "No entity"))?;
    let actor = json["actor"].as_str().unwrap_or_default().to_owned();
    caller.acts_as(&actor, "socialActions.CREATE", "w_member_social", "w_organization_social")?;
    if json["object"].as_str() != Some(on) {
        return Err(input("INVALID_VALUE", "object", "is not what is commented on"));
    }
    let text = json["message"]["text"].as_str().unwrap_or_default().to_owned();
    if text.trim().is_empty() {
        return Err(input("MISSING_FIELD", "message", "field is required but not found"));
    }
    if text.chars().count() > MAX_COMMENT {
        return Err(input("FIELD_LENGTH_TOO_LONG", "message/text", "length is more than 1250"));
    }
    state.live(on).ok_or_else(|| missing("The post"))?;
    let id = state.id(call.now).to_string();
    let at = state.by_urn[on];
    world.ledger.appear(
        Network::Linkedin,
        Appeared {
            id: comment_urn(on, &id),
            account: &caller.account,
            placement: "comment",
            reply_to: Some(on.to_owned()),
            text: text.clone(),
            media: Vec::new(),
            at: call.now,
        },
    );
    let comment = Comment { id: id.clone(), actor, text, at: call.now };
    let body = comment_json(on, &comment);
    state.posts[at].comments.push(comment);
    Ok(done(201, &body).header("x-restli-id", &id))
}

fn comment_json(on: &str, comment: &Comment) -> Value {
    json!({
        "actor": comment.actor,
        "commentUrn": comment_urn(on, &comment.id),
        "created": { "actor": comment.actor, "time": comment.at },
        "id": comment.id,
        "lastModified": { "actor": comment.actor, "time": comment.at },
        "message": { "attributes": [], "text": comment.text },
        "object": on,
    })
}

fn comments(state: &State, caller: &Caller, call: &Call, on: &str) -> Result<Answer, Answer> {
    let post = state.live(on).ok_or_else(|| missing("The post"))?;
    caller.acts_as(
        &post.author,
        "socialActions.GET",
        "r_member_social",
        "r_organization_social",
    )?;
    elements(call, post.comments.iter().map(|comment| comment_json(on, comment)).collect())
}

fn edit_comment(
    world: &World,
    state: &mut State,
    caller: &Caller,
    call: &Call,
    on: &str,
    id: &str,
) -> Result<Answer, Answer> {
    let actor = call.text("actor");
    let actor = actor.ok_or_else(|| fail(400, "ILLEGAL_ARGUMENT", "The actor is missing"))?;
    caller.acts_as(&actor, "socialActions.UPDATE", "w_member_social", "w_organization_social")?;
    let at = *state.by_urn.get(on).ok_or_else(|| missing("The post"))?;
    let mut comments = state.posts[at].comments.iter_mut();
    let comment = comments.find(|comment| comment.id == id && comment.actor == actor);
    let comment = comment.ok_or_else(|| missing("The comment"))?;
    let text = patched(call, &["message"], "text")?;
    if text.trim().is_empty() {
        return Err(input("MISSING_FIELD", "message", "field is required but not found"));
    }
    if text.chars().count() > MAX_COMMENT {
        return Err(input("FIELD_LENGTH_TOO_LONG", "message/text", "length is more than 1250"));
    }
    comment.text.clone_from(&text);
    world.ledger.edit(Network::Linkedin, &comment_urn(on, id), |post| post.text = text);
    Ok(Answer::new(204, "application/json", ""))
}

fn delete_comment(
    world: &World,
    state: &mut State,
    caller: &Caller,
    call: &Call,
    on: &str,
    id: &str,
) -> Result<Answer, Answer> {
    let actor = call.text("actor");
    let actor = actor.ok_or_else(|| fail(400, "ILLEGAL_ARGUMENT", "The actor is missing"))?;
    caller.acts_as(&actor, "socialActions.DELETE", "w_member_social", "w_organization_social")?;
    let at = state.by_urn.get(on).ok_or_else(|| missing("The post"))?;
    let comments = &mut state.posts[*at].comments;
    let found = comments.iter().position(|comment| comment.id == id && comment.actor == actor);
    comments.remove(found.ok_or_else(|| missing("The comment"))?);
    world.ledger.vanish(Network::Linkedin, &comment_urn(on, id), call.now);
    Ok(Answer::new(204, "application/json", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_text_is_read_until_a_sign_that_is_not_escaped() {
        assert_eq!(
            rendered(r"Open \(from 7\) {hashtag|\#|bread} #new"),
            "Open (from 7) #bread #new"
        );
        assert_eq!(rendered("Open (from 7)"), "Open ");
        assert_eq!(rendered("a_b"), "a");
        assert_eq!(rendered(r"a\b"), "a");
    }
}
