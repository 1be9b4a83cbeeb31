//! Text as each network counts it, and what it finds in it: links, hashtags, mentions.
//!
//! Ranges are byte ranges on character boundaries, in order, never overlapping: Bluesky's facets
//! are made of them and nobody checks them after us. Rules follow the table "Text limits and how
//! to count" of the networks' reference. Nothing here panics, whatever the text.

use std::ops::Range;

use serde::Serialize;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use unicode_segmentation::UnicodeSegmentation;

use crate::spec::{Count, Placement, Spec};

/// What Mastodon counts for every URL, however long it is.
const MASTODON_URL: &str = "xxxxxxxxxxxxxxxxxxxxxxx";

/// One reason why a network would refuse this text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub code: &'static str,
    /// A plain sentence with the numbers.
    pub message: String,
}

/// Everything that is wrong with a text for this placement, all at once.
pub fn problems(
    spec: &Spec,
    placement: &Placement,
    text: &str,
    title: Option<&str>,
    with_media: bool,
) -> Vec<Problem> {
    let (name, rule) = (spec.name, &placement.text);
    let mut found = Vec::new();
    let mut add = |code, message| found.push(Problem { code, message });

    if text.trim().is_empty() {
        if rule.required {
            add("text_required", format!("{name} takes no post without text."));
        } else if !with_media {
            add("text_required", format!("{name} takes no post without text or media."));
        }
    }
    let caption = rule.max_with_media.filter(|_| with_media);
    let (max, used) = (caption.unwrap_or(rule.max), count(rule.count, text));
    if used > max {
        let over = amount(used - max, rule.count.unit());
        let with = if caption.is_some() { " with media" } else { "" };
        let message = format!("The text is {over} too long for {name}{with} ({used} of {max}).");
        add("text_too_long", message);
    }
    if let Some(max) = rule.max_bytes.filter(|max| text.len() > *max) {
        let over = amount(text.len() - max, "bytes");
        let message = format!("The text is {over} too long for {name} ({} of {max}).", text.len());
        add("text_too_many_bytes", message);
    }
    let tags = hashtags(text).len();
    if let Some(max) = rule.max_hashtags.filter(|max| tags > *max) {
        add("too_many_hashtags", format!("The text has {tags} hashtags; {name} takes {max}."));
    }
    let people = mentions(text).len();
    if let Some(max) = rule.max_mentions.filter(|max| people > *max) {
        add("too_many_mentions", format!("The text has {people} mentions; {name} takes {max}."));
    }
    let long = title.map_or(0, |t| t.chars().count());
    if let Some(max) = rule.title_max.filter(|max| long > *max) {
        let over = amount(long - max, "characters");
        let message = format!("The title is {over} too long for {name} ({long} of {max}).");
        add("title_too_long", message);
    }
    found
}

/// `1 character`, `2 characters`.
fn amount(n: usize, unit: &str) -> String {
    let unit = if n == 1 { unit.strip_suffix('s').unwrap_or(unit) } else { unit };
    format!("{n} {unit}")
}

/// How long a text is for a network. UTF-8 bytes, the fifth way, are `text.len()`.
pub fn count(rule: Count, text: &str) -> usize {
    match rule {
        Count::Chars => text.chars().count(),
        Count::Utf16 => text.encode_utf16().count(),
        Count::Graphemes => text.graphemes(true).count(),
        Count::Mastodon => mastodon_countable(text).graphemes(true).count(),
    }
}

/// The text with every URL as 23 letters and every remote mention without its host.
fn mastodon_countable(text: &str) -> String {
    let mut cuts: Vec<(Range<usize>, &str)> =
        urls(text).into_iter().map(|r| (r, MASTODON_URL)).collect();
    cuts.extend(mentions(text).into_iter().map(|r| (r.clone(), without_host(&text[r]))));
    cuts.sort_by_key(|(r, _)| r.start);
    replace(text, &cuts)
}

/// The text with remote mentions as Mastodon shows them: `@user@host` as `@user`.
pub fn short_mentions(text: &str) -> String {
    let short = |r: Range<usize>| (r.clone(), without_host(&text[r]));
    replace(text, &mentions(text).into_iter().map(short).collect::<Vec<_>>())
}

