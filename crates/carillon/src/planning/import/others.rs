//! What other tools export: Postiz (its public API's list of posts), Mixpost (its posts with their
//! versions) and Buffer (its API's updates, its GraphQL posts, the CSV of its bulk upload).
//!
//! Shapes: docs.postiz.com/public-api, the resources of inovector/mixpost, buffer.com/developers/api
//! and developers.buffer.com, read in November 2026. What has no counterpart here is said of its row.

use serde_json::Value as Json;

use super::ImportFormat;
use super::reading::File;
use super::row::{Row, Wanted};
use crate::domain::when;
use crate::planning::html::written;

/// The rows of a file that another tool wrote; `None` when it is not one of these.
pub(super) fn recognise(whole: &Json, said: Option<ImportFormat>) -> Option<File> {
    type Reader = fn(&Json) -> Option<Vec<Row>>;
    let readers: [(ImportFormat, Reader); 3] = [
        (ImportFormat::Postiz, postiz),
        (ImportFormat::Mixpost, mixpost),
        (ImportFormat::Buffer, buffer),
    ];
    readers.into_iter().filter(|(f, _)| said.is_none_or(|s| s == *f)).find_map(|(format, read)| {
        let mut rows = read(whole)?;
        for (i, row) in rows.iter_mut().enumerate() {
            row.line = i as i64 + 1;
        }
        Some(File { format, rows, notes: Vec::new() })
    })
}

/// The network of ours that another tool calls so.
fn network(theirs: &str) -> Option<&'static str> {
    let folded = theirs.to_ascii_lowercase().replace(['_', ' '], "-");
    let ours = match folded.as_str() {
        "twitter" | "x" => "x",
        "facebook" | "facebook-page" => "facebook",
        "instagram" | "instagram-standalone" | "instagram-business" => "instagram",
        "linkedin" | "linkedin-page" => "linkedin",
        "google-business" | "googlebusiness" | "gmb" | "gbp" => "gbp",
        "bluesky" => "bluesky",
        "mastodon" => "mastodon",
        "threads" => "threads",
        "pinterest" => "pinterest",
        "reddit" => "reddit",
        "tiktok" => "tiktok",
        "youtube" => "youtube",
        "telegram" => "telegram",
        "discord" => "discord",
        "slack" => "slack",
        "nostr" => "nostr",
        "lemmy" => "lemmy",
        "wordpress" => "wordpress",
        "devto" => "devto",
        "hashnode" => "hashnode",
        "tumblr" => "tumblr",
        _ => return None,
    };
    Some(ours)
}

/// An account of another tool's.
fn account(row: &mut Row, tool: &str, theirs: &str, name: &str, text: Option<String>) {
    match network(theirs) {
        Some(ours) => {
            row.connections.push(Wanted { name: name.to_owned(), network: Some(ours), text });
        }
        None => {
            let message = format!(
                "{tool}'s account `{name}` is at `{theirs}`, which has no counterpart here: it is left out."
            );
            row.warn("connections", "no_counterpart", message);
        }
    }
}

fn text<'a>(value: &'a Json, key: &str) -> &'a str {
    value.get(key).and_then(Json::as_str).unwrap_or_default()
}

fn items<'a>(value: &'a Json, key: &str) -> &'a [Json] {
    value.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// `{"posts": [{content, publishDate, state, integration: {providerIdentifier, name}, …}]}`: one an
/// account. Those of one group that say the same at the same time are one post.
fn postiz(whole: &Json) -> Option<Vec<Row>> {
    let posts = whole.as_array().or_else(|| whole.get("posts")?.as_array())?;
    let theirs = |p: &Json| p.get("publishDate").is_some() && p.get("integration").is_some();
    if posts.is_empty() || !posts.iter().any(theirs) {
        return None;
    }
    let mut rows: Vec<(String, Row)> = Vec::new();
    for p in posts {
        let integration = p.get("integration").unwrap_or(&Json::Null);
        let at = ["providerIdentifier", "identifier"].map(|key| text(integration, key));
        let at = at.into_iter().find(|t| !t.is_empty()).unwrap_or_default();
        let content = written(text(p, "content"));
        let date = text(p, "publishDate");
        let group = match text(p, "group") {
            "" => text(p, "id"),
            group => group,
        };
        let key = format!("{group}\n{date}\n{content}");
        if let Some((_, row)) = rows.iter_mut().find(|(k, _)| *k == key) {
            account(row, "Postiz", at, text(integration, "name"), None);
            continue;
        }
        let mut row = Row { text: content, scheduled_at: date.to_owned(), ..Row::default() };
        let state = ["state", "status"].map(|key| text(p, key));
        row.state = stated(state.into_iter().find(|s| !s.is_empty()).unwrap_or_default());
        account(&mut row, "Postiz", at, text(integration, "name"), None);
        for key in ["image", "media"] {
            media(&mut row, "Postiz", items(p, key), &["path", "url"]);
        }
        if p.get("settings")
            .and_then(Json::as_object)
            .is_some_and(|s| s.keys().any(|k| k != "__type"))
        {
            let message = "Postiz's settings of this post have no counterpart: set them here.";
            row.warn("connections", "no_counterpart", message);
        }
        repeats(&mut row, p, "intervalInDays");
        rows.push((key, row));
    }
    Some(rows.into_iter().map(|(_, row)| row).collect())
}

