//! Bluesky: one PDS, the video service and the few AppView reads a publisher needs, under
//! `/bluesky/xrpc/{nsid}`.
//!
//! networks.md §10 and §23.2, and held against a real PDS 0.4.217, message by message. Handle
//! `{account}.test`, password `sandbox-{account}`. Token errors are HTTP 400. A repeated `putRecord`
//! changes nothing, one with other content edits the post. Sessions are counted (30 in five
//! minutes); points for writes are not, see the crate's header.
//! A video is worked on for ten seconds. Not spoken: OAuth, `applyWrites`, uploads of videos in
//! parts; refused as what a bare PDS does not know. The server of the account `bare` passes nothing
//! on to the AppView, as one that cannot reach it.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::dag::{base32, cid_of_bytes, cid_of_record};
use crate::faults::Calls;
use crate::film;
use crate::ledger::{Appeared, LedgerMedia};
use crate::lexicon::{POST, check_post, is_tid};
use crate::media::Blob;
use crate::world::{
    Fields, Network, World, account_of_secret, is_account, iso, lock, secret_of, sha256,
};

const ACCESS_LIFE: i64 = 2 * 3_600;
const REFRESH_LIFE: i64 = 90 * 86_400;
/// How long a refresh token still works after it was used, in milliseconds.
const REFRESH_GRACE: i64 = 2 * 3_600_000;
/// Logins an account may make in [`LOGIN_WINDOW`] milliseconds.
const LOGINS: u32 = 30;
const LOGIN_WINDOW: i64 = 5 * 60_000;
const BLOB_LIMIT: usize = 5 << 20;
/// How long a video is worked on, in milliseconds.
const ENCODING: i64 = 10_000;
/// Longest video, in seconds.
const LONGEST: u64 = 180;
const SERVER: &str = "did:web:localhost";

#[derive(Default)]
pub(crate) struct State {
    /// By DID.
    repos: HashMap<String, Repo>,
    /// Used or ended refresh tokens: when each stops working.
    ending: HashMap<String, i64>,
    logins: HashMap<String, (i64, u32)>,
    last_tid: i64,
    jobs: BTreeMap<String, Job>,
}

/// A video that the video service was handed.
struct Job {
    account: String,
    blob: Blob,
    cid: String,
    /// When it is ready.
    at: i64,
    put: bool,
}

struct Repo {
    account: String,
    /// Collection, then record key.
    records: HashMap<String, BTreeMap<String, Record>>,
    blobs: HashMap<String, Held>,
    rev: String,
}

struct Record {
    value: Value,
    cid: String,
    blobs: Vec<String>,
    at: i64,
}

/// An uploaded blob and how many records refer to it.
struct Held {
    blob: Blob,
    mime: String,
    uses: usize,
}

struct Session {
    account: String,
    did: String,
    id: String,
}