/// `@user` of `@user@host`.
fn without_host(mention: &str) -> &str {
    let host = mention.char_indices().skip(1).find(|(_, c)| *c == '@');
    host.map_or(mention, |(at, _)| &mention[..at])
}

fn replace(text: &str, cuts: &[(Range<usize>, &str)]) -> String {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for (range, with) in cuts {
        out.push_str(&text[at..range.start]);
        out.push_str(with);
        at = range.end;
    }
    out + &text[at..]
}

/// Links: `http://` or `https://`, a host with a dot, then port, path, query, fragment. Closing
/// punctuation of the sentence around it is not part of it.
pub fn urls(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (colon, separator) in text.match_indices("://") {
        let scheme = ["https", "http"].into_iter().find(|s| {
            let at = colon.checked_sub(s.len()).and_then(|start| text.get(start..colon));
            at.is_some_and(|t| t.eq_ignore_ascii_case(s))
        });
        let Some(start) = scheme.map(|s| colon - s.len()) else { continue };
        let inside = found.last().is_some_and(|last| start < last.end);
        // Only ASCII letters glue: in Chinese or Thai a link follows a letter without a space.
        let glued =
            before(text, start).is_some_and(|c| c.is_ascii_alphanumeric() || "_@#$".contains(c));
        if inside || glued {
            continue;
        }
        let rest = colon + separator.len();
        if let Some(len) = after_scheme(&text[rest..]) {
            found.push(start..rest + len);
        }
    }
    found
}

/// How many bytes after `https://` belong to the link.
fn after_scheme(rest: &str) -> Option<usize> {
    let mut end = host(rest)?;
    if let Some(port) = rest[end..].strip_prefix(':') {
        let digits = port.bytes().take_while(u8::is_ascii_digit).count();
        end += if digits > 0 { 1 + digits } else { 0 };
    }
    if rest[end..].starts_with('@') {
        return None; // `https://bank.example@elsewhere`: no link that reads as one thing and opens another
    }
    if rest[end..].starts_with(['/', '?', '#']) {
        let path = &rest[end..];
        let path = &path[..path.find(|c| !in_url(c)).unwrap_or(path.len())];
        end += without_closing_punctuation(path);
    }
    Some(end)
}

/// How many bytes are a host name of two labels or more.
fn host(rest: &str) -> Option<usize> {
    let len =
        rest.find(|c: char| !(c.is_alphanumeric() || "-._".contains(c))).unwrap_or(rest.len());
    let run = rest[..len].trim_end_matches(['.', '-', '_']);
    let top = run.rfind('.')? + 1;
    // `example.comを見て`: a top label that begins in ASCII ends with it.
    let ascii = run[top..].bytes().take_while(u8::is_ascii).count();
    let run = if ascii > 0 { &run[..top + ascii] } else { run };
    let lettered = run[top..].starts_with(char::is_alphabetic);
    (lettered && run.split('.').all(|label| !label.is_empty())).then_some(run.len())
}

fn in_url(c: char) -> bool {
    !c.is_whitespace()
        && !c.is_control()
        && !"<>\"`{}|\\^“”„«»、。，！？；：（）「」『』【】《》".contains(c)
}

fn without_closing_punctuation(path: &str) -> usize {
    let open = |c| path.matches(c).count() as isize;
    let mut round = open(')') - open('(');
    let mut square = open(']') - open('[');
    let mut kept = path;
    while let Some(last) = kept.chars().next_back() {
        match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '…' => {}
            ')' if round > 0 => round -= 1,
            ']' if square > 0 => square -= 1,
            _ => break,
        }
        kept = &kept[..kept.len() - last.len_utf8()];
    }
    kept.len()
}

/// Hashtags of any script, with their `#`; not inside links, not of digits alone.
pub fn hashtags(text: &str) -> Vec<Range<usize>> {
    let links = urls(text);
    let mut found = Vec::new();
    for (start, mark) in text.match_indices(['#', '＃']) {
        let glued = before(text, start).is_some_and(|c| is_word(c) || "#＃/&=".contains(c));
        if glued || inside(&links, start) {
            continue;
        }
        let body = up_to_link(text, start + mark.len(), &links);
        let tag = &body[..body.find(|c| !is_word(c)).unwrap_or(body.len())];
        // A leading mark belongs to the sign itself: the keycap emoji is `#` with two of them.
        if !tag.starts_with(is_combining_mark) && tag.chars().any(char::is_alphabetic) {
            found.push(start..start + mark.len() + tag.len());
        }
    }
    found
}

