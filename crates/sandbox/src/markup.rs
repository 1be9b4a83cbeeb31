//! The HTML that Telegram's bots may write: the text without its tags, and the entities in it.
//!
//! networks.md §13; offsets and lengths count UTF-16 units of the finished text. The tags and the
//! messages are those of the Bot API.

use serde_json::{Value, json};

use crate::text::entity;

/// A parsed text.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Parsed {
    pub(crate) text: String,
    pub(crate) entities: Vec<Value>,
}

struct Open {
    name: String,
    /// The entity without its place; `None` for a tag that only carries something for another one.
    entity: Option<Value>,
    from: usize,
}

/// Parses HTML; the error is the part after `can't parse entities: `.
pub(crate) fn parse_html(html: &str) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let (mut units, mut at) = (0, 0);
    let mut open: Vec<Open> = Vec::new();
    while let Some(next) = html[at..].chars().next() {
        match next {
            '&' => {
                let (c, length) = known_entity(&html[at..]).unwrap_or(('&', 1));
                parsed.text.push(c);
                units += c.len_utf16();
                at += length;
            }
            '<' if html[at..].starts_with("</") => {
                let end = html[at..].find('>');
                let end = end.ok_or_else(|| format!("Unclosed end tag at byte offset {at}"))?;
                let name = html[at + 2..at + end].trim().to_ascii_lowercase();
                let started = open.pop();
                let started =
                    started.ok_or_else(|| format!("Unexpected end tag at byte offset {at}"))?;
                if !name.is_empty() && name != started.name {
                    return Err(format!(
                        "Unmatched end tag at byte offset {at}, expected \"</{}>\", found \
                         \"</{name}>\"",
                        started.name
                    ));
                }
                close(started, units, &mut parsed.entities);
                at += end + 1;
            }
            '<' => {
                let end = html[at..].find('>');
                let end = end.ok_or_else(|| format!("Unclosed start tag at byte offset {at}"))?;
                let inside = &html[at + 1..at + end];
                let cut = inside.find(|c: char| c.is_whitespace()).unwrap_or(inside.len());
                let name = inside[..cut].to_ascii_lowercase();
                let entity = started(&name, &inside[cut..], open.last(), at)?;
                open.push(Open { name, entity, from: units });
                at += end + 1;
            }
            c => {
                parsed.text.push(c);
                units += c.len_utf16();
                at += c.len_utf8();
            }
        }
    }
    if let Some(left) = open.pop() {
        return Err(format!("Can't find end tag corresponding to start tag \"{}\"", left.name));
    }
    parsed.entities.sort_by_key(|entity| entity["offset"].as_u64());
    Ok(parsed)
}

/// The entities that a bot may write; any other is text.
fn known_entity(text: &str) -> Option<(char, usize)> {
    let named = ["&lt;", "&gt;", "&amp;", "&quot;", "&#"].iter().any(|e| text.starts_with(e));
    named.then(|| entity(text)).flatten()
}

fn started(
    name: &str,
    attributes: &str,
    around: Option<&Open>,
    at: usize,
) -> Result<Option<Value>, String> {
    let kind = match name {
        "b" | "strong" => "bold",
        "i" | "em" => "italic",
        "u" | "ins" => "underline",
        "s" | "strike" | "del" => "strikethrough",
        "tg-spoiler" => "spoiler",
        "span" => match attribute(attributes, "class") {
            Some(class) if class == "tg-spoiler" => "spoiler",
            _ => {
                return Err(format!(
                    "Tag \"span\" must have class \"tg-spoiler\" at byte offset {at}"
                ));
            }
        },
        "blockquote" if attributes.contains("expandable") => "expandable_blockquote",
        "blockquote" => "blockquote",
        "pre" => "pre",
        // Inside of `pre` it names the language and is no entity of its own.
        "code" if around.is_some_and(|open| open.name == "pre") => return Ok(None),
        "code" => "code",
        "a" => {
            let address = attribute(attributes, "href").unwrap_or_default();
            return Ok(Some(json!({ "type": "text_link", "url": address })));
        }
        "tg-emoji" => {
            let id = attribute(attributes, "emoji-id").unwrap_or_default();
            return Ok(Some(json!({ "type": "custom_emoji", "custom_emoji_id": id })));
        }
        _ => return Err(format!("Unsupported start tag \"{name}\" at byte offset {at}")),
    };
    Ok(Some(json!({ "type": kind })))
}

fn close(open: Open, units: usize, entities: &mut Vec<Value>) {
    let Some(mut entity) = open.entity.filter(|_| units > open.from) else { return };
    // A link to nothing is no link.
    if entity["type"] == "text_link" && entity["url"].as_str().is_none_or(|url| !is_address(url)) {
        return;
    }
    entity["offset"] = json!(open.from);
    entity["length"] = json!(units - open.from);
    entities.push(entity);
}

fn is_address(url: &str) -> bool {
    url::Url::parse(url).is_ok() || url::Url::parse(&format!("http://{url}")).is_ok()
}

fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut rest = attributes.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, left) = match quote {
            Some(quote) => after[1..].split_once(quote)?,
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(crate::text::readable(value));
        }
        rest = left.trim_start();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_entities_in_utf16_units() {
        let parsed = parse_html(
            "😀 <b>bold <i>both</i></b> &lt;3 &copy; <a href=\"https://a.example/?x=1&amp;y=2\">l</a>",
        )
        .unwrap();
        assert_eq!(parsed.text, "😀 bold both <3 &copy; l");
        assert_eq!(
            parsed.entities,
            [
                json!({"type": "bold", "offset": 3, "length": 9}),
                json!({"type": "italic", "offset": 8, "length": 4}),
                json!({"type": "text_link", "url": "https://a.example/?x=1&y=2", "offset": 23,
                    "length": 1}),
            ]
        );
    }

    #[test]
    fn what_cannot_be_parsed_is_refused_as_the_api_does() {
        for (html, says) in [
            ("<p>x</p>", "Unsupported start tag \"p\" at byte offset 0"),
            ("a <b>x", "Can't find end tag corresponding to start tag \"b\""),
            ("<b>x</i>", "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\""),
            ("x</b>", "Unexpected end tag at byte offset 1"),
            ("2 < 3", "Unclosed start tag at byte offset 2"),
        ] {
            assert_eq!(parse_html(html).unwrap_err(), says, "{html}");
        }
    }
}