/// The service that knows what everybody does.
const APPVIEW: &str = "did:web:api.bsky.app#bsky_appview";

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("identifier", format!("{account}.test")), ("password", secret_of(account))]
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let collection = call.text("collection").unwrap_or_default();
    let kind = match nsid(call) {
        "com.atproto.repo.createRecord" | "com.atproto.repo.putRecord" if collection == POST => {
            Calls::Publish
        }
        "com.atproto.repo.deleteRecord" => Calls::Delete,
        _ if call.method == Method::GET => Calls::Read,
        _ => Calls::Prepare,
    };
    let account = call
        .bearer()
        .and_then(claims)
        .and_then(|claims| Some(claims["account"].as_str()?.to_owned()))
        .or_else(|| {
            let named = call.text("identifier").or_else(|| call.text("repo"))?;
            account_of(&lock(&world.states.bluesky), &named)
        });
    Aim { call: kind, account }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    let encoding = call.content_type();
    let takes_json = call.method == Method::POST && !takes_bytes(call);
    if takes_json && !call.body.is_empty() && encoding != "application/json" {
        return invalid(&format!("Wrong request encoding (Content-Type): {encoding}"));
    }
    let handled = match (call.method.as_str(), nsid(call)) {
        ("GET", "_health") => Ok(json!({ "version": "0.4.217" })),
        ("GET", "com.atproto.server.describeServer") => Ok(json!({
            "did": SERVER,
            "availableUserDomains": [".test"],
            "inviteCodeRequired": false,
            "links": {},
            "contact": {},
        })),
        ("POST", "com.atproto.server.createSession") => create_session(world, call),
        ("POST", "com.atproto.server.refreshSession") => refresh_session(world, call),
        ("POST", "com.atproto.server.deleteSession") => match delete_session(world, call) {
            Ok(()) => return Answer::new(200, "text/plain", ""),
            Err(error) => Err(error),
        },
        ("GET", "com.atproto.server.getSession") => authorized(world, call).map(|session| {
            json!({
                "handle": handle(&session.account),
                "did": session.did,
                "didDoc": did_doc(call, &session.account),
                "email": format!("{}@example.test", session.account),
                "emailConfirmed": false,
                "active": true,
            })
        }),
        ("GET", "com.atproto.server.getServiceAuth") => service_auth(world, call),
        ("POST", "app.bsky.video.uploadVideo") => match upload_video(world, call) {
            Ok(answer) => return answer,
            Err(error) => Err(error),
        },
        ("GET", "app.bsky.video.getJobStatus") => job_status(world, call),
        ("GET", "com.atproto.identity.resolveHandle") => resolve_handle(world, call),
        ("POST", "com.atproto.repo.uploadBlob") => upload_blob(world, call),
        ("POST", "com.atproto.repo.createRecord") => write_record(world, call, Write::Create),
        ("POST", "com.atproto.repo.putRecord") => write_record(world, call, Write::Put),
        ("POST", "com.atproto.repo.deleteRecord") => delete_record(world, call),
        ("GET", "com.atproto.repo.describeRepo") => describe_repo(world, call),
        ("GET", "com.atproto.repo.getRecord") => get_record(world, call),
        ("GET", "com.atproto.repo.listRecords") => list_records(world, call),
        ("GET", "com.atproto.sync.getBlob") => match get_blob(world, call) {
            Ok(answer) => return answer,
            Err(error) => Err(error),
        },
        // Passed on to who is named; there is nobody that it would be passed on to otherwise.
        ("GET", "app.bsky.feed.getPosts") if call.header("atproto-proxy") == Some(APPVIEW) => {
            get_posts(world, call)
        }
        ("GET", "app.bsky.actor.getProfile") => get_profile(world, call),
        (_, nsid) if nsid.split('.').count() < 3 => Err(invalid("invalid xrpc path")),
        // Anything else would be passed on to an AppView, and there is none.
        (_, nsid) => Err(invalid(&format!("No service configured for {nsid}"))),
    };
    handled.map_or_else(|refused| refused, |body| Answer::json(200, &body))
}

pub(crate) fn refuse(call: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => error(400, "SyntaxError", "The body is not valid JSON"),
        Refusal::RateLimit(ms) => {
            error(429, "RateLimitExceeded", "Rate Limit Exceeded")
                .header("ratelimit-limit", "5000")
                .header("ratelimit-remaining", "0")
                // Rounded up: a client that comes back then is not early.
                .header("ratelimit-reset", &(call.now + ms + 999).div_euclid(1_000).to_string())
                .header("ratelimit-policy", "5000;w=3600")
        }
        Refusal::ServerError => error(500, "InternalServerError", "Internal Server Error"),
        Refusal::Auth => error(400, "ExpiredToken", "Token has expired"),
        Refusal::TooLarge => error(413, "PayloadTooLarge", "request entity too large"),
    }
}

fn error(status: u16, name: &str, message: &str) -> Answer {
    Answer::json(status, &json!({ "error": name, "message": message }))
}

fn invalid(message: &str) -> Answer {
    error(400, "InvalidRequest", message)
}

/// A parameter of the body that a call cannot do without.
fn required(call: &Call, name: &str) -> Result<String, Answer> {
    match call.value(name) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => {
            Err(invalid(&format!("Expected string value type (got {other}) at $.{name}")))
        }
        None => Err(invalid(&format!("Missing required key \"{name}\" at $"))),
    }
}

fn takes_bytes(call: &Call) -> bool {
    matches!(nsid(call), "com.atproto.repo.uploadBlob" | "app.bsky.video.uploadVideo")
}

fn nsid(call: &Call) -> &str {
    call.path.strip_prefix("xrpc/").unwrap_or(&call.path)
}

// Accounts and sessions

/// Always the same for an account, and of the form of a `did:plc`.
fn did_of(account: &str) -> String {
    format!("did:plc:{}", &base32(&sha256(account.as_bytes()))[..24])
}

fn handle(account: &str) -> String {
    format!("{account}.test")
}

/// The account behind a handle, or behind a DID that was seen before.
fn account_of(state: &State, named: &str) -> Option<String> {
    if named.starts_with("did:") {
        return state.repos.get(named).map(|repo| repo.account.clone());
    }
    named.strip_suffix(".test").filter(|name| is_account(name)).map(str::to_owned)
}