/// Mentions, `@user`, `@handle.with.dots` or `@user@host`; not inside links or mail addresses.
pub fn mentions(text: &str) -> Vec<Range<usize>> {
    let links = urls(text);
    let mut found: Vec<Range<usize>> = Vec::new();
    for (start, _) in text.match_indices('@') {
        let taken = found.last().is_some_and(|last| start < last.end);
        let glued = before(text, start).is_some_and(|c| is_word(c) || "/=@".contains(c));
        if taken || glued || inside(&links, start) {
            continue;
        }
        let body = up_to_link(text, start + 1, &links);
        let user = name(body, |c| c.is_ascii_alphanumeric() || c == '_');
        if user == 0 {
            continue;
        }
        let mut end = start + 1 + user;
        if let Some(rest) = body[user..].strip_prefix('@') {
            let host = name(rest, |c| c.is_alphanumeric() || c == '_');
            end += if host > 1 { 1 + host } else { 0 };
        }
        found.push(start..end);
    }
    found
}

/// Bytes of a name of such letters, with dots and hyphens between them.
fn name(rest: &str, letter: impl Fn(char) -> bool) -> usize {
    if !rest.starts_with(&letter) {
        return 0;
    }
    let run = &rest[..rest.find(|c| !(letter(c) || ".-".contains(c))).unwrap_or(rest.len())];
    run.trim_end_matches(['.', '-']).len()
}

fn before(text: &str, at: usize) -> Option<char> {
    text[..at].chars().next_back()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || is_combining_mark(c)
}

fn inside(ranges: &[Range<usize>], at: usize) -> bool {
    let next = ranges.partition_point(|r| r.end <= at);
    ranges.get(next).is_some_and(|r| r.contains(&at))
}

/// What stands from here to the next link: nothing that is found reaches into one.
fn up_to_link<'t>(text: &'t str, from: usize, links: &[Range<usize>]) -> &'t str {
    let next = links.partition_point(|r| r.start < from);
    &text[from..links.get(next).map_or(text.len(), |r| r.start)]
}

/// A text as it is compared with what a network reads back: NFC, every run of white space one
/// space, none at the ends. HTML goes through [`html_to_text`] first.
pub fn normalise(text: &str) -> String {
    let composed: String = text.nfc().collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text of a status's HTML. Links keep their whole address: Mastodon hides its ends with CSS
/// classes (`invisible`, `ellipsis`) and leaves every letter in the markup.
pub fn html_to_text(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        decode(&rest[..open], &mut out);
        rest = &rest[open + 1..];
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!') {
            out.push('<');
            continue;
        }
        let Some(close) = rest.find('>') else {
            out.push('<');
            break;
        };
        let tag = rest[..close].to_ascii_lowercase();
        let name = tag.trim_end_matches('/').split_whitespace().next().unwrap_or_default();
        out.push_str(match name {
            "br" | "/li" | "/div" => "\n",
            "/p" | "/blockquote" => "\n\n",
            _ => "",
        });
        rest = &rest[close + 1..];
    }
    decode(rest, &mut out);
    out.trim().to_owned()
}

