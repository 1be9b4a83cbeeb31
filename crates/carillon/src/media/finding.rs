//! Media found by words, tags and what is the matter with them, and tagged, many at once.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::library::{MediaView, no_such, tell, view};
use super::words;
use crate::App;
use crate::db::Error;
use crate::domain::refusal::{Refusal, Wrong};
use crate::store::library::{self as store, Filter, WORDS_MAX};
use crate::store::{audit, media};
use crate::words as kept;

kept! {
    /// Of what kind a medium is.
    pub enum Sort {
        Picture = "picture",
        Video = "video",
    }
}

/// Which media; an empty one means all that are not in the trash.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The beginnings of words of name, description and tags: media that have them all.
    pub search: String,
    pub tags: Vec<String>,
    pub kind: Option<Sort>,
    pub missing_alt: bool,
    /// That no post has.
    pub unused: bool,
    pub failed: bool,
    /// What is in the trash instead.
    pub trash: bool,
}

impl Asked {
    fn filter(&self) -> Result<Filter, Refusal> {
        let texts: BTreeSet<String> = words::fold(&self.search).collect();
        let mut sought: Vec<_> = texts.iter().map(|w| words::beginning(w)).collect();
        for tag in &self.tags {
            sought.push(words::exactly(&format!("#{}", words::tag(tag)?)));
        }
        sought.extend(self.missing_alt.then(|| words::exactly(words::NO_ALT)));
        sought.extend(self.kind.map(|k| words::exactly(words::kind(k == Sort::Video))));
        if sought.len() > WORDS_MAX {
            let message = format!(
                "{} words and tags are asked for; {WORDS_MAX} is the most, filters among them.",
                sought.len()
            );
            return Err(Refusal::invalid(vec![Wrong::new("search", "too_many_words", message)]));
        }
        let (unused, failed, trash) = (self.unused, self.failed, self.trash);
        Ok(Filter { words: sought, unused, failed, trash })
    }
}

/// Newest first, `limit` of those older than the medium `before`; with the cursor of the next page.
pub async fn list(
    app: &App,
    workspace: &str,
    asked: &Asked,
    before: Option<&str>,
    limit: usize,
) -> Result<(Vec<MediaView>, Option<String>), Refusal> {
    let (filter, limit) = (asked.filter()?, limit.clamp(1, 200));
    let (ws, before) = (workspace.to_owned(), before.map(str::to_owned));
    app.db
        .read(move |tx| async move {
            let most = limit as i64 + 1;
            let mut page = store::find(&tx, &ws, &filter, before.as_deref(), most).await?;
            let more = page.len() > limit;
            page.truncate(limit);
            let made = media::derivatives_of_each(&tx, &page).await?;
            let views = page.iter().zip(&made).map(|(m, made)| view(m, made)).collect();
            let next = page.last().filter(|_| more).map(|m| m.id.clone());
            Ok::<_, Refusal>((views, next))
        })
        .await
}

/// A tag, and how many media have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TagView {
    pub tag: String,
    pub media: i64,
}

/// The tags of a workspace, by name.
pub async fn tags(app: &App, workspace: &str) -> Result<Vec<TagView>, Refusal> {
    let ws = workspace.to_owned();
    let marked = words::beginning("#");
    let found =
        app.db.read(move |tx| async move { store::counts(&tx, &ws, &marked).await }).await?;
    let view = |(word, media): (String, i64)| TagView { tag: word[1..].to_owned(), media };
    Ok(found.into_iter().map(view).collect())
}

/// Tags for many media at once.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tagging {
    /// Which media, at most 1,000.
    pub ids: Vec<String>,
    /// Tags that they get.
    #[serde(default)]
    pub add: Vec<String>,
    /// Tags that they lose.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// Most media that are changed at once.
const MANY: usize = 1_000;

/// The ids, each once and in order, so that of two who change many neither waits for the other for
/// ever.
pub(super) fn many(ids: &[String]) -> Result<BTreeSet<String>, Refusal> {
    if ids.is_empty() || ids.len() > MANY {
        let message = format!("Name 1 to {MANY} media; these are {}.", ids.len());
        return Err(Refusal::invalid(vec![Wrong::new("ids", "invalid_ids", message)]));
    }
    Ok(ids.iter().map(|id| id.to_ascii_lowercase()).collect())
}

/// Tags and untags; all of them or none. How many changed.
pub async fn tag(
    app: &App,
    workspace: &str,
    tagging: &Tagging,
    actor: &str,
) -> Result<usize, Refusal> {
    let (ids, add) = (many(&tagging.ids)?, words::tags_of(&tagging.add)?);
    let remove = words::tags_of(&tagging.remove)?;
    let (ws, actor, now) = (workspace.to_owned(), actor.to_owned(), app.clock.now());
    let changed = app
        .db
        .write(move |tx| async move {
            let mut changed = Vec::new();
            for id in &ids {
                let mut medium = media::lock(&tx, &ws, id, now).await?.ok_or_else(no_such)?;
                let mut tags: Vec<String> = words::tags(&medium.tags).map(str::to_owned).collect();
                tags.retain(|tag| !remove.contains(tag));
                tags.extend(add.iter().cloned());
                let tags = words::tags_of(&tags)?;
                let tags = words::spaced(tags.iter().map(String::as_str));
                if tags == medium.tags {
                    continue;
                }
                medium.tags = tags;
                media::describe(&tx, &medium, now).await?;
                store::index(&tx, &medium, &words::of(&medium)).await?;
                tell(&tx, "media.updated", &medium, now).await?;
                changed.push(id.clone());
            }
            if let [first, ..] = changed.as_slice() {
                let data = json!({ "media": changed, "added": add, "removed": remove });
                audit::add(&tx, Some(&ws), &actor, "media.tagged", first, &data, now).await?;
            }
            Ok::<_, Refusal>(changed.len())
        })
        .await?;
    app.ring();
    Ok(changed)
}

/// Media that are indexed in one transaction.
const BATCH: i64 = 200;

/// Has media found that came before there was an index; how many.
pub async fn index_all(app: &App) -> Result<usize, Error> {
    let mut all = 0;
    loop {
        let now = app.clock.now();
        let indexed = app
            .db
            .write(move |tx| async move {
                let found = store::unindexed(&tx, BATCH).await?;
                for m in &found {
                    // Another process may be at the same ones, or somebody describe it.
                    let Some(m) = media::lock(&tx, &m.workspace_id, &m.id, now).await? else {
                        continue;
                    };
                    store::index(&tx, &m, &words::of(&m)).await?;
                }
                Ok::<_, Error>(found.len())
            })
            .await?;
        all += indexed;
        if indexed == 0 {
            return Ok(all);
        }
        tracing::info!(indexed = all, "media can be searched for that came before the index");
    }
}
