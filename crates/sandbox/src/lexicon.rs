//! What a PDS checks in an `app.bsky.feed.post` record before it stores it.
//!
//! As the record's lexicon says: lengths in graphemes and bytes, counts, required fields, shapes.
//! Offsets of facets are not held against the text, as a real server does not either.
//! The messages are those of the reference server (networks.md §10.5).

use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;

use crate::dag::is_cid;

/// How the server's messages name the record.
const ROOT: &str = "$.record";

pub(crate) const POST: &str = "app.bsky.feed.post";

/// A blob that a record refers to.
#[derive(Debug, PartialEq)]
pub(crate) struct BlobRef {
    pub(crate) cid: String,
    pub(crate) mime: String,
    pub(crate) size: u64,
}

/// Checks a post and lists its blobs; the error is the server's message.
pub(crate) fn check_post(record: &Value) -> Result<Vec<BlobRef>, String> {
    Checker::default().post(record).map_err(|why| format!("Invalid {POST} record: {why}"))
}

#[derive(Default)]
struct Checker {
    blobs: Vec<BlobRef>,
}

impl Checker {
    fn post(mut self, record: &Value) -> Result<Vec<BlobRef>, String> {
        let text = string(record, "text", ROOT)?;
        bounded(text, 300, 3_000, "$.record.text")?;
        let created = string(record, "createdAt", ROOT)?;
        if !is_datetime(created) {
            return Err(format!("Invalid datetime (got \"{created}\") at $.record.createdAt"));
        }
        for (at, lang) in array(record, "langs", 3)?.iter().enumerate() {
            let path = format!("$.record.langs[{at}]");
            let lang = as_string(lang, &path)?;
            if !is_language(lang) {
                return Err(format!("Invalid language (got \"{lang}\") at {path}"));
            }
        }
        for (at, tag) in array(record, "tags", 8)?.iter().enumerate() {
            let path = format!("$.record.tags[{at}]");
            let tag = as_string(tag, &path)?;
            bounded(tag, 64, 640, &path)?;
        }
        for (at, facet) in array(record, "facets", usize::MAX)?.iter().enumerate() {
            check_facet(facet, &format!("$.record.facets[{at}]"))?;
        }
        if let Some(reply) = record.get("reply") {
            for side in ["root", "parent"] {
                let reference = reply
                    .get(side)
                    .ok_or_else(|| format!("Missing required key \"{side}\" at $.record.reply"))?;
                strong_ref(reference, &format!("$.record.reply.{side}"))?;
            }
        }
        if let Some(embed) = record.get("embed") {
            self.embed(embed, "$.record.embed")?;
        }
        Ok(self.blobs)
    }

    fn embed(&mut self, embed: &Value, path: &str) -> Result<(), String> {
        if embed.get("$type").is_none() {
            let wanted = "Expected an object which includes the \"$type\" property value type";
            return Err(format!("{wanted} (got {}) at {path}", got(embed)));
        }
        match string(embed, "$type", path)? {
            "app.bsky.embed.images" => {
                let images = embed.get("images").and_then(Value::as_array);
                let images =
                    images.ok_or_else(|| format!("Missing required key \"images\" at {path}"))?;
                if images.len() > 4 {
                    return Err(format!(
                        "array too big (maximum 4, got {}) at {path}.images",
                        images.len()
                    ));
                }
                for (at, image) in images.iter().enumerate() {
                    let path = format!("{path}.images[{at}]");
                    string(image, "alt", &path)?;
                    check_ratio(image, &path)?;
                    self.blob(image, "image", "image/", 1_000_000, &path)?;
                }
                Ok(())
            }
            "app.bsky.embed.video" => {
                check_ratio(embed, path)?;
                self.blob(embed, "video", "video/mp4", 100_000_000, path)
            }
            "app.bsky.embed.external" => {
                let external = embed.get("external");
                let external = external
                    .ok_or_else(|| format!("Missing required key \"external\" at {path}"))?;
                let path = format!("{path}.external");
                let uri = string(external, "uri", &path)?;
                if url::Url::parse(uri).is_err() {
                    return Err(format!("Invalid uri (got \"{uri}\") at {path}.uri"));
                }
                string(external, "title", &path)?;
                string(external, "description", &path)?;
                if external.get("thumb").is_some() {
                    self.blob(external, "thumb", "image/", 1_000_000, &path)?;
                }
                Ok(())
            }
            "app.bsky.embed.record" => {
                strong_ref(embed.get("record").unwrap_or(&Value::Null), &format!("{path}.record"))
            }
            "app.bsky.embed.recordWithMedia" => {
                let quoted = embed.pointer("/record/record").unwrap_or(&Value::Null);
                strong_ref(quoted, &format!("{path}.record.record"))?;
                let media = embed.get("media");
                let media =
                    media.ok_or_else(|| format!("Missing required key \"media\" at {path}"))?;
                self.embed(media, &format!("{path}.media"))
            }
            // The union is open: a server keeps what it does not know.
            _ => Ok(()),
        }
    }