impl State {
    fn repo(&mut self, account: &str) -> &mut Repo {
        self.repos.entry(did_of(account)).or_insert_with(|| Repo {
            account: account.to_owned(),
            records: HashMap::new(),
            blobs: HashMap::new(),
            rev: String::new(),
        })
    }

    /// A timestamp identifier that no other one equals.
    fn tid(&mut self, now: i64) -> String {
        self.last_tid = (self.last_tid + 1).max(now * 1_000);
        tid(self.last_tid)
    }
}

/// 53 bits of microseconds and a clock id of 0, base32-sortable.
fn tid(micros: i64) -> String {
    const ALPHABET: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
    let bits = micros.unsigned_abs() << 10;
    (0..13).rev().map(|at| char::from(ALPHABET[(bits >> (at * 5) & 31) as usize])).collect()
}

fn did_doc(call: &Call, account: &str) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": did_of(account),
        "alsoKnownAs": [format!("at://{}", handle(account))],
        "verificationMethod": [],
        "service": [{
            "id": "#atproto_pds",
            "type": "AtprotoPersonalDataServer",
            "serviceEndpoint": format!("{}/bluesky", call.origin),
        }],
    })
}

fn create_session(world: &World, call: &Call) -> Result<Value, Answer> {
    let identifier = required(call, "identifier")?;
    let password = required(call, "password")?;
    let mut state = lock(&world.states.bluesky);
    let account = account_of(&state, &identifier);
    let account = account.filter(|name| account_of_secret(&password) == Some(name));
    let Some(account) = account else {
        return Err(error(401, "AuthenticationRequired", "Invalid identifier or password"));
    };
    let (since, count) = state.logins.entry(account.clone()).or_insert((call.now, 0));
    if call.now - *since >= LOGIN_WINDOW {
        (*since, *count) = (call.now, 0);
    }
    *count += 1;
    if *count > LOGINS {
        let left = *since + LOGIN_WINDOW - call.now;
        return Err(refuse(call, Refusal::RateLimit(left)));
    }
    state.repo(&account);
    Ok(session_body(call, &account))
}

fn refresh_session(world: &World, call: &Call) -> Result<Value, Answer> {
    let session = session(world, call, "com.atproto.refresh")?;
    let mut state = lock(&world.states.bluesky);
    // The used token works a little longer: its answer may be on its way when the process dies.
    state.ending.entry(session.id).or_insert(call.now + REFRESH_GRACE);
    Ok(session_body(call, &session.account))
}

fn delete_session(world: &World, call: &Call) -> Result<(), Answer> {
    let session = session(world, call, "com.atproto.refresh")?;
    lock(&world.states.bluesky).ending.insert(session.id, call.now);
    Ok(())
}

fn session_body(call: &Call, account: &str) -> Value {
    let id = uuid::Uuid::new_v4().simple().to_string();
    json!({
        "accessJwt": token(call, account, "at+jwt", "com.atproto.appPass", ACCESS_LIFE, None),
        "refreshJwt":
            token(call, account, "refresh+jwt", "com.atproto.refresh", REFRESH_LIFE, Some(&id)),
        "handle": handle(account),
        "did": did_of(account),
        "didDoc": did_doc(call, account),
        "email": format!("{account}@example.test"),
        "emailConfirmed": false,
        "active": true,
    })
}

fn token(
    call: &Call,
    account: &str,
    kind: &str,
    scope: &str,
    life: i64,
    id: Option<&str>,
) -> String {
    let now = call.now.div_euclid(1_000);
    let head = json!({ "typ": kind, "alg": "HS256" });
    let mut claims = json!({
        "scope": scope,
        "sub": did_of(account),
        "iat": now,
        "exp": now + life,
        "aud": SERVER,
        // Not in a real token: the sandbox knows an account from its token after a restart.
        "account": account,
    });
    if let Some(id) = id {
        claims["jti"] = json!(id);
    }
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(head), encode(claims));
    format!("{signed}.{}", signature(&signed))
}

/// Not an HMAC and not a secret: it only tells the sandbox's own tokens from invented ones.
fn signature(signed: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(format!("carillon sandbox {signed}").as_bytes()))
}