fn repeats(row: &mut Row, post: &Json, key: &str) {
    if post.get(key).and_then(Json::as_i64).is_some_and(|days| days > 0) {
        let message = "It comes round there; here it goes out once. Make a series of it.";
        row.warn("scheduledAt", "no_counterpart", message);
    }
}

/// Posts with `accounts` and `versions: [{account_id, is_original, content: [{body, media}]}]`.
fn mixpost(whole: &Json) -> Option<Vec<Row>> {
    let posts = whole
        .as_array()
        .or_else(|| ["data", "posts"].into_iter().find_map(|key| whole.get(key)?.as_array()))?;
    let theirs = |p: &Json| p.get("versions").is_some() && p.get("accounts").is_some();
    if posts.is_empty() || !posts.iter().any(theirs) {
        return None;
    }
    Some(posts.iter().map(mixpost_row).collect())
}

fn mixpost_row(p: &Json) -> Row {
    let mut row = Row { state: stated(text(p, "status")), ..Row::default() };
    let versions = items(p, "versions");
    let flag = |v: &Json| {
        let is = v.get("is_original");
        is.and_then(Json::as_bool).or(is.and_then(Json::as_i64).map(|n| n != 0)) == Some(true)
    };
    let original = versions.iter().find(|v| flag(v)).or(versions.first());
    let bodies = |v: &Json| -> Vec<String> {
        items(v, "content").iter().map(|c| written(text(c, "body"))).collect()
    };
    if let Some(original) = original {
        let mut parts = bodies(original).into_iter();
        row.text = parts.next().unwrap_or_default();
        row.thread = parts.collect();
        for (i, content) in items(original, "content").iter().enumerate() {
            if i == 0 {
                media(&mut row, "Mixpost", items(content, "media"), &["url"]);
            } else if !items(content, "media").is_empty() {
                let message =
                    "Media of later parts of a thread have no counterpart: they are left out.";
                row.warn("media", "no_counterpart", message);
            }
        }
    }
    for a in items(p, "accounts") {
        let own = versions.iter().find(|v| !flag(v) && v.get("account_id") == a.get("id"));
        let own = own.and_then(|v| bodies(v).into_iter().next()).filter(|t| *t != row.text);
        let name = ["username", "name"].map(|key| text(a, key));
        let name = name.into_iter().find(|n| !n.is_empty()).unwrap_or_default();
        account(&mut row, "Mixpost", text(a, "provider"), name, own);
    }
    row.scheduled_at = match p.get("scheduled_at") {
        Some(Json::String(at)) => at.clone(),
        Some(at) => format!("{} {}", text(at, "date"), text(at, "time")).trim().to_owned(),
        None => String::new(),
    };
    if !items(p, "tags").is_empty() {
        let names: Vec<&str> = items(p, "tags").iter().map(|t| text(t, "name")).collect();
        let message = format!("Tags have no counterpart: {} are left out.", names.join(", "));
        row.warn("", "no_counterpart", message);
    }
    row
}

/// `{"updates": [{text, due_at, status, profile_service, media}]}`, or the GraphQL API's
/// `{"data": {"posts": {"edges": [{"node": {text, dueAt, status, channelService, assets}}]}}}`.
fn buffer(whole: &Json) -> Option<Vec<Row>> {
    let graph = whole.pointer("/data/posts/edges").or(whole.pointer("/posts/edges"));
    if let Some(edges) = graph.and_then(Json::as_array) {
        return Some(edges.iter().map(|e| buffer_row(e.get("node").unwrap_or(e))).collect());
    }
    let all = whole.as_array().or_else(|| whole.get("updates")?.as_array())?;
    let theirs =
        |u: &Json| u.get("profile_service").or(u.get("due_at")).or(u.get("dueAt")).is_some();
    (!all.is_empty() && all.iter().any(theirs)).then(|| all.iter().map(buffer_row).collect())
}