    fn blob(
        &mut self,
        parent: &Value,
        key: &str,
        mime: &str,
        limit: u64,
        path: &str,
    ) -> Result<(), String> {
        let blob =
            parent.get(key).ok_or_else(|| format!("Missing required key \"{key}\" at {path}"))?;
        let path = format!("{path}.{key}");
        let cid = blob.pointer("/ref/$link").and_then(Value::as_str).filter(|cid| is_cid(cid));
        let found = (blob["$type"].as_str(), cid, blob["mimeType"].as_str(), blob["size"].as_u64());
        let (Some("blob"), Some(cid), Some(found_mime), Some(size)) = found else {
            return Err(format!("Expected blob value type (got {}) at {path}", got(blob)));
        };
        if !found_mime.starts_with(mime) {
            return Err(format!("Expected \"{mime}*\" (got \"{found_mime}\") at {path}.mimeType"));
        }
        if size > limit {
            return Err(format!("blob too big (maximum {limit}, got {size}) at {path}"));
        }
        self.blobs.push(BlobRef { cid: cid.to_owned(), mime: found_mime.to_owned(), size });
        Ok(())
    }
}

fn check_facet(facet: &Value, path: &str) -> Result<(), String> {
    let index = facet.get("index");
    let index = index.ok_or_else(|| format!("Missing required key \"index\" at {path}"))?;
    for key in ["byteStart", "byteEnd"] {
        integer(index, key, 0, &format!("{path}.index"))?;
    }
    let features = facet.get("features").and_then(Value::as_array);
    let features =
        features.ok_or_else(|| format!("Missing required key \"features\" at {path}"))?;
    for (at, feature) in features.iter().enumerate() {
        let path = format!("{path}.features[{at}]");
        match string(feature, "$type", &path)? {
            "app.bsky.richtext.facet#link" => {
                let uri = string(feature, "uri", &path)?;
                if url::Url::parse(uri).is_err() {
                    return Err(format!("Invalid uri (got \"{uri}\") at {path}.uri"));
                }
            }
            "app.bsky.richtext.facet#mention" => {
                let did = string(feature, "did", &path)?;
                if !did.starts_with("did:") {
                    return Err(format!("Invalid DID (got \"{did}\") at {path}.did"));
                }
            }
            "app.bsky.richtext.facet#tag" => {
                bounded(string(feature, "tag", &path)?, 64, 640, &format!("{path}.tag"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_ratio(parent: &Value, path: &str) -> Result<(), String> {
    let Some(ratio) = parent.get("aspectRatio") else { return Ok(()) };
    for side in ["width", "height"] {
        integer(ratio, side, 1, &format!("{path}.aspectRatio"))?;
    }
    Ok(())
}

fn strong_ref(value: &Value, path: &str) -> Result<(), String> {
    if !string(value, "uri", path)?.starts_with("at://") {
        return Err(format!("Invalid AT-URI at {path}.uri"));
    }
    string(value, "cid", path).map(drop)
}

fn string<'v>(parent: &'v Value, key: &str, path: &str) -> Result<&'v str, String> {
    match parent.get(key) {
        None => Err(format!("Missing required key \"{key}\" at {path}")),
        Some(value) => as_string(value, &format!("{path}.{key}")),
    }
}

fn as_string<'v>(value: &'v Value, path: &str) -> Result<&'v str, String> {
    let text = value.as_str();
    text.ok_or_else(|| format!("Expected string value type (got {}) at {path}", got(value)))
}

/// A whole number that is not below `least`.
fn integer(parent: &Value, key: &str, least: i64, path: &str) -> Result<(), String> {
    let Some(value) = parent.get(key) else {
        return Err(format!("Missing required key \"{key}\" at {path}"));
    };
    match value.as_i64() {
        None => Err(format!("Expected integer value type (got {}) at {path}.{key}", got(value))),
        Some(number) if number < least => {
            Err(format!("integer too small (minimum {least}, got {number}) at {path}.{key}"))
        }
        Some(_) => Ok(()),
    }
}

/// A value as the server's messages show it: of an object the first two keys.
fn got(value: &Value) -> String {
    let Value::Object(fields) = value else { return value.to_string() };
    let mut shown: Vec<String> =
        fields.keys().take(2).map(|key| format!("{}: ...", Value::from(key.as_str()))).collect();
    if fields.len() > 2 {
        shown.push("...".to_owned());
    }
    format!("{{{}}}", shown.join(", "))
}

/// Of RFC 3339, with `T` and `Z` in capitals, and never the offset `-00:00`.
fn is_datetime(text: &str) -> bool {
    let capital = text.as_bytes().get(10) == Some(&b'T') && !text.ends_with('z');
    capital && !text.ends_with("-00:00") && text.parse::<jiff::Timestamp>().is_ok()
}

/// The form of a BCP 47 tag: a language of two letters or more, then parts of letters and digits.
fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    let letters = |part: &str| part.bytes().all(|b| b.is_ascii_alphabetic());
    let rest = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    (2..=8).contains(&first.len()) && letters(first) && parts.all(rest)
}

fn array<'v>(record: &'v Value, key: &str, most: usize) -> Result<&'v [Value], String> {
    match record.get(key) {
        None => Ok(&[]),
        Some(Value::Array(items)) if items.len() > most => {
            Err(format!("array too big (maximum {most}, got {}) at $.record.{key}", items.len()))
        }
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(format!("Expected array value type at $.record.{key}")),
    }
}