/// Appends a text with its character references resolved; what is none stays as it is.
fn decode(mut rest: &str, out: &mut String) {
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        // The longest that is known, `#x10ffff`, has eight letters.
        let end = rest.bytes().take(9).position(|b| b == b';');
        match end.and_then(|end| reference(&rest[..end]).map(|c| (end, c))) {
            Some((end, c)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
}

fn reference(name: &str) -> Option<char> {
    let number = |digits, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    match name.strip_prefix('#').map(|n| (n, n.strip_prefix(['x', 'X']))) {
        Some((_, Some(hex))) => number(hex, 16),
        Some((decimal, None)) => number(decimal, 10),
        None => Some(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            "nbsp" => '\u{a0}',
            _ => return None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::{Abilities, Derivative, MediaRule, SendClass, Text};

    fn found(text: &str, find: fn(&str) -> Vec<Range<usize>>) -> Vec<&str> {
        find(text).into_iter().map(|r| &text[r]).collect()
    }

    #[test]
    fn each_way_of_counting() {
        // A family emoji is one cluster of five code points; `é` here is two code points.
        let text = "👩‍👩‍👧 e\u{301}";
        assert_eq!(count(Count::Chars, text), 8);
        assert_eq!(count(Count::Utf16, text), 11);
        assert_eq!(count(Count::Graphemes, text), 3);
        assert_eq!(text.len(), 22);
    }

    #[test]
    fn mastodon_counts_links_as_23_and_mentions_without_host() {
        let n = |text: &str| count(Count::Mastodon, text);
        assert_eq!(n("https://a.io"), 23);
        assert_eq!(n(&format!("see https://example.com/{}.", "x".repeat(400))), 4 + 23 + 1);
        assert_eq!(n("hi @alice@mastodon.example!"), "hi @alice!".len());
        assert_eq!(n("example.com has no scheme"), 25);
        assert_eq!(n("@bob and https://x.org/@carol@y.org"), 9 + 23);
    }

    #[test]
    fn links_end_where_a_reader_ends_them() {
        for (text, expected) in [
            ("Go to https://example.com.", "https://example.com"),
            ("(https://example.com/a)", "https://example.com/a"),
            (
                "https://en.wikipedia.org/wiki/Bell_(instrument), yes",
                "https://en.wikipedia.org/wiki/Bell_(instrument)",
            ),
            ("HTTPS://Example.COM/a?b=c#d!?", "HTTPS://Example.COM/a?b=c#d"),
            ("\"https://example.com/x\"", "https://example.com/x"),
            ("https://example.com:8080/x; next", "https://example.com:8080/x"),
            ("请看https://example.com/路径。谢谢", "https://example.com/路径"),
            ("https://example.comを見て", "https://example.com"),
            ("https://bücher.example/ü", "https://bücher.example/ü"),
            ("https://пример.рф…", "https://пример.рф"),
            ("https://example.com—see", "https://example.com"),
        ] {
            assert_eq!(found(text, urls), [expected], "{text}");
        }
        assert_eq!(found("https://a.io,https://b.io/", urls), ["https://a.io", "https://b.io/"]);
    }

    #[test]
    fn what_is_no_link() {
        for text in [
            "example.com",
            "www.example.com",
            "ftp://example.com",
            "https://",
            "https://localhost",
            "xhttps://example.com",
            "https://10.0.0.1/",
            "https://bank.example@evil.example/",
            "://",
            "https://..",
            "https://.com",
        ] {
            assert_eq!(found(text, urls), [""; 0], "{text}");
        }
    }

    #[test]
    fn hashtags_of_every_script() {
        assert_eq!(
            found("#Bells, (#zwölf) #日本語 #हिन्दी #a_1 ＃wide", hashtags),
            ["#Bells", "#zwölf", "#日本語", "#हिन्दी", "#a_1", "＃wide"]
        );
        for none in
            ["#1", "#", "# a", "a#b", "##a", "#\u{fe0f}\u{20e3}", "https://a.io/#top", "&#39;"]
        {
            assert_eq!(found(none, hashtags), [""; 0], "{none}");
        }
    }

    #[test]
    fn mentions_with_and_without_host() {
        assert_eq!(
            found("@alice.bsky.social, (@bob) .@c_d @eve@social.example. @f@", mentions),
            ["@alice.bsky.social", "@bob", "@c_d", "@eve@social.example", "@f"]
        );
        for none in ["a@b.com", "@", "@@a", "https://x.org/@a", "@.a", "x=@a"] {
            assert_eq!(found(none, mentions), [""; 0], "{none}");
        }
        assert_eq!(short_mentions("hi @a@b.example, @c"), "hi @a, @c");
    }

    #[test]
    fn a_shortened_link_is_read_back_whole() {
        let html = r#"<p>Tom &amp; Jerry&#39;s:<br>see <a href="https://example.com/a/very/long" rel="nofollow"><span class="invisible">https://</span><span class="ellipsis">example.com/a/ve</span><span class="invisible">ry/long</span></a></p><p>&lt;b&gt; &copy; <span class="h-card"><a href="https://m.example/@bob" class="u-url mention">@<span>bob</span></a></span></p>"#;
        let text = "Tom & Jerry's:\nsee https://example.com/a/very/long\n\n<b> &copy; @bob";
        assert_eq!(html_to_text(html), text);
        assert_eq!(html_to_text("a < b & c"), "a < b & c");
        assert_eq!(html_to_text("open <a href="), "open <a href=");
    }

    #[test]
    fn all_problems_at_once() {
        static RULE: Placement = Placement {
            id: "feed",
            name: "Feed",
            send: SendClass::Blind,
            follows: &[],
            in_budget: true,
            text: Text {
                max: 10,
                count: Count::Graphemes,
                max_bytes: Some(11),
                max_with_media: Some(9),
                max_hashtags: Some(1),
                max_mentions: Some(1),
                title_max: Some(2),
                required: true,
            },
            media: MediaRule {
                min: 0,
                max: 1,
                types: &["image/jpeg"],
                max_bytes: 1,
                ratio: None,
                derivative: Derivative::Original,
                pull: false,
                alt_max: 0,
                video: None,
            },
            options: &[],
        };
        let spec = Spec {
            id: "x",
            name: "Exemplum",
            code: "EX",
            base_url: "",
            fields: &[],
            placements: &[],
            abilities: Abilities { delete: false, read_back: false, alt_text: false },
            oauth: None,
            life: crate::oauth::Life::Endless,
            budgets: &[],
        };
        let said = |text, title, media| -> Vec<(&str, String)> {
            let all = problems(&spec, &RULE, text, title, media);
            all.into_iter().map(|p| (p.code, p.message)).collect()
        };
        assert_eq!(said("short", Some("ok"), false), []);
        assert_eq!(
            said("#ab #cd @e @f", Some("abc"), false),
            [
                (
                    "text_too_long",
                    "The text is 3 characters too long for Exemplum (13 of 10).".into()
                ),
                (
                    "text_too_many_bytes",
                    "The text is 2 bytes too long for Exemplum (13 of 11).".into()
                ),
                ("too_many_hashtags", "The text has 2 hashtags; Exemplum takes 1.".into()),
                ("too_many_mentions", "The text has 2 mentions; Exemplum takes 1.".into()),
                (
                    "title_too_long",
                    "The title is 1 character too long for Exemplum (3 of 2).".into()
                ),
            ]
        );
        let caption = "The text is 1 character too long for Exemplum with media (10 of 9).";
        assert_eq!(said("0123456789", None, true), [("text_too_long", caption.into())]);
        let required = "Exemplum takes no post without text.";
        assert_eq!(said(" \n", None, true), [("text_required", required.into())]);
    }

    /// Texts that are mostly made of what the finders look for.
    fn tricky() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("https://".to_owned()),
            Just("http://a.io".to_owned()),
            "[#@＃./:()_ a-zé日🙂\u{301}\u{200d}\u{fe0f}]{0,6}",
            "\\PC{0,4}",
            any::<String>(),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn ranges_are_slices_in_order_and_apart(text in tricky()) {
            let mut all = [urls(&text), hashtags(&text), mentions(&text)].concat();
            for range in &all {
                prop_assert!(text.get(range.clone()).is_some_and(|s| !s.is_empty()));
            }
            all.sort_by_key(|r| r.start);
            prop_assert!(all.windows(2).all(|w| w[0].end <= w[1].start));
        }

        #[test]
        fn counting_is_additive_where_units_do_not_join(a in tricky(), b in tricky()) {
            let both = format!("{a}{b}");
            for rule in [Count::Chars, Count::Utf16] {
                prop_assert_eq!(count(rule, &both), count(rule, &a) + count(rule, &b));
            }
            let n = count(Count::Graphemes, &both);
            prop_assert!(n >= count(Count::Graphemes, &a));
            prop_assert!(n <= count(Count::Graphemes, &a) + count(Count::Graphemes, &b));
            prop_assert!(n <= count(Count::Chars, &both));
            prop_assert!(count(Count::Utf16, &both) <= both.len());
        }

        #[test]
        fn normalising_twice_changes_nothing(text in tricky()) {
            let once = normalise(&text);
            prop_assert_eq!(normalise(&once), once);
        }

        #[test]
        fn escaped_text_is_read_back(text in tricky()) {
            let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let html = format!("<p>{}</p>", html.replace('\n', "<br />"));
            prop_assert_eq!(normalise(&html_to_text(&html)), normalise(&text));
        }

        #[test]
        fn any_markup_is_survived(text in "[<>&;#x0-9a-z/! é]{0,40}") {
            html_to_text(&text);
            count(Count::Mastodon, &text);
        }
    }
}
