//! Hashtags and mentions.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;

use super::urls::{before, urls};

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

/// The text with remote mentions as Mastodon shows them: `@user@host` as `@user`.
pub fn short_mentions(text: &str) -> String {
    let short = |r: Range<usize>| (r.clone(), without_host(&text[r]));
    replace(text, &mentions(text).into_iter().map(short).collect::<Vec<_>>())
}

/// `@user` of `@user@host`.
pub(super) fn without_host(mention: &str) -> &str {
    let host = mention.char_indices().skip(1).find(|(_, c)| *c == '@');
    host.map_or(mention, |(at, _)| &mention[..at])
}

pub(super) fn replace(text: &str, cuts: &[(Range<usize>, &str)]) -> String {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for (range, with) in cuts {
        out.push_str(&text[at..range.start]);
        out.push_str(with);
        at = range.end;
    }
    out + &text[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, find: fn(&str) -> Vec<Range<usize>>) -> Vec<&str> {
        find(text).into_iter().map(|r| &text[r]).collect()
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
}