/// The claims of a token that the sandbox gave out.
fn claims(token: &str) -> Option<Value> {
    let (signed, signed_with) = token.rsplit_once('.')?;
    if signature(signed) != signed_with {
        return None;
    }
    let (_, claims) = signed.split_once('.')?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

fn authorized(world: &World, call: &Call) -> Result<Session, Answer> {
    session(world, call, "com.atproto.appPass")
}

fn session(world: &World, call: &Call, scope: &str) -> Result<Session, Answer> {
    if call.header("authorization").is_none() {
        return Err(error(401, "AuthMissing", "Authentication Required"));
    }
    let claims = call.bearer().and_then(claims);
    let claims = claims.ok_or_else(|| error(400, "InvalidToken", "Token could not be verified"))?;
    if claims["exp"].as_i64().unwrap_or_default() <= call.now.div_euclid(1_000) {
        return Err(refuse(call, Refusal::Auth));
    }
    if claims["scope"] != scope {
        return Err(error(400, "InvalidToken", "Invalid token type"));
    }
    let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    let session = Session { account: text("account"), did: text("sub"), id: text("jti") };
    let mut state = lock(&world.states.bluesky);
    if state.ending.get(&session.id).is_some_and(|end| *end <= call.now) {
        return Err(error(400, "ExpiredToken", "Token has been revoked"));
    }
    state.repo(&session.account);
    Ok(session)
}

fn resolve_handle(world: &World, call: &Call) -> Result<Value, Answer> {
    let named = call.text("handle").unwrap_or_default();
    let mut state = lock(&world.states.bluesky);
    let account = account_of(&state, &named).filter(|_| !named.starts_with("did:"));
    let account = account.ok_or_else(|| invalid("Unable to resolve handle"))?;
    state.repo(&account);
    Ok(json!({ "did": did_of(&account) }))
}

// Blobs

fn upload_blob(world: &World, call: &Call) -> Result<Value, Answer> {
    let session = authorized(world, call)?;
    let said = call.content_type();
    if said.is_empty() {
        return Err(invalid("Request encoding (Content-Type) required but not provided"));
    }
    if call.body.len() > BLOB_LIMIT {
        return Err(refuse(call, Refusal::TooLarge));
    }
    let cid = cid_of_bytes(&call.body);
    let blob = world.blobs.keep(&call.body);
    let mime = blob.kind.map_or(said, |kind| kind.mime.to_owned());
    let body = json!({ "blob": {
        "$type": "blob",
        "ref": { "$link": cid },
        "mimeType": mime,
        "size": blob.size,
    }});
    let mut state = lock(&world.states.bluesky);
    state.repo(&session.account).blobs.entry(cid).or_insert(Held { blob, mime, uses: 0 });
    Ok(body)
}

fn get_blob(world: &World, call: &Call) -> Result<Answer, Answer> {
    let state = lock(&world.states.bluesky);
    let repo = state.repos.get(&call.text("did").unwrap_or_default());
    let held = repo.and_then(|repo| repo.blobs.get(&call.text("cid").unwrap_or_default()));
    let hash = held.map(|held| held.blob.hash.clone());
    drop(state);
    let bytes: Option<Bytes> = hash.and_then(|hash| world.blobs.get(&hash));
    let bytes = bytes.ok_or_else(|| invalid("Blob not found"))?;
    let mime = crate::media::recognise(&bytes).map_or("application/octet-stream", |k| k.mime);
    Ok(Answer::new(200, mime, bytes))
}

// Videos

/// A token that lets another service call one method in the account's name for a while.
fn service_auth(world: &World, call: &Call) -> Result<Value, Answer> {
    let session = authorized(world, call)?;
    let need = |name: &str| {
        let missing = || invalid(&format!("Params must have the property \"{name}\""));
        call.text(name).ok_or_else(missing)
    };
    let (aud, now) = (need("aud")?, call.now.div_euclid(1_000));
    let exp = call.number("exp").unwrap_or(now + 60);
    if exp < now || exp > now + 3_600 {
        let message = "cannot request a token with an expiration more than an hour in the future";
        return Err(error(400, "BadExpiration", message));
    }
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "iss": session.did,
        "aud": aud,
        "lxm": call.text("lxm"),
        "iat": now,
        "exp": exp,
        "account": session.account,
    });
    let signed = format!("{}.{}", encode(json!({ "typ": "JWT", "alg": "ES256K" })), encode(claims));
    Ok(json!({ "token": format!("{signed}.{}", signature(&signed)) }))
}

