//! What a feed says: its entries, newest first, and the text that a template makes of one.

use sha2::{Digest, Sha256};
use url::Url;

use super::super::html::plain;

/// Most characters of an entry's summary in a post.
const SUMMARY: usize = 300;
/// Entries that are looked at; feeds of a whole archive have more.
const ENTRIES: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// By which it is known again: of its id, or of its link.
    pub hash: String,
    pub title: String,
    pub link: String,
    pub summary: String,
}

/// The entries of RSS, Atom or JSON Feed; the error is one sentence.
pub(super) fn entries(body: &[u8], base: &Url) -> Result<Vec<Entry>, String> {
    let feed = feed_rs::parser::Builder::new()
        .base_uri(Some(base.as_str()))
        .build()
        .parse(body)
        .map_err(|e| format!("It is neither RSS nor Atom: {e}."))?;
    let mut found = feed.entries;
    // Stable: what has no date stays where it stands, newest first as is the custom.
    found.sort_by_key(|e| {
        std::cmp::Reverse(e.published.or(e.updated).map(|at| at.timestamp_millis()))
    });
    found.truncate(ENTRIES);
    let one = |text: Option<String>| {
        plain(&text.unwrap_or_default()).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let entry = |e: feed_rs::model::Entry| {
        let alternate =
            e.links.iter().find(|l| l.rel.as_deref().is_none_or(|rel| rel == "alternate"));
        let link = alternate.or(e.links.first()).map(|l| l.href.clone()).unwrap_or_default();
        let link = base.join(&link).map_or(link, |url| url.to_string());
        let known = if e.id.is_empty() { &link } else { &e.id };
        let digest = Sha256::digest(known.as_bytes());
        let hash = digest.iter().take(16).map(|b| format!("{b:02x}")).collect();
        let summary = e.summary.map(|s| s.content).or_else(|| e.content?.body);
        let title = one(e.title.map(|t| t.content));
        Entry { hash, title, link, summary: shortened(&one(summary)) }
    };
    Ok(found.into_iter().map(entry).collect())
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= SUMMARY {
        return text.to_owned();
    }
    let cut: String = text.chars().take(SUMMARY - 1).collect();
    let at = cut.rfind(' ').unwrap_or(cut.len());
    format!("{}…", cut[..at].trim_end())
}

/// A template with an entry's words in it. What an entry says is never read as a template.
pub(super) fn filled(template: &str, entry: &Entry) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let names =
            [("{title}", &entry.title), ("{link}", &entry.link), ("{summary}", &entry.summary)];
        match names.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, value)) => {
                text.push_str(value);
                rest = &rest[name.len()..];
            }
            None => {
                text.push('{');
                rest = &rest[1..];
            }
        }
    }
    text.push_str(rest);
    // Where a part is missing no hole is left.
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSS: &str = r#"<?xml version="1.0"?><rss version="2.0"><channel><title>News</title>
        <item><title>Old</title><link>https://a.example/1</link><guid>1</guid><pubDate>Mon, 23 Nov 2026 07:00:00 GMT</pubDate></item>
        <item><title>Quiz &amp;amp; pies</title><link>/2</link><guid>2</guid><pubDate>Mon, 23 Nov 2026 08:00:00 GMT</pubDate>
          <description>&lt;p&gt;It&amp;#8217;s on &lt;b&gt;Friday&lt;/b&gt;.&lt;/p&gt;</description></item></channel></rss>"#;
    const ATOM: &str = r#"<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>News</title><id>f</id>
        <updated>2026-11-23T08:00:00Z</updated><entry><title>One</title><id>urn:1</id><updated>2026-11-23T08:00:00Z</updated>
        <link rel="enclosure" href="https://a.example/one.mp3"/><link rel="alternate" href="https://a.example/one"/>
        <content type="html">&lt;p&gt;Hello&lt;/p&gt;</content></entry></feed>"#;

    #[test]
    fn entries_are_read_newest_first() {
        let base: Url = "https://a.example/feed.xml".parse().unwrap();
        let rss = entries(RSS.as_bytes(), &base).unwrap();
        assert_eq!(
            rss.iter().map(|e| e.title.as_str()).collect::<Vec<_>>(),
            ["Quiz & pies", "Old"]
        );
        assert_eq!(
            (rss[0].link.as_str(), rss[0].summary.as_str()),
            ("https://a.example/2", "It’s on Friday.")
        );
        let atom = entries(ATOM.as_bytes(), &base).unwrap();
        assert_eq!(
            (atom[0].link.as_str(), atom[0].summary.as_str()),
            ("https://a.example/one", "Hello")
        );
        assert!(entries(b"<html>", &base).unwrap_err().starts_with("It is neither RSS nor Atom"));
    }

    #[test]
    fn an_entry_is_no_template_and_leaves_no_hole() {
        let entry = Entry {
            hash: String::new(),
            title: "{link} {braces}".into(),
            link: "https://a.example".into(),
            summary: String::new(),
        };
        assert_eq!(
            filled("{title}\n\n{summary}\n\n{link} {x}", &entry),
            "{link} {braces}\n\nhttps://a.example {x}"
        );
    }
}
