//! Google Business Profile: local posts of the My Business API v4.9, places and accounts of the
//! Business Profile APIs v1; checked 2026-11-22.
//!
//! Keys: a project at console.cloud.google.com that Google has let in (an application; until then
//! its quota is 0), with the My Business APIs switched on and an OAuth client. Google fetches the
//! one photo from a public address of ours.
//!
//! There is no key and no first phase, so the class is readable: after a lost answer the place's
//! own posts are listed and compared. An answer that did come names the post, in `PROCESSING` more
//! often than not, and Google can still reject it without a reason; so `publish` answers that it is
//! processing and `poll` reads that post until it is live or rejected. The class says what is
//! possible without an answer, a name says more. What a look-up finds counts as ours in any state
//! but `REJECTED`: Google has taken it, and another of it would be a double.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::quote;
use crate::google::{self, Said, title_and_text};
use crate::http::Reply;
use crate::oauth::{Life, OAuth, Target};
use crate::spec::{
    Abilities, Budget, Choice, Count, Derivative, Edit, Field, Kind, MediaRule, Pick, Placement,
    Text,
};
use crate::text::normalise;
use crate::{
    Action, Class, Context, Error, Identity, Network, Polled, Prepared, Published, Remote,
    Rendition, SendClass, Spec, Window,
};

pub struct Gbp;

const ACCOUNTS: &str = "https://mybusinessaccountmanagement.googleapis.com/v1/accounts";
const PLACES: &str = "https://mybusinessbusinessinformation.googleapis.com/v1";
const VERIFICATIONS: &str = "https://mybusinessverifications.googleapis.com/v1";

/// Listings show a post at once; this is for the day on which they do not.
const READABLE: SendClass = SendClass::Readable { lag: Duration::from_secs(60) };

const TEXT: Text = Text {
    max: 1_500,
    count: Count::Chars,
    max_bytes: None,
    max_with_media: None,
    question_max: None,
    max_hashtags: None,
    max_mentions: None,
    title_max: None,
    required: true,
};

/// Events and offers have a title; their details can be left out.
const TITLED: Text = Text { title_max: Some(TITLE), required: false, ..TEXT };
const TITLE: usize = 58;

const PHOTO: MediaRule = MediaRule {
    min: 0,
    max: 1,
    types: &["image/jpeg", "image/png"],
    max_bytes: 5 << 20,
    ratio: None,
    derivative: Derivative::Original,
    pull: true,
    alt_max: 0,
    video: None,
};

const START: Choice = Choice {
    key: "start",
    label: "Begins",
    help: "The first day, or the minute it begins, by the clock at the place.",
    required: true,
    kind: Kind::LocalTime,
};

const END: Choice = Choice {
    key: "end",
    label: "Ends",
    help: "The last day, or the minute it ends, by the clock at the place.",
    required: true,
    kind: Kind::LocalTime,
};

const BUTTON: Choice = Choice {
    key: "button",
    label: "Button",
    help: "What the button below the post says; without it there is none.",
    required: false,
    kind: Kind::OneOf {
        picks: &[
            Pick { value: "LEARN_MORE", label: "Learn more" },
            Pick { value: "BOOK", label: "Book" },
            Pick { value: "ORDER", label: "Order online" },
            Pick { value: "SHOP", label: "Buy" },
            Pick { value: "SIGN_UP", label: "Sign up" },
            Pick { value: "CALL", label: "Call now" },
        ],
    },
};

const BUTTON_LINK: Choice = Choice {
    key: "buttonLink",
    label: "Where the button leads",
    help: "Every button but “Call now” needs it; that one calls the place's own number.",
    required: false,
    kind: Kind::Link,
};