fn buffer_row(u: &Json) -> Row {
    let mut row = Row { text: text(u, "text").to_owned(), ..Row::default() };
    row.state = stated(text(u, "status"));
    row.scheduled_at = match u.get("due_at").or(u.get("dueAt")) {
        Some(Json::Number(secs)) => secs.as_i64().map(|s| when::iso(s * 1_000)).unwrap_or_default(),
        Some(Json::String(at)) => at.clone(),
        _ => String::new(),
    };
    let channel = u.get("channel").unwrap_or(&Json::Null);
    let service = [text(u, "profile_service"), text(u, "channelService"), text(channel, "service")];
    let service = service.into_iter().find(|s| !s.is_empty()).unwrap_or_default();
    let name = [text(channel, "name"), text(u, "profile_username"), text(u, "formatted_username")];
    let name = name.into_iter().find(|n| !n.is_empty()).unwrap_or_default();
    if service.is_empty() {
        let message = "The file does not say at which network this was: choose its connections.";
        row.warn("connections", "no_counterpart", message);
    } else {
        account(&mut row, "Buffer", service, name, None);
    }
    if let Some(attached) = u.get("media").filter(|m| m.is_object()) {
        for key in ["picture", "photo", "video"] {
            media(&mut row, "Buffer", std::slice::from_ref(attached), &[key]);
        }
        row.link = text(attached, "link").to_owned();
    }
    media(&mut row, "Buffer", items(u, "assets"), &["source", "url"]);
    row
}

/// The columns of Buffer's bulk upload: Text, Image URL, Tags, Posting Time.
pub(super) fn buffer_column(folded: &str) -> Option<&'static str> {
    match folded {
        "text" => Some("text"),
        "imageurl" | "image" => Some("media"),
        "tags" => Some("tags"),
        "postingtime" => Some("scheduledAt"),
        _ => None,
    }
}

pub(super) fn buffer_cell(row: &mut Row, column: &str, cell: &str) {
    match column {
        "text" => row.text = cell.to_owned(),
        "scheduledAt" => row.scheduled_at = cell.trim().to_owned(),
        "media" if !cell.trim().is_empty() => row.media.push(cell.trim().to_owned()),
        "tags" if !cell.trim().is_empty() => {
            let message = format!("Tags have no counterpart: {} are left out.", cell.trim());
            row.warn("", "no_counterpart", message);
        }
        _ => {}
    }
}

/// Addresses of media; a thing without one is said.
fn media(row: &mut Row, tool: &str, all: &[Json], keys: &[&str]) {
    for m in all {
        let url = keys.iter().map(|key| text(m, key)).find(|u| !u.is_empty());
        match url {
            Some(url) if url.starts_with("https://") || url.starts_with("http://") => {
                if row.media.iter().any(|m| m == url) {
                    continue;
                }
                row.media.push(url.to_owned());
                row.alt.push(["alt", "altText", "description"].map(|k| text(m, k)).concat());
            }
            Some(path) => {
                let message =
                    format!("{tool}'s file `{path}` has no full address: upload it here.");
                row.warn("media", "no_counterpart", message);
            }
            None => {}
        }
    }
}