fn upload_video(world: &World, call: &Call) -> Result<Answer, Answer> {
    let refused = |message: &str| error(401, "AuthenticationRequired", message);
    let claims = call.bearer().and_then(claims).ok_or_else(|| refused("Missing service token"))?;
    let did = call.text("did").unwrap_or_default();
    // With it the service puts the blob into the account's server.
    if claims["lxm"] != "com.atproto.repo.uploadBlob" || claims["aud"] != SERVER {
        return Err(refused("The token is not for uploadBlob at the account's server"));
    }
    if claims["exp"].as_i64().unwrap_or_default() <= call.now.div_euclid(1_000) {
        return Err(refused("The token has expired"));
    }
    if claims["iss"] != did.as_str() {
        return Err(refused("The token is of another account"));
    }
    if call.content_type() != "video/mp4" || call.text("name").is_none() {
        return Err(invalid("An MP4 and its name are required"));
    }
    let cid = cid_of_bytes(&call.body);
    let account = claims["account"].as_str().unwrap_or_default().to_owned();
    let mut state = lock(&world.states.bluesky);
    let known = state.jobs.iter().find(|(_, job)| job.cid == cid && job.account == account);
    if let Some((id, _)) = known {
        let body = json!({
            "error": "already_exists",
            "message": "Video already processed",
            "jobId": id,
            "did": did,
            "state": "JOB_STATE_COMPLETED",
        });
        return Ok(Answer::json(409, &body));
    }
    let id = state.tid(call.now);
    let blob = world.blobs.keep(&call.body);
    let job = Job { account, blob, cid, at: call.now + ENCODING, put: false };
    state.jobs.insert(id.clone(), job);
    // Not wrapped into `jobStatus`, in spite of the lexicon.
    Ok(Answer::json(200, &json!({ "jobId": id, "did": did, "state": "JOB_STATE_CREATED" })))
}

fn job_status(world: &World, call: &Call) -> Result<Value, Answer> {
    let id = call.text("jobId").unwrap_or_default();
    let mut state = lock(&world.states.bluesky);
    let job = state.jobs.get_mut(&id).ok_or_else(|| invalid("No such job"))?;
    let mut status = json!({ "jobId": id, "did": did_of(&job.account) });
    let slow = world.faults.still_processing(Network::Bluesky, &job.account);
    if slow || call.now < job.at {
        status["state"] = json!("JOB_STATE_ENCODING");
        status["progress"] = json!(50);
        return Ok(json!({ "jobStatus": status }));
    }
    let film = film::measure(&world.blobs.get(&job.blob.hash).unwrap_or_default());
    let problem = match film {
        None => Some("unsupported_format"),
        Some(film) if !film.lasts(0, LONGEST) => Some("video_too_long"),
        Some(_) => None,
    };
    if let Some(problem) = problem {
        status["state"] = json!("JOB_STATE_FAILED");
        status["failureCode"] = json!(problem);
        status["error"] = json!("The video could not be processed");
        return Ok(json!({ "jobStatus": status }));
    }
    status["state"] = json!("JOB_STATE_COMPLETED");
    status["progress"] = json!(100);
    status["blob"] = json!({
        "$type": "blob",
        "ref": { "$link": job.cid },
        "mimeType": "video/mp4",
        "size": job.blob.size,
    });
    let (account, cid, blob) = (job.account.clone(), job.cid.clone(), job.blob.clone());
    if !std::mem::replace(&mut job.put, true) {
        let held = Held { blob, mime: "video/mp4".to_owned(), uses: 0 };
        state.repo(&account).blobs.entry(cid).or_insert(held);
    }
    Ok(json!({ "jobStatus": status }))
}

// Records

#[derive(Clone, Copy, PartialEq)]
enum Write {
    Create,
    Put,
}