pub static SPEC: Spec = Spec {
    id: "gbp",
    name: "Google Business Profile",
    code: "GB",
    base_url: "https://mybusiness.googleapis.com",
    fields: &[
        Field {
            key: "location",
            label: "Place",
            help: "Account and place as Google numbers them, for example accounts/12/locations/34.",
            secret: false,
            required: true,
        },
        google::ACCESS,
        google::REFRESH,
    ],
    placements: &[
        Placement {
            id: "standard",
            name: "Update",
            send: READABLE,
            follows: &[],
            in_budget: true,
            edit: Edit::Text,
            measures: &[],
            text: TEXT,
            media: PHOTO,
            options: &[BUTTON, BUTTON_LINK],
        },
        Placement {
            id: "event",
            name: "Event",
            send: READABLE,
            follows: &[],
            in_budget: true,
            edit: Edit::TitleAndText,
            measures: &[],
            text: TITLED,
            media: PHOTO,
            options: &[START, END, BUTTON, BUTTON_LINK],
        },
        Placement {
            id: "offer",
            name: "Offer",
            send: READABLE,
            follows: &[],
            in_budget: true,
            edit: Edit::TitleAndText,
            measures: &[],
            text: TITLED,
            media: PHOTO,
            options: &[
                START,
                END,
                Choice {
                    key: "coupon",
                    label: "Coupon code",
                    help: "What a customer says or enters; without it there is none.",
                    required: false,
                    kind: Kind::Line { max: 58 },
                },
                Choice {
                    key: "redeemLink",
                    label: "Where to redeem it",
                    help: "The page of the offer; without it the offer holds at the place only.",
                    required: false,
                    kind: Kind::Link,
                },
                Choice {
                    key: "terms",
                    label: "Terms and conditions",
                    help: "What a customer has to know; without it nothing is said.",
                    required: false,
                    kind: Kind::Line { max: 1_500 },
                },
            ],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: false },
    oauth: Some(google::oauth(
        &["https://www.googleapis.com/auth/business.manage"],
        &[
            "Ask Google for access to the Business Profile APIs: it takes days, and a profile that \
             has been verified for two months.",
            "At console.cloud.google.com switch on the “Google My Business API” and the three “My \
             Business” APIs for account management, business information and verifications.",
            "Publish the consent screen: while it is in testing every connection ends after a week.",
            "Make an OAuth client of the type “Web application” with this installation's address \
             for redirects, and enter its id and secret.",
        ],
    )),
    life: Life::Rotating,
    // Edits of one place; it cannot be raised.
    budgets: &[Budget { posts: 10, per: Duration::from_secs(60), of: &[] }],
};

/// Most pages of 100 posts that a look-up reads before it says that it cannot tell.
const MAX_PAGES: usize = 5;
/// Most pages of accounts, and of the places of one.
const MAX_LISTS: usize = 10;
/// Most places whose reason not to be eligible is asked for, one by one.
const MAX_REASONS: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    name: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    topic_type: String,
    create_time: Option<jiff::Timestamp>,
    search_url: Option<String>,
    event: Option<Event>,
    #[serde(default)]
    media: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    title: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Posts {
    #[serde(default)]
    local_posts: Vec<Post>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accounts {
    #[serde(default)]
    accounts: Vec<Owner>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Owner {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Places {
    #[serde(default)]
    locations: Vec<Place>,
    next_page_token: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Place {
    name: String,
    title: String,
    store_code: Option<String>,
    storefront_address: Address,
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Address {
    locality: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    /// Left out where it is false.
    has_voice_of_merchant: bool,
    /// No longer filled in; what it says where it still is counts.
    can_operate_local_post: Option<bool>,
    maps_uri: Option<String>,
}

/// Why a place cannot speak for itself, one of its fields at a time.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Voice {
    has_voice_of_merchant: bool,
    verify: Option<Verify>,
    comply_with_guidelines: Option<Comply>,
    resolve_ownership_conflict: Option<serde::de::IgnoredAny>,
    wait_for_voice_of_merchant: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Verify {
    has_pending_verification: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Comply {
    recommendation_reason: String,
}

#[async_trait]
impl Network for Gbp {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    /// The place can be read with rights that posting lacks, so its posts are read as well.
    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let location = location(cx)?;
        let number = location.rsplit('/').next().unwrap_or_default();
        let at = at(cx, &format!("{PLACES}/locations/{number}"));
        let request = cx.http.get(&at).query(&[("readMask", "name,title,metadata")]);
        let place: Place = google::call(cx, self, request).await?;
        if let Some(problem) = self.problem(cx, number, &place.metadata).await? {
            return Err(Error::new(Class::Config, problem)
                .code("not_eligible")
                .action(Action::ActAtNetwork));
        }
        let url = format!("{}/v4/{location}/localPosts", cx.base);
        let _: Posts =
            google::call(cx, self, cx.http.get(&url).query(&[("pageSize", "1")])).await?;
        let page = place.metadata.maps_uri.map(|uri| ("mapsUrl".to_owned(), uri));
        Ok(Identity {
            remote_id: location.to_owned(),
            name: if place.title.is_empty() { location.to_owned() } else { place.title },
            settings: page.into_iter().collect(),
        })
    }

    /// Nothing to upload: what can be said of the post is said before its time.
    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        location(cx)?;
        body(out)?;
        if cx.saved("post").is_some() {
            // Of an earlier try, whose post is known not to be there.
            cx.checkpoint("post", Value::Null).await?;
        }
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let url = format!("{}/v4/{}/localPosts", cx.base, location(cx)?);
        let request = cx.http.post(&url).json(&body(out)?);
        let post: Post = google::call(cx, self, request).await?;
        match post.state.as_str() {
            "LIVE" => Ok(Published::Accepted(remote(cx, post))),
            "REJECTED" => Err(rejected()),
            _ => {
                let handle = json!({ "name": post.name, "at": cx.now });
                match cx.checkpoint("post", handle).await {
                    Ok(()) => Ok(Published::Processing { again_in: patience(0) }),
                    // It is out, whatever became of our own memory.
                    Err(_) => Ok(Published::Accepted(remote(cx, post))),
                }
            }
        }
    }

    async fn poll(&self, cx: &Context<'_>, _: &Rendition) -> Result<Polled, Error> {
        let Some((name, since)) = held(cx) else {
            let why = "The name of the post was not kept.";
            return Err(Error::new(Class::Transient, why).code("no_handle"));
        };
        let reply = google::send(cx, cx.http.get(&format!("{}/v4/{name}", cx.base))).await?;
        if reply.status.as_u16() == 404 {
            let why = "Google took the post down while it was looking at it.";
            return Ok(Polled::Gone(Error::new(Class::Policy, why).code("removed")));
        }
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        let post: Post = reply.json()?;
        Ok(match post.state.as_str() {
            "LIVE" => Polled::Published(remote(cx, post)),
            "REJECTED" => Polled::Gone(rejected()),
            _ => Polled::Processing { again_in: patience(cx.now - since) },
        })
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        let url = format!("{}/v4/{}/localPosts", cx.base, location(cx)?);
        let wanted = Wanted::of(out, window);
        let (mut found, mut refused, mut after) = (Vec::new(), false, None::<String>);
        for _ in 0..MAX_PAGES {
            let mut request = cx.http.get(&url).query(&[("pageSize", "100")]);
            if let Some(token) = &after {
                request = request.query(&[("pageToken", token)]);
            }
            let page: Posts = google::call(cx, self, request).await?;
            // Newest first, though no document says so: a page has to be older as a whole.
            let old =
                |post: &Post| post.create_time.is_some_and(|at| at.as_millisecond() < window.since);
            let enough = !page.local_posts.is_empty() && page.local_posts.iter().all(old);
            for post in page.local_posts.into_iter().filter(|post| wanted.is(post)) {
                match post.state.as_str() {
                    "REJECTED" => refused = true,
                    _ => found.push(remote(cx, post)),
                }
            }
            after = page.next_page_token.filter(|token| !token.is_empty());
            if enough || after.is_none() {
                // No proof that it is not there: Google had it and may still show it elsewhere.
                return if found.is_empty() && refused { Err(rejected()) } else { Ok(found) };
            }
        }
        let why = "The place has had too many posts since then to look through.";
        Err(Error::new(Class::Transient, why).code("too_many_pages").action(Action::Look))
    }

    /// Google looks at the new text as at a new post's; until then the post stays.
    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        known(remote_id)?;
        let body = body(&Rendition { media: Vec::new(), ..out.clone() })?;
        let mask = if out.placement == "standard" { "summary" } else { "summary,event" };
        let change: serde_json::Map<String, Value> = mask
            .split(',')
            .map(|part| (part.to_owned(), body.get(part).cloned().unwrap_or_default()))
            .collect();
        let request = cx.http.patch(&format!("{}/v4/{remote_id}", cx.base));
        let request = request.query(&[("updateMask", mask)]).json(&change);
        let post = google::call::<Post>(cx, self, request).await.map_err(|e| match e.status {
            Some(404) => e.becomes(Class::Content, "Google does not have this post any more."),
            _ => e,
        })?;
        match post.state.as_str() {
            "REJECTED" => Err(rejected()),
            _ => Ok(Published::Accepted(remote(cx, post))),
        }
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        known(remote_id)?;
        let reply =
            google::send(cx, cx.http.delete(&format!("{}/v4/{remote_id}", cx.base))).await?;
        let gone = reply.status.as_u16() == 404;
        if reply.ok() || gone { Ok(()) } else { Err(self.parse_error(&reply)) }
    }

    async fn targets(&self, cx: &Context<'_>) -> Result<Vec<Target>, Error> {
        // By number: a place can be reached by its owner's account and by a group's.
        let (mut targets, mut asked) = (BTreeMap::new(), 0);
        for owner in self.owners(cx).await? {
            for place in self.places(cx, &owner).await? {
                let number = place.name.rsplit('/').next().unwrap_or_default().to_owned();
                let id = format!("{}/locations/{number}", owner.name);
                if !is_name(&id, &["accounts", "locations"]) || targets.contains_key(&number) {
                    continue;
                }
                let problem = if place.metadata.has_voice_of_merchant || asked < MAX_REASONS {
                    asked += usize::from(!place.metadata.has_voice_of_merchant);
                    self.problem(cx, &number, &place.metadata).await?
                } else {
                    Some(UNHEARD.to_owned())
                };
                let target = Target {
                    name: shown(&place, &number),
                    problem,
                    settings: BTreeMap::from([("location".to_owned(), id.clone())]),
                    secrets: BTreeMap::new(),
                    id,
                };
                targets.insert(number, target);
            }
        }
        let mut targets: Vec<Target> = targets.into_values().collect();
        targets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(targets)
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let said = Said::of(reply);
        let (error, settled) = said.error(reply, SPEC.name);
        if settled {
            return error;
        }
        let words = if said.words.is_empty() { "no reason given" } else { said.words.as_str() };
        match (reply.status.as_u16(), said.status.as_str()) {
            (_, "ABORTED") | (409, _) => {
                error.becomes(Class::Transient, "Google works on another change of this place.")
            }
            (403, _) => {
                let why = "This Google account may no longer post for this place.";
                error.becomes(Class::Auth, why)
            }
            // Of the place, not of the post: every other post would fail as well.
            (404, _) => error.becomes(Class::Config, "Google does not know this place any more."),
            (_, "FAILED_PRECONDITION") => error
                .becomes(Class::Content, format!("Google takes no posts for this place: {words}."))
                .action(Action::ActAtNetwork),
            (400..=499, _) => {
                error.becomes(Class::Content, format!("Google refuses the post: {words}."))
            }
            _ => error,
        }
    }
}

const UNHEARD: &str = "Google does not let this place speak for itself yet.";

impl Gbp {
    async fn owners(&self, cx: &Context<'_>) -> Result<Vec<Owner>, Error> {
        let (mut all, mut after) = (Vec::new(), None::<String>);
        for _ in 0..MAX_LISTS {
            let mut request = cx.http.get(&at(cx, ACCOUNTS)).query(&[("pageSize", "20")]);
            if let Some(token) = &after {
                request = request.query(&[("pageToken", token)]);
            }
            let page: Accounts = google::call(cx, self, request).await?;
            all.extend(page.accounts.into_iter().filter(|a| is_name(&a.name, &["accounts"])));
            after = page.next_page_token.filter(|token| !token.is_empty());
            if after.is_none() {
                break;
            }
        }
        Ok(all)
    }

    async fn places(&self, cx: &Context<'_>, owner: &Owner) -> Result<Vec<Place>, Error> {
        let url = at(cx, &format!("{PLACES}/{}/locations", owner.name));
        let (mut all, mut after) = (Vec::new(), None::<String>);
        for _ in 0..MAX_LISTS {
            let mask = "name,title,storeCode,storefrontAddress,metadata";
            let mut request = cx.http.get(&url).query(&[("readMask", mask), ("pageSize", "100")]);
            if let Some(token) = &after {
                request = request.query(&[("pageToken", token)]);
            }
            let page: Places = google::call(cx, self, request).await?;
            all.extend(page.locations);
            after = page.next_page_token.filter(|token| !token.is_empty());
            if after.is_none() {
                break;
            }
        }
        Ok(all)
    }

    /// Why nothing can be posted for a place.
    async fn problem(
        &self,
        cx: &Context<'_>,
        number: &str,
        known: &Metadata,
    ) -> Result<Option<String>, Error> {
        let voice = if known.has_voice_of_merchant {
            None
        } else {
            let url = format!("{VERIFICATIONS}/locations/{number}/VoiceOfMerchantState");
            Some(google::call::<Voice>(cx, self, cx.http.get(&at(cx, &url))).await?)
        };
        Ok(problem(known, voice.as_ref()).map(str::to_owned))
    }
}

fn problem(known: &Metadata, voice: Option<&Voice>) -> Option<&'static str> {
    if known.can_operate_local_post == Some(false) {
        return Some("Google allows no posts for this place.");
    }
    let voice = voice.filter(|voice| !voice.has_voice_of_merchant)?;
    Some(match voice {
        Voice { comply_with_guidelines: Some(comply), .. } => {
            match comply.recommendation_reason.as_str() {
                "BUSINESS_LOCATION_DISABLED" => "Google has switched this place off.",
                _ => "Google has suspended this place.",
            }
        }
        Voice { resolve_ownership_conflict: Some(_), .. } => {
            "Somebody else owns this place at Google."
        }
        Voice { verify: Some(verify), .. } if verify.has_pending_verification => {
            "Google is still verifying this place."
        }
        Voice { verify: Some(_), .. } => "This place is not verified at Google.",
        Voice { wait_for_voice_of_merchant: Some(_), .. } => {
            "Google is still looking at what was changed of this place."
        }
        _ => UNHEARD,
    })
}

/// The address of another of Google's hosts.
fn at(cx: &Context<'_>, address: &str) -> String {
    OAuth::at(address, cx.base, SPEC.base_url)
}

/// The connection's `accounts/1/locations/2`.
fn location<'a>(cx: &'a Context<'_>) -> Result<&'a str, Error> {
    let location = cx.account.setting("location")?;
    if is_name(location, &["accounts", "locations"]) {
        return Ok(location);
    }
    let why = "The place must be written like accounts/12/locations/34.";
    Err(Error::new(Class::Config, why).code("bad_location"))
}

/// Is it `{kind}/{id}` for each kind in turn?
fn is_name(name: &str, kinds: &[&str]) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let is_id = |id: &str| {
        (1..=200).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    parts.len() == kinds.len() * 2
        && parts.chunks(2).zip(kinds).all(|(pair, kind)| pair[0] == *kind && is_id(pair[1]))
}

fn known(remote_id: &str) -> Result<(), Error> {
    if is_name(remote_id, &["accounts", "locations", "localPosts"]) {
        return Ok(());
    }
    Err(Error::new(Class::Content, "This is not the name of a post at Google."))
}

/// `Bakery (Leipzig)`
fn shown(place: &Place, number: &str) -> String {
    let title = if place.title.is_empty() { number } else { &place.title };
    let which = place.storefront_address.locality.as_ref().or(place.store_code.as_ref());
    match which.map(|which| quote(which)).filter(|which| !which.is_empty()) {
        Some(which) => format!("{title} ({which})"),
        None => title.to_owned(),
    }
}

/// The saved post: its name, and since when it is there.
fn held(cx: &Context<'_>) -> Option<(String, i64)> {
    let saved = cx.saved("post")?;
    let name =
        saved["name"].as_str().filter(|n| is_name(n, &["accounts", "locations", "localPosts"]));
    Some((name?.to_owned(), saved["at"].as_i64()?))
}

fn remote(cx: &Context<'_>, post: Post) -> Remote {
    let page = || cx.account.setting("mapsUrl").ok().map(str::to_owned);
    Remote { url: post.search_url.filter(|url| !url.is_empty()).or_else(page), id: post.name }
}

/// Most posts are live within seconds; some are looked at for an hour and more.
fn patience(age: i64) -> Duration {
    Duration::from_secs(match age {
        ..60_000 => 15,
        60_000..600_000 => 60,
        600_000..3_600_000 => 300,
        _ => 3_600,
    })
}

fn rejected() -> Error {
    let why = "Google rejected the post and does not say why: phone numbers, prices of regulated \
               goods and pictures with much text are the usual reasons.";
    Error::new(Class::Policy, why).code("REJECTED").action(Action::EditPost)
}

/// What a post of ours is recognised by.
struct Wanted {
    topic: &'static str,
    title: String,
    text: String,
    media: usize,
    window: Window,
}

impl Wanted {
    fn of(out: &Rendition, window: Window) -> Self {
        let (topic, title, text) = parts(out);
        let (title, text) = (normalise(&title), normalise(&text));
        Self { topic, title, text, media: out.media.len(), window }
    }

    fn is(&self, post: &Post) -> bool {
        let title = post.event.as_ref().map_or("", |event| event.title.as_str());
        let times = self.window.since..=self.window.until;
        post.create_time.is_some_and(|at| times.contains(&at.as_millisecond()))
            && post.topic_type == self.topic
            && post.media.len() == self.media
            && normalise(&post.summary) == self.text
            && normalise(title) == self.title
    }
}

/// Kind, title and text of the post.
fn parts(out: &Rendition) -> (&'static str, String, String) {
    let topic = match out.placement.as_str() {
        "event" => "EVENT",
        "offer" => "OFFER",
        _ => return ("STANDARD", String::new(), out.text.trim().to_owned()),
    };
    let (title, text) = title_and_text(out, TITLE);
    (topic, title, text)
}

/// The post as it is created; an error is of its content.
fn body(out: &Rendition) -> Result<Value, Error> {
    let content = |says: &str, code: &str| Err(Error::new(Class::Content, says).code(code));
    let (topic, title, text) = parts(out);
    let mut body = json!({ "topicType": topic });
    if !text.is_empty() {
        body["summary"] = json!(text);
    }
    if topic != "STANDARD" {
        if title.is_empty() {
            return content("Google needs a title for an event or an offer.", "no_title");
        }
        let (start, end) = (moment(out, "start")?, moment(out, "end")?);
        if end.is_before(&start) {
            return content("The end is before the beginning.", "bad_dates");
        }
        let mut schedule = json!({ "startDate": start.date(), "endDate": end.date() });
        for (key, time) in [("startTime", start.time()), ("endTime", end.time())] {
            if let Some(time) = time {
                schedule[key] = time;
            }
        }
        body["event"] = json!({ "title": title, "schedule": schedule });
    }
    if topic == "OFFER" {
        let all = [
            ("couponCode", "coupon"),
            ("redeemOnlineUrl", "redeemLink"),
            ("termsConditions", "terms"),
        ];
        let answered = all.iter().filter_map(|(key, option)| Some((*key, out.option(option)?)));
        let offer: BTreeMap<_, _> = answered.collect();
        if !offer.is_empty() {
            body["offer"] = json!(offer);
        }
    } else if let Some(button) = out.option("button") {
        body["callToAction"] = match (button, out.option("buttonLink")) {
            ("CALL", _) => json!({ "actionType": "CALL" }),
            (button, Some(url)) => json!({ "actionType": button, "url": url }),
            (_, None) => {
                return content("The button needs an address to lead to.", "no_button_link");
            }
        };
    }
    match out.media.as_slice() {
        [] => {}
        [photo] if photo.url.is_empty() => {
            let why =
                "Google fetches photos from a public address, and this installation has none.";
            return Err(Error::new(Class::Config, why)
                .code("no_public_address")
                .action(Action::AskOperator));
        }
        [photo] => {
            body["media"] = json!([{ "mediaFormat": "PHOTO", "sourceUrl": photo.url }]);
        }
        _ => return content("Google takes one photo a post.", "too_many_photos"),
    }
    Ok(body)
}

/// A day, or a minute of it, by no clock in particular.
struct Moment(jiff::civil::Date, Option<jiff::civil::Time>);

impl Moment {
    /// A day without a minute is all of it.
    fn is_before(&self, other: &Self) -> bool {
        let earlier = self.1.zip(other.1).is_some_and(|(own, other)| own < other);
        self.0 < other.0 || (self.0 == other.0 && earlier)
    }

    fn date(&self) -> Value {
        json!({ "year": self.0.year(), "month": self.0.month(), "day": self.0.day() })
    }

    fn time(&self) -> Option<Value> {
        self.1.map(|time| json!({ "hours": time.hour(), "minutes": time.minute() }))
    }
}

fn moment(out: &Rendition, key: &str) -> Result<Moment, Error> {
    let content = |says: String| Error::new(Class::Content, says).code("bad_dates");
    let answer = out.option(key).ok_or_else(|| {
        content(format!("Google needs the option `{key}` for this kind of post."))
    })?;
    let (day, time) = match answer.split_once('T') {
        Some((day, time)) => (day, Some(time.parse())),
        None => (answer, None),
    };
    match (day.parse(), time.transpose()) {
        // A date's own parser would take more than a date.
        (Ok(date), Ok(time)) if day.len() == 10 => Ok(Moment(date, time)),
        _ => Err(content(format!(
            "The option `{key}` is no day like 2026-12-24 or 2026-12-24T18:30."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(placement: &str, extra: &[(&str, &str)]) -> Rendition {
        let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        Rendition {
            placement: placement.to_owned(),
            text: "Open house\nCome in".to_owned(),
            extra: extra.iter().map(own).collect(),
            ..Rendition::default()
        }
    }

    #[test]
    fn an_event_has_days_and_minutes() {
        let event = out("event", &[("start", "2026-12-24"), ("end", "2026-12-24T18:30")]);
        let expected = json!({
            "topicType": "EVENT",
            "summary": "Come in",
            "event": {
                "title": "Open house",
                "schedule": {
                    "startDate": { "year": 2026, "month": 12, "day": 24 },
                    "endDate": { "year": 2026, "month": 12, "day": 24 },
                    "endTime": { "hours": 18, "minutes": 30 },
                },
            },
        });
        assert_eq!(body(&event).unwrap(), expected);
        let all_day = [("start", "2026-12-24T18:30"), ("end", "2026-12-24")];
        assert!(body(&out("event", &all_day)).is_ok(), "it ends with the day");
        for (start, end) in [
            ("2026-12-24", ""),
            ("", "2026-12-24"),
            ("2026-12-25", "2026-12-24"),
            ("2026-12-24T18:31", "2026-12-24T18:30"),
            ("2026-02-30", "2026-12-24"),
            ("tomorrow", "2026-12-24"),
            ("2026-12-24T", "2026-12-25"),
            ("2026-12-24T25:00", "2026-12-25"),
            ("2026-12-24 18:30", "2026-12-25"),
        ] {
            let error = body(&out("event", &[("start", start), ("end", end)])).unwrap_err();
            assert_eq!((error.class, error.code.as_deref()), (Class::Content, Some("bad_dates")));
        }
    }

    #[test]
    fn a_button_leads_somewhere_or_calls() {
        let button = |extra: &[(&str, &str)]| body(&out("standard", extra));
        let call = button(&[("button", "CALL"), ("buttonLink", "https://a.example")]).unwrap();
        assert_eq!(call["callToAction"], json!({ "actionType": "CALL" }));
        let book = button(&[("button", "BOOK"), ("buttonLink", "https://a.example")]).unwrap();
        assert_eq!(book["callToAction"]["url"], "https://a.example");
        assert_eq!(button(&[("button", "BOOK")]).unwrap_err().class, Class::Content);
        assert!(button(&[("button", " ")]).unwrap().get("callToAction").is_none());
    }

    #[test]
    fn a_place_that_cannot_post_says_why() {
        let says = |known: &str, voice: &str| {
            let known: Metadata = serde_json::from_str(known).unwrap();
            let voice: Voice = serde_json::from_str(voice).unwrap();
            problem(&known, Some(&voice))
        };
        assert_eq!(says("{}", r#"{"hasVoiceOfMerchant":true}"#), None);
        for (known, voice, word) in [
            (r#"{"canOperateLocalPost":false}"#, r#"{"hasVoiceOfMerchant":true}"#, "no posts"),
            ("{}", r#"{"verify":{}}"#, "not verified"),
            ("{}", r#"{"verify":{"hasPendingVerification":true}}"#, "still verifying"),
            (
                "{}",
                r#"{"complyWithGuidelines":{"recommendationReason":"BUSINESS_LOCATION_SUSPENDED"}}"#,
                "suspended",
            ),
            (
                "{}",
                r#"{"complyWithGuidelines":{"recommendationReason":"BUSINESS_LOCATION_DISABLED"}}"#,
                "switched",
            ),
            ("{}", r#"{"resolveOwnershipConflict":{}}"#, "Somebody else"),
            ("{}", r#"{"waitForVoiceOfMerchant":{}}"#, "still looking"),
            ("{}", "{}", "speak for itself"),
        ] {
            let problem = says(known, voice).unwrap();
            assert!(problem.contains(word) && problem.ends_with('.'), "{problem}");
        }
    }

    #[test]
    fn only_names_of_the_right_form_go_into_a_path() {
        assert!(is_name("accounts/12/locations/34", &["accounts", "locations"]));
        for bad in [
            "",
            "accounts/1",
            "accounts//locations/2",
            "accounts/1/locations/2/x",
            "accounts/../locations/2",
            "accounts/1?x/locations/2",
            "locations/1/accounts/2",
        ] {
            assert!(!is_name(bad, &["accounts", "locations"]), "{bad}");
        }
    }
}