fn bounded(text: &str, graphemes: usize, bytes: usize, path: &str) -> Result<(), String> {
    if text.len() > bytes {
        return Err(format!("string too big (maximum {bytes}, got {}) at {path}", text.len()));
    }
    // A grapheme has at least one byte, so a short text need not be counted.
    if text.len() > graphemes {
        let count = text.graphemes(true).count();
        if count > graphemes {
            return Err(format!("grapheme too big (maximum {graphemes}, got {count}) at {path}"));
        }
    }
    Ok(())
}

/// Is this a record key of a post: a timestamp identifier?
pub(crate) fn is_tid(key: &str) -> bool {
    let all = |b: u8| matches!(b, b'2'..=b'7' | b'a'..=b'z');
    key.len() == 13
        && matches!(key.as_bytes()[0], b'2'..=b'7' | b'a'..=b'j')
        && key.bytes().all(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CID: &str = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";

    fn post(extra: Value) -> Value {
        let mut post = json!({"text": "Hello", "createdAt": "2026-11-22T10:00:00Z"});
        for (key, value) in extra.as_object().unwrap() {
            post[key] = value.clone();
        }
        post
    }

    fn image(size: u64) -> Value {
        json!({"$type": "blob", "ref": {"$link": CID}, "mimeType": "image/png", "size": size})
    }

    #[test]
    fn a_post_is_counted_in_graphemes_and_in_bytes() {
        // A family is one grapheme of 25 bytes: 120 of them fill the bytes, not the graphemes.
        let family = "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}\u{200D}\u{1F466}";
        assert_eq!(family.len(), 25);
        assert!(check_post(&post(json!({"text": family.repeat(120)}))).is_ok());
        let error = check_post(&post(json!({"text": family.repeat(121)}))).unwrap_err();
        assert!(
            error.contains("string too big (maximum 3000, got 3025) at $.record.text"),
            "{error}"
        );
        assert!(check_post(&post(json!({"text": "é".repeat(300)}))).is_ok());
        let error = check_post(&post(json!({"text": "a".repeat(406)}))).unwrap_err();
        assert!(error.contains("grapheme too big (maximum 300, got 406)"), "{error}");
    }

    #[test]
    fn shapes_are_checked_and_blobs_listed() {
        let images = |n: usize, size| {
            let images = vec![json!({"alt": "", "image": image(size)}); n];
            post(json!({"embed": {"$type": "app.bsky.embed.images", "images": images}}))
        };
        let blobs = check_post(&images(2, 1_000_000)).unwrap();
        assert_eq!(blobs.len(), 2);
        assert_eq!(blobs[0].cid, CID);
        for (record, says) in [
            (images(5, 1), "array too big (maximum 4, got 5)"),
            (images(1, 1_000_001), "blob too big (maximum 1000000, got 1000001)"),
            (
                post(json!({"embed": {"$type": "app.bsky.embed.images", "images": [{"alt": ""}]}})),
                "Missing required key \"image\"",
            ),
            (
                post(json!({"embed": {"$type": "app.bsky.embed.images",
                "images": [{"image": image(1)}]}})),
                "Missing required key \"alt\"",
            ),
            (post(json!({"createdAt": "yesterday"})), "createdAt"),
            (post(json!({"createdAt": "2026-11-22T10:00:00"})), "createdAt"),
            (post(json!({"langs": ["en_US"]})), "Invalid language (got \"en_US\")"),
            (post(json!({"langs": ["en", "de", "fr", "it"]})), "array too big (maximum 3, got 4)"),
            (post(json!({"tags": ["x".repeat(65)]})), "grapheme too big (maximum 64"),
            (post(json!({"facets": [{"features": []}]})), "\"index\""),
            (
                post(
                    json!({"facets": [{"index": {"byteStart": -1, "byteEnd": 2}, "features": []}]}),
                ),
                "byteStart",
            ),
            (post(json!({"reply": {"root": {"uri": "at://x", "cid": "c"}}})), "\"parent\""),
            (
                post(json!({"embed": {"$type": "app.bsky.embed.external",
                "external": {"uri": "https://a.example", "title": ""}}})),
                "\"description\"",
            ),
        ] {
            let error = check_post(&record).unwrap_err();
            assert!(error.contains(says), "{record}: {error}");
        }
    }

    #[test]
    fn offsets_of_facets_are_not_held_against_the_text() {
        let link = json!({"$type": "app.bsky.richtext.facet#link", "uri": "https://a.example"});
        let facet = json!({"index": {"byteStart": 900, "byteEnd": 901}, "features": [link]});
        assert_eq!(check_post(&post(json!({"facets": [facet]}))), Ok(vec![]));
    }
}