fn write_record(world: &World, call: &Call, write: Write) -> Result<Value, Answer> {
    let session = authorized(world, call)?;
    let collection = required(call, "collection")?;
    let missing = || invalid("Missing required key \"record\" at $");
    let mut record = call.value("record").ok_or_else(missing)?;
    let Some(fields) = record.as_object_mut() else {
        return Err(invalid(&format!("Expected object value type (got {record}) at $.record")));
    };
    match fields.get("$type").and_then(Value::as_str) {
        None => {
            fields.insert("$type".to_owned(), json!(collection));
        }
        Some(found) if found != collection => {
            return Err(invalid(&format!("Invalid $type: expected {collection}, got {found}")));
        }
        Some(_) => {}
    }
    let checked = collection == POST && call.flag("validate") != Some(false);
    let refs = if checked { check_post(&record).map_err(|e| invalid(&e))? } else { Vec::new() };
    let cid = cid_of_record(&record).map_err(|e| invalid(&e))?;

    let mut state = lock(&world.states.bluesky);
    own_repo(&state, call, &session)?;
    let rev = state.tid(call.now);
    let rkey = match (call.text("rkey"), write) {
        (Some(rkey), _) => rkey,
        (None, Write::Create) => rev.clone(),
        (None, Write::Put) => required(call, "rkey")?,
    };
    if !is_record_key(&rkey) {
        return Err(invalid(&format!("Invalid record key (got \"{rkey}\") at $.rkey")));
    }
    if checked && !is_tid(&rkey) {
        return Err(invalid(&format!(
            "Invalid record key for {POST}: Invalid TID string (got \"{rkey}\") at $"
        )));
    }
    let repo = state.repo(&session.account);
    let uri = format!("at://{}/{collection}/{rkey}", session.did);
    let records = repo.records.entry(collection.clone()).or_default();
    let known = records.get(&rkey).map(|record| record.cid.clone());
    if write == Write::Create && known.is_some() {
        // Not a clean conflict: seen on a real server.
        return Err(refuse(call, Refusal::ServerError));
    }
    if known.as_ref() == Some(&cid) {
        return Ok(written(call, &uri, &cid, checked, None));
    }
    check_swap(call, known.as_deref())?;

    for blob in &refs {
        let held = repo.blobs.get(&blob.cid).ok_or_else(|| {
            error(400, "BlobNotFound", &format!("Could not find blob: {}", blob.cid))
        })?;
        // A blob that a record refers to already is not looked at again.
        if held.uses > 0 {
            continue;
        }
        if held.mime != blob.mime {
            let message = format!(
                "Referenced Mimetype does not match stored blob. Expected: {}, Got: {}",
                held.mime, blob.mime
            );
            return Err(error(400, "InvalidMimeType", &message));
        }
        if held.blob.size as u64 != blob.size {
            let message = format!(
                "Referenced Size does not match stored blob. Expected: {}, Got: {}",
                held.blob.size, blob.size
            );
            return Err(error(400, "InvalidSize", &message));
        }
    }
    let blobs: Vec<String> = refs.into_iter().map(|blob| blob.cid).collect();
    for cid in &blobs {
        if let Some(held) = repo.blobs.get_mut(cid) {
            held.uses += 1;
        }
    }
    let media = shown_media(repo, &record);
    let text = record["text"].as_str().unwrap_or_default().to_owned();
    let reply_to = record.pointer("/reply/parent/uri").and_then(Value::as_str).map(str::to_owned);
    let at = call.now;
    let records = repo.records.entry(collection.clone()).or_default();
    let old = records.insert(rkey, Record { value: record, cid: cid.clone(), blobs, at });
    repo.rev.clone_from(&rev);
    if let Some(old) = &old {
        release(repo, &old.blobs);
    }
    if collection == POST {
        let appeared = Appeared {
            id: uri.clone(),
            account: &session.account,
            placement: "feed",
            reply_to,
            text,
            media,
            at,
        };
        world.ledger.appear(Network::Bluesky, appeared);
    }
    Ok(written(call, &uri, &cid, checked, Some(&rev)))
}

fn written(call: &Call, uri: &str, cid: &str, checked: bool, rev: Option<&str>) -> Value {
    let mut body = json!({ "uri": uri, "cid": cid });
    if let Some(rev) = rev {
        body["commit"] = commit(rev);
    }
    if call.flag("validate") != Some(false) {
        body["validationStatus"] = json!(if checked { "valid" } else { "unknown" });
    }
    body
}

fn commit(rev: &str) -> Value {
    // Of the form of a commit's CID; the sandbox keeps no tree to commit to.
    json!({ "cid": cid_of_record(&json!({ "rev": rev })).unwrap_or_default(), "rev": rev })
}

fn delete_record(world: &World, call: &Call) -> Result<Value, Answer> {
    let session = authorized(world, call)?;
    let collection = required(call, "collection")?;
    let rkey = required(call, "rkey")?;
    let mut state = lock(&world.states.bluesky);
    own_repo(&state, call, &session)?;
    let rev = state.tid(call.now);
    let repo = state.repo(&session.account);
    let records = repo.records.entry(collection.clone()).or_default();
    let known = records.get(&rkey).map(|record| record.cid.clone());
    if known.is_none() {
        return Ok(json!({}));
    }
    check_swap(call, known.as_deref())?;
    if let Some(record) = records.remove(&rkey) {
        release(repo, &record.blobs);
    }
    repo.rev.clone_from(&rev);
    let uri = format!("at://{}/{collection}/{rkey}", session.did);
    world.ledger.vanish(Network::Bluesky, &uri, call.now);
    Ok(json!({ "commit": commit(&rev) }))
}

