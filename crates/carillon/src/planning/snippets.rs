//! What a workspace writes with again and again: templates, sets of hashtags, UTM presets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::App;
use crate::db::{Error, Tx};
use crate::domain::refusal::{Refusal, Wrong};
pub use crate::domain::snippet::SnippetKind as Kind;
use crate::domain::when;
use crate::ids;
use crate::publishing::tagging;
use crate::publishing::view::known_id;
use crate::store::snippets::{self, Snippet};
use crate::store::{self, accounts, audit, connections, events};

/// Most of one workspace.
const MOST: i64 = 1_000;
const MOST_NAME: usize = 80;
const MOST_TEXT: usize = 20_000;
const MOST_TAGS: usize = 100;
const MOST_VALUE: usize = 200;
/// What a UTM preset's values can name.
const FILLED: [&str; 3] = ["network", "connection", "date"];

/// A text to begin with. `{names}` in it are for whoever writes the post to fill in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Template {
    #[schema(example = "{band} plays on {day}. Doors open at seven.")]
    pub text: String,
    pub title: Option<String>,
    /// Instead of the text, by the network's id.
    #[schema(example = json!({ "x": "{band}, {day}, seven." }))]
    pub texts: BTreeMap<String, String>,
    pub first_comment: Option<String>,
}

/// What is added to links. Values can name `{network}`, `{connection}` and `{date}`; what is left out is
/// not added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Utm {
    #[schema(example = "{network}")]
    pub source: Option<String>,
    #[schema(example = "social")]
    pub medium: Option<String>,
    #[schema(example = "christmas-concert")]
    pub campaign: Option<String>,
    pub term: Option<String>,
    #[schema(example = "{connection}-{date}")]
    pub content: Option<String>,
}

/// One as it is asked for: of `template`, `hashtags` and `utm` the one that its kind says.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSnippet {
    pub kind: Kind,
    /// 1 to 80 characters; each of a kind has its own.
    pub name: String,
    pub template: Option<Template>,
    /// With or without their `#`.
    #[schema(example = json!(["#livemusic", "#camden"]))]
    pub hashtags: Option<Vec<String>>,
    pub utm: Option<Utm>,
}

/// A change of one: what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SnippetChange {
    pub name: Option<String>,
    pub template: Option<Template>,
    pub hashtags: Option<Vec<String>>,
    pub utm: Option<Utm>,
}

/// What is in one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["#livemusic", "#camden"]))]
    pub hashtags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm: Option<Utm>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnippetView {
    pub id: String,
    pub kind: Kind,
    pub name: String,
    #[serde(flatten)]
    pub body: Body,
    /// The name of the account or the key that changed it last, where this workspace knows it.
    pub changed_by: Option<String>,
    pub updated_at: String,
}

pub async fn list(
    app: &App,
    workspace: &str,
    kind: Option<Kind>,
) -> Result<Vec<SnippetView>, Refusal> {
    let ws = workspace.to_owned();
    app.db
        .read(move |tx| async move {
            let names = audit::names(&tx, &ws).await?;
            let mut all = snippets::list(&tx, &ws).await?;
            all.retain(|s| kind.is_none_or(|kind| s.kind == kind));
            Ok(all.iter().map(|s| view(s, &names)).collect::<Result<_, _>>()?)
        })
        .await
}

pub async fn create(
    app: &App,
    workspace: &str,
    new: NewSnippet,
    actor: &str,
) -> Result<SnippetView, Refusal> {
    let (ws, now) = (workspace.to_owned(), app.clock.now());
    let body = Body { template: new.template, hashtags: new.hashtags, utm: new.utm };
    let snippet = Snippet {
        id: ids::new(now),
        workspace_id: ws.clone(),
        kind: new.kind,
        name: new.name.trim().to_owned(),
        body: store::json(&checked(new.kind, &new.name, body)?),
        changed_by: actor.to_owned(),
        created_at: now,
        updated_at: now,
    };
    let made = app
        .db
        .write(move |tx| async move {
            if snippets::count(&tx, &ws).await? >= MOST {
                let sentence = format!("This workspace has {MOST} of them already.");
                return Err(Refusal::conflict("too_many", sentence, "Delete some first."));
            }
            if !snippets::add(&tx, &snippet).await? {
                return Err(taken(&snippet));
            }
            say(&tx, &snippet, "snippet.created", now).await?;
            Ok(view(&snippet, &audit::names(&tx, &ws).await?)?)
        })
        .await?;
    app.ring();
    Ok(made)
}