/// The states of other tools in our words.
fn stated(theirs: &str) -> String {
    let folded = theirs.to_ascii_lowercase();
    let ours = match folded.as_str() {
        "queue" | "queued" | "buffer" | "scheduled" => "scheduled",
        "published" | "sent" | "service" => "published",
        "publishing" | "sending" => "publishing",
        "error" | "failed" => "failed",
        "draft" | "needs_approval" | "needs-approval" => "draft",
        other => other,
    };
    ours.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::reading::read;
    use super::*;

    fn rows(file: &Json) -> (ImportFormat, Vec<Row>) {
        let file = read(file.to_string().as_bytes(), None).expect("a file");
        (file.format, file.rows)
    }

    fn said(row: &Row) -> String {
        row.notes.iter().map(|n| n.message.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn postiz() {
        let post = |id: &str, group: &str, network: &str, state: &str| {
            json!({ "id": id, "group": group, "content": "<p>Doors &amp; bar</p><p>at <strong>seven</strong></p>",
                "publishDate": "2026-12-09T05:06:00.000Z", "releaseURL": "", "state": state,
                "integration": { "id": "i", "providerIdentifier": network, "name": "The Anchor", "picture": "" },
                "image": [{ "id": "m", "path": "https://files.example/a.png" }, { "id": "n", "path": "/uploads/b.png" }] })
        };
        let all = [
            post("1", "g", "x", "QUEUE"),
            post("2", "g", "linkedin-page", "QUEUE"),
            post("3", "h", "dribbble", "PUBLISHED"),
        ];
        let (format, rows) = rows(&json!({ "posts": all }));
        assert_eq!((format, rows.len()), (ImportFormat::Postiz, 2));
        assert_eq!(rows[0].text, "Doors & bar\nat seven");
        assert_eq!((rows[0].state.as_str(), rows[1].state.as_str()), ("scheduled", "published"));
        let to: Vec<_> = rows[0].connections.iter().map(|w| w.network).collect();
        assert_eq!(to, [Some("x"), Some("linkedin")]);
        assert_eq!(rows[0].media, ["https://files.example/a.png"]);
        assert!(said(&rows[0]).contains("`/uploads/b.png` has no full address"));
        assert!(said(&rows[1]).contains("`dribbble`, which has no counterpart"));
    }

    #[test]
    fn mixpost() {
        let file = json!({ "data": [{
            "id": "u", "status": "SCHEDULED",
            "accounts": [{ "id": 1, "name": "The Anchor", "username": "anchor", "provider": "twitter" },
                { "id": 2, "name": "Anchor page", "username": null, "provider": "facebook_page" }],
            "versions": [
                { "account_id": 0, "is_original": true, "content": [
                    { "body": "<div>One</div>", "media": [{ "url": "https://files.example/a.jpg" }] }, { "body": "Two", "media": [] }] },
                { "account_id": 2, "is_original": false, "content": [{ "body": "<div>One, at length</div>", "media": [] }] }],
            "tags": [{ "name": "Music" }],
            "scheduled_at": { "date": "2026-12-09", "time": "05:06", "human": "…" }, "published_at": { "human": null } }] });
        let (format, rows) = rows(&file);
        assert_eq!((format, rows.len()), (ImportFormat::Mixpost, 1));
        let row = &rows[0];
        assert_eq!((row.text.as_str(), row.thread.as_slice()), ("One", &["Two".to_owned()][..]));
        assert_eq!(row.scheduled_at, "2026-12-09 05:06");
        assert_eq!((row.connections[0].name.as_str(), &row.connections[0].text), ("anchor", &None));
        assert_eq!(row.connections[1].text.as_deref(), Some("One, at length"));
        assert!(said(row).contains("Music are left out"));
    }

    #[test]
    fn buffer() {
        let (format, found) = rows(&json!({ "total": 2, "updates": [
            { "id": "a", "text": "Quiz", "due_at": 1_796_792_760, "status": "buffer", "profile_service": "twitter",
              "media": { "picture": "https://files.example/a.jpg", "link": "https://anchor.example", "description": "A quiz" } },
            { "id": "b", "text": "Old", "due_at": 1_320_742_680, "status": "sent", "profile_service": "myspace" }] }));
        assert_eq!((format, found.len()), (ImportFormat::Buffer, 2));
        assert_eq!(
            (found[0].scheduled_at.as_str(), found[0].state.as_str()),
            ("2026-12-09T05:06:00Z", "scheduled")
        );
        assert_eq!(
            (found[0].alt[0].as_str(), found[0].link.as_str()),
            ("A quiz", "https://anchor.example")
        );
        assert_eq!(found[1].state, "published");
        let node = json!({ "node": { "text": "Quiz", "dueAt": "2026-12-09T05:06:00.000Z", "status": "scheduled",
            "channelId": "c", "channelService": "linkedin", "assets": [{ "source": "https://files.example/a.jpg" }] } });
        let (format, found) = rows(&json!({ "data": { "posts": { "edges": [node] } } }));
        assert_eq!(
            (format, found[0].connections[0].network),
            (ImportFormat::Buffer, Some("linkedin"))
        );
        assert_eq!(found[0].media.len(), 1);
        let csv = "Text,Image URL,Tags,Posting Time\nQuiz,https://files.example/a.jpg,fun,2026-12-09 05:06\n";
        let file = read(csv.as_bytes(), None).expect("a file");
        assert_eq!(
            (file.format, file.rows[0].scheduled_at.as_str()),
            (ImportFormat::Buffer, "2026-12-09 05:06")
        );
        assert!(said(&file.rows[0]).contains("fun are left out"));
    }
}