/// A blob that no record refers to any more is gone: posting it again needs a new upload.
fn release(repo: &mut Repo, blobs: &[String]) {
    for cid in blobs {
        if let Some(held) = repo.blobs.get_mut(cid) {
            held.uses = held.uses.saturating_sub(1);
            if held.uses == 0 {
                repo.blobs.remove(cid);
            }
        }
    }
}

fn own_repo(state: &State, call: &Call, session: &Session) -> Result<(), Answer> {
    let named = required(call, "repo")?;
    match account_of(state, &named) {
        Some(account) if account == session.account => Ok(()),
        Some(_) => Err(error(401, "AuthenticationRequired", "Authentication Required")),
        None => Err(error(403, "AccountNotFound", "Account not found")),
    }
}

/// `swapRecord` names the CID that must be there, or `null` for none.
fn check_swap(call: &Call, known: Option<&str>) -> Result<(), Answer> {
    match call.json.as_ref().and_then(|body| body.get("swapRecord")) {
        None => Ok(()),
        Some(swap) if swap.as_str() == known => Ok(()),
        Some(_) => {
            let at = known.unwrap_or("null");
            Err(error(400, "InvalidSwap", &format!("Record was at {at}")))
        }
    }
}

fn is_record_key(key: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_~.:-".contains(&b);
    (1..=512).contains(&key.len()) && key != "." && key != ".." && key.bytes().all(allowed)
}

/// The pictures and the link card of a record, as followers see them.
fn shown_media(repo: &Repo, record: &Value) -> Vec<LedgerMedia> {
    let embed = &record["embed"];
    let embed = if embed["media"].is_object() { &embed["media"] } else { embed };
    let held = |blob: &Value| {
        blob.pointer("/ref/$link").and_then(Value::as_str).and_then(|cid| repo.blobs.get(cid))
    };
    let alt = |value: &Value| value["alt"].as_str().unwrap_or_default().to_owned();
    let mut media = Vec::new();
    for image in embed["images"].as_array().into_iter().flatten() {
        media.extend(held(&image["image"]).map(|held| held.blob.in_ledger(&alt(image))));
    }
    media.extend(held(&embed["video"]).map(|held| held.blob.in_ledger(&alt(embed))));
    if let (Some(uri), Some(title)) =
        (embed["external"]["uri"].as_str(), embed["external"]["title"].as_str())
    {
        media.push(LedgerMedia::link(uri, title));
    }
    media
}

// Reading

/// The DID that a caller means; any handle under `.test` exists.
fn named_repo(state: &mut State, call: &Call) -> Result<String, Answer> {
    let named = call.text("repo");
    let named = named.ok_or_else(|| invalid("Params must have the property \"repo\""))?;
    let account = account_of(state, &named);
    let account = account.ok_or_else(|| match nsid(call) {
        "com.atproto.repo.getRecord" => invalid("Could not locate record"),
        _ => invalid(&format!("Could not find repo: {named}")),
    })?;
    state.repo(&account);
    Ok(did_of(&account))
}

fn describe_repo(world: &World, call: &Call) -> Result<Value, Answer> {
    let mut state = lock(&world.states.bluesky);
    let did = named_repo(&mut state, call)?;
    let repo = &state.repos[&did];
    Ok(json!({
        "handle": handle(&repo.account),
        "did": did,
        "didDoc": did_doc(call, &repo.account),
        "collections": repo.records.keys().collect::<Vec<_>>(),
        "handleIsCorrect": true,
    }))
}

fn get_record(world: &World, call: &Call) -> Result<Value, Answer> {
    let mut state = lock(&world.states.bluesky);
    let did = named_repo(&mut state, call)?;
    let collection = call.text("collection").unwrap_or_default();
    let rkey = call.text("rkey").unwrap_or_default();
    let uri = format!("at://{did}/{collection}/{rkey}");
    let record = state.repos[&did].records.get(&collection).and_then(|c| c.get(&rkey));
    let record = record.filter(|record| call.text("cid").is_none_or(|cid| cid == record.cid));
    let record = record
        .ok_or_else(|| error(400, "RecordNotFound", &format!("Could not locate record: {uri}")))?;
    Ok(json!({ "uri": uri, "cid": record.cid, "value": record.value }))
}