pub async fn edit(
    app: &App,
    workspace: &str,
    id: &str,
    change: SnippetChange,
    actor: &str,
) -> Result<SnippetView, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "snippet")?, app.clock.now());
    let actor = actor.to_owned();
    let changed = app
        .db
        .write(move |tx| async move {
            let mut snippet = find(&tx, &ws, &id).await?;
            let name = change.name.unwrap_or_else(|| snippet.name.clone());
            let SnippetChange { template, hashtags, utm, .. } = change;
            let new = Body { template, hashtags, utm };
            let body = if new == Body::default() { kept(&snippet)? } else { new };
            snippet.body = store::json(&checked(snippet.kind, &name, body)?);
            snippet.name = name.trim().to_owned();
            (snippet.changed_by, snippet.updated_at) = (actor, now);
            if !snippets::save(&tx, &snippet).await? {
                return Err(taken(&snippet));
            }
            say(&tx, &snippet, "snippet.changed", now).await?;
            Ok(view(&snippet, &audit::names(&tx, &ws).await?)?)
        })
        .await?;
    app.ring();
    Ok(changed)
}

pub async fn delete(app: &App, workspace: &str, id: &str, actor: &str) -> Result<(), Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "snippet")?, app.clock.now());
    let actor = actor.to_owned();
    app.db
        .write(move |tx| async move {
            let snippet = Snippet { changed_by: actor, ..find(&tx, &ws, &id).await? };
            snippets::delete(&tx, &id).await?;
            say(&tx, &snippet, "snippet.deleted", now).await
        })
        .await?;
    app.ring();
    Ok(())
}

async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Snippet, Refusal> {
    snippets::find(tx, workspace, id).await?.ok_or_else(|| Refusal::not_found("snippet"))
}

/// What a post's links are to be counted by.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tagging {
    /// The id of a UTM preset; or say what to add in `utm`.
    #[serde(default)]
    pub preset: Option<String>,
    #[serde(default)]
    pub utm: Option<Utm>,
    #[schema(example = "Tickets: https://example.com/tickets")]
    pub text: String,
    #[serde(default)]
    pub first_comment: Option<String>,
    /// The day of the post; today when not given.
    #[serde(default)]
    #[schema(example = "2026-11-23")]
    pub date: Option<String>,
    /// Where it goes, with what each has of its own.
    #[serde(default)]
    pub deliveries: Vec<TaggedDelivery>,
}

/// The same, with what was to be added to its links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tagged {
    pub text: String,
    pub first_comment: Option<String>,
    /// Where connections differ in what is added, each has a text of its own now.
    pub deliveries: Vec<TaggedDelivery>,
    /// How many links changed.
    pub links: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaggedDelivery {
    pub connection_id: String,
    /// `null`: the post's text.
    #[serde(default)]
    pub text: Option<String>,
    /// `null`: the post's.
    #[serde(default)]
    pub first_comment: Option<String>,
}

