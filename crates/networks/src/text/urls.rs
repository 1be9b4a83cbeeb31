//! Links with a scheme, as Mastodon and Bluesky take them; [`super::links`] are X's.

use std::ops::Range;

/// Links: `http://` or `https://`, a host with a dot, then port, path, query, fragment. Closing
/// punctuation of the sentence around it is not part of it.
pub fn urls(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (colon, separator) in text.match_indices("://") {
        let start = ["https", "http"].into_iter().find_map(|name| {
            let start = colon.checked_sub(name.len())?;
            scheme(text.get(start..)?).filter(|len| *len == name.len() + separator.len())?;
            Some(start)
        });
        let Some(start) = start else { continue };
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
    end += port(&rest[end..]);
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

/// How many bytes at the start are `https://` or `http://`.
pub(super) fn scheme(rest: &str) -> Option<usize> {
    let starts = |s: &&str| rest.get(..s.len()).is_some_and(|at| at.eq_ignore_ascii_case(s));
    ["https://", "http://"].iter().find(|s| starts(s)).map(|s| s.len())
}

/// How many bytes at the start are a port, with its colon.
pub(super) fn port(rest: &str) -> usize {
    let Some(port) = rest.strip_prefix(':') else { return 0 };
    let digits = port.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 { 1 + digits } else { 0 }
}

pub(super) fn before(text: &str, at: usize) -> Option<char> {
    text[..at].chars().next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        urls(text).into_iter().map(|r| &text[r]).collect()
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
            assert_eq!(found(text), [expected], "{text}");
        }
        assert_eq!(found("https://a.io,https://b.io/"), ["https://a.io", "https://b.io/"]);
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
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