fn list_records(world: &World, call: &Call) -> Result<Value, Answer> {
    let limit = call.text("limit").map_or(Ok(50), |limit| limit.parse::<usize>());
    let limit = limit.ok().filter(|limit| (1..=100).contains(limit));
    let limit = limit.ok_or_else(|| invalid("limit must be an integer from 1 to 100"))?;
    let mut state = lock(&world.states.bluesky);
    let did = named_repo(&mut state, call)?;
    let collection = call.text("collection").unwrap_or_default();
    let shown = |(rkey, record): (&String, &Record)| {
        json!({
            "uri": format!("at://{did}/{collection}/{rkey}"),
            "cid": record.cid,
            "value": record.value,
        })
    };
    use std::ops::Bound::{Excluded, Unbounded};
    let cursor = call.text("cursor");
    let mut last = None;
    let mut records = Vec::new();
    if let Some(all) = state.repos[&did].records.get(&collection) {
        // Newest first; `reverse` starts with the oldest.
        if call.flag("reverse") == Some(true) {
            let from = cursor.map_or(Unbounded, Excluded);
            for entry in all.range::<String, _>((from, Unbounded)).take(limit) {
                last = Some(entry.0.clone());
                records.push(shown(entry));
            }
        } else {
            let to = cursor.map_or(Unbounded, Excluded);
            for entry in all.range::<String, _>((Unbounded, to)).rev().take(limit) {
                last = Some(entry.0.clone());
                records.push(shown(entry));
            }
        }
    }
    let mut body = json!({ "records": records });
    if let Some(last) = last.filter(|_| records.len() == limit) {
        body["cursor"] = json!(last);
    }
    Ok(body)
}

fn get_posts(world: &World, call: &Call) -> Result<Value, Answer> {
    if authorized(world, call)?.account == "bare" {
        return Err(invalid("No service configured for app.bsky.feed.getPosts"));
    }
    let asked = call.query.iter().filter(|(name, _)| name == "uris" || name == "uris[]");
    let uris: Vec<&str> = asked.map(|(_, uri)| uri.as_str()).collect();
    if uris.is_empty() || uris.len() > 25 {
        return Err(invalid("uris must have 1 to 25 entries"));
    }
    let state = lock(&world.states.bluesky);
    let posts = uris.into_iter().filter_map(|uri| {
        let mut parts = uri.strip_prefix("at://")?.splitn(3, '/');
        let (did, collection, rkey) = (parts.next()?, parts.next()?, parts.next()?);
        let repo = state.repos.get(did)?;
        let record = repo.records.get(collection)?.get(rkey)?;
        let told = world.numbers(Network::Bluesky, uri);
        Some(json!({
            "uri": uri,
            "cid": record.cid,
            "author": { "did": did, "handle": handle(&repo.account) },
            "record": record.value,
            "replyCount": told.comments,
            "repostCount": told.reposts(),
            "likeCount": told.likes,
            "quoteCount": told.quotes(),
            "bookmarkCount": told.saves,
            "indexedAt": iso(record.at),
            "labels": [],
        }))
    });
    Ok(json!({ "posts": posts.collect::<Vec<_>>() }))
}

fn get_profile(world: &World, call: &Call) -> Result<Value, Answer> {
    let named = call.text("actor").unwrap_or_default();
    let mut state = lock(&world.states.bluesky);
    let account = account_of(&state, &named).ok_or_else(|| invalid("Profile not found"))?;
    let repo = state.repo(&account);
    Ok(json!({
        "did": did_of(&account),
        "handle": handle(&account),
        "displayName": account,
        "followersCount": 0,
        "followsCount": 0,
        "postsCount": repo.records.get(POST).map_or(0, BTreeMap::len),
        "indexedAt": iso(call.now),
        "labels": [],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_the_networks_form_and_stable() {
        let did = did_of("alice");
        assert_eq!(did.len(), "did:plc:".len() + 24);
        assert_eq!(did, did_of("alice"));
        assert_ne!(did, did_of("bob"));
        assert_eq!(tid(0), "2222222222222");
        assert!(tid(1_795_000_000_000_000) < tid(1_795_000_000_000_001));
        let mut state = State::default();
        let (one, two) = (state.tid(5), state.tid(5));
        assert!(one < two && one.len() == 13);
    }

    #[test]
    fn record_keys_are_checked() {
        for good in ["3jui7kd54zh2y", "self", "a.b:c~d-e_f"] {
            assert!(is_record_key(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "é", &"x".repeat(513)] {
            assert!(!is_record_key(bad), "{bad}");
        }
    }
}