type Tags = Vec<(&'static str, String)>;

/// Adds a preset to the links of a text. What a link has already stays, so that done twice it is as
/// done once. Saves nothing.
pub async fn tag(app: &App, workspace: &str, asked: Tagging) -> Result<Tagged, Refusal> {
    let (ws, now) = (workspace.to_owned(), app.clock.now());
    app.db
        .read(move |tx| async move {
            let utm = match (&asked.preset, asked.utm.clone()) {
                (Some(id), None) => {
                    let found = find(&tx, &ws, &known_id(id, "snippet")?).await?;
                    let utm = kept(&found)?.utm;
                    utm.ok_or_else(|| wrong("preset", "not_utm", "This is no UTM preset.".into()))?
                }
                (None, Some(utm)) => checked_utm(utm)?,
                _ => {
                    return Err(wrong(
                        "preset",
                        "preset_needed",
                        "Say `preset` or `utm`, one of them.".into(),
                    ));
                }
            };
            let known = accounts::workspace(&tx, &ws).await?;
            let zone = known.map_or_else(|| "UTC".to_owned(), |w| w.timezone);
            let today = when::local(now, &zone);
            let date = asked.date.as_deref().unwrap_or(&today);
            let date = date.get(..10).unwrap_or(date).to_owned();
            let mut each: Vec<Tags> = Vec::new();
            for d in &asked.deliveries {
                let id = known_id(&d.connection_id, "connection")?;
                let found = connections::find(&tx, &ws, &id).await?;
                let c = found.ok_or_else(|| Refusal::not_found("connection"))?;
                let name = slug(&c.name);
                each.push(utm.tags(&[
                    ("network", &c.network),
                    ("connection", &name),
                    ("date", &date),
                ]));
            }
            let alike = each.windows(2).all(|two| two[0] == two[1]);
            let shared = match each.first() {
                Some(tags) if alike => Some(tags.clone()),
                Some(_) => None,
                // It goes nowhere yet: what names a place is not added.
                None => Some(utm.tags(&[("date", &date)])),
            };
            Ok(asked.with(shared.as_ref(), &each))
        })
        .await
}

impl Tagging {
    /// `shared`: what is added to what they share, where that is the same for all.
    fn with(self, shared: Option<&Tags>, each: &[Tags]) -> Tagged {
        let mut links = 0;
        let mut add = |text: &str, tags: &Tags| {
            let (text, changed) = tagging::tagged(text, tags);
            links += changed;
            text
        };
        // A text of its own, where it has one or now needs one.
        let mut own = |own: Option<String>, common: Option<&str>, tags: &Tags| match (own, common) {
            (Some(text), _) => Some(add(&text, tags)),
            (None, Some(common)) if shared.is_none() => {
                Some(add(common, tags)).filter(|with| with != common)
            }
            _ => None,
        };
        let deliveries = self
            .deliveries
            .into_iter()
            .zip(each)
            .map(|(d, tags)| TaggedDelivery {
                text: own(d.text, Some(&self.text), tags),
                first_comment: own(d.first_comment, self.first_comment.as_deref(), tags),
                connection_id: d.connection_id,
            })
            .collect();
        let (text, first_comment) = match shared {
            Some(tags) => (add(&self.text, tags), self.first_comment.map(|text| add(&text, tags))),
            None => (self.text, self.first_comment),
        };
        Tagged { text, first_comment, deliveries, links }
    }
}

impl Utm {
    fn values(&self) -> [(&'static str, &Option<String>); 5] {
        [
            ("utm_source", &self.source),
            ("utm_medium", &self.medium),
            ("utm_campaign", &self.campaign),
            ("utm_term", &self.term),
            ("utm_content", &self.content),
        ]
    }

    /// Filled in; what names something that is not known is left out.
    fn tags(&self, known: &[(&str, &str)]) -> Tags {
        let fill = |value: &str| {
            let filled = known.iter().fold(value.to_owned(), |text, (name, with)| {
                text.replace(&format!("{{{name}}}"), with)
            });
            (!filled.contains('{')).then_some(filled)
        };
        let values = self.values();
        values.iter().filter_map(|(key, v)| Some((*key, fill(v.as_deref()?)?))).collect()
    }
}

/// A name as it stands in an address: `the-anchor`.
fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

fn checked(kind: Kind, name: &str, body: Body) -> Result<Body, Refusal> {
    let mut problems = Vec::new();
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MOST_NAME {
        let message = format!("A name has 1 to {MOST_NAME} characters.");
        problems.push(Wrong::new("name", "invalid_name", message));
    }
    let given = [
        ("template", body.template.is_some(), Kind::Template),
        ("hashtags", body.hashtags.is_some(), Kind::Hashtags),
        ("utm", body.utm.is_some(), Kind::Utm),
    ];
    for (field, given, of) in given {
        if given != (of == kind) {
            let what = if given { "does not belong to" } else { "is what there has to be in" };
            let message = format!("`{field}` {what} one of the kind `{kind}`.");
            problems.push(Wrong::new(field, "wrong_body", message));
        }
    }
    let mut body = body;
    if let Some(t) = &body.template {
        let all = [Some(&t.text), t.title.as_ref(), t.first_comment.as_ref()];
        if all.into_iter().flatten().chain(t.texts.values()).any(|text| text.len() > MOST_TEXT) {
            let message = format!("A text of a template has at most {MOST_TEXT} bytes.");
            problems.push(Wrong::new("template.text", "text_too_long", message));
        }
        if t.text.trim().is_empty() && t.texts.is_empty() {
            let message = "A template has a text, for all or for a network.";
            problems.push(Wrong::new("template.text", "text_needed", message));
        }
    }
    if let Some(tags) = &mut body.hashtags {
        for (n, tag) in tags.iter_mut().enumerate() {
            let word = tag.trim().trim_start_matches('#').to_owned();
            if word.is_empty() || word.contains(|c: char| c.is_whitespace() || c == '#') {
                let message = format!("`{tag}` is no hashtag: write one word, as #livemusic.");
                problems.push(Wrong::new(format!("hashtags[{n}]"), "invalid_hashtag", message));
            }
            *tag = format!("#{word}");
        }
        let mut seen = std::collections::BTreeSet::new();
        tags.retain(|tag| seen.insert(tag.to_lowercase()));
        if tags.is_empty() || tags.len() > MOST_TAGS {
            let message = format!("A set has 1 to {MOST_TAGS} hashtags.");
            problems.push(Wrong::new("hashtags", "wrong_number", message));
        }
    }
    if let Some(utm) = &body.utm {
        problems.extend(wrong_utm(utm));
    }
    if problems.is_empty() { Ok(body) } else { Err(Refusal::invalid(problems)) }
}

fn checked_utm(utm: Utm) -> Result<Utm, Refusal> {
    let wrong = wrong_utm(&utm);
    if wrong.is_empty() { Ok(utm) } else { Err(Refusal::invalid(wrong)) }
}

fn wrong_utm(utm: &Utm) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let given = utm.values().into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
    let mut none = true;
    for (key, value) in given {
        none &= value.trim().is_empty();
        let field = format!("utm.{}", key.trim_start_matches("utm_"));
        if value.chars().count() > MOST_VALUE {
            let message = format!("A value has at most {MOST_VALUE} characters.");
            wrong.push(Wrong::new(&field, "value_too_long", message));
        }
        let left = FILLED
            .iter()
            .fold(value.to_owned(), |text, name| text.replace(&format!("{{{name}}}"), ""));
        if left.contains(['{', '}']) {
            let message = format!(
                "`{value}` names something else than {{network}}, {{connection}} and {{date}}."
            );
            wrong.push(Wrong::new(&field, "unknown_placeholder", message));
        }
    }
    if none {
        wrong.push(Wrong::new("utm", "nothing_to_add", "Say at least one of its values."));
    }
    wrong
}

fn kept(s: &Snippet) -> Result<Body, Error> {
    serde_json::from_str(&s.body).map_err(|e| Error::Corrupt(format!("snippet {}: {e}", s.id)))
}

fn view(s: &Snippet, names: &BTreeMap<String, String>) -> Result<SnippetView, Error> {
    Ok(SnippetView {
        id: s.id.clone(),
        kind: s.kind,
        name: s.name.clone(),
        body: kept(s)?,
        changed_by: names.get(&s.changed_by).cloned(),
        updated_at: when::iso(s.updated_at),
    })
}

fn taken(s: &Snippet) -> Refusal {
    let sentence = format!("There is one with the name “{}” already.", s.name);
    Refusal::conflict("name_taken", sentence, "Choose another name, or change that one.")
}

fn wrong(field: &str, code: &str, message: String) -> Refusal {
    Refusal::invalid(vec![Wrong::new(field, code, message)])
}

async fn say(tx: &Tx, s: &Snippet, what: &str, now: i64) -> Result<(), Refusal> {
    let (ws, data) = (s.workspace_id.as_str(), json!({ "kind": s.kind, "name": s.name }));
    audit::add(tx, Some(ws), &s.changed_by, what, &s.id, &data, now).await?;
    events::add(tx, ws, what, &s.id, &json!({}), now).await?;
    Ok(())
}
