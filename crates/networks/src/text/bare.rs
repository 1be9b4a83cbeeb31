//! Links as X sees them: with a scheme, or bare behind a top-level domain that it knows.
//!
//! The rules are those of X's own library, twitter-text 3.1.0, and so are their oddities:
//! `scripts/judge-text` holds one against the other. [`super::urls`] asks for a scheme and takes
//! more of what follows, as Mastodon and Bluesky do.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use super::urls::{before, port, scheme};

static TOP_LEVEL: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("tlds.txt").lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace).collect()
});

/// Characters of the longest top-level domain in the list.
const LONGEST: usize = 18;
/// Most characters of a label as it is looked up, and of a link with its scheme.
const MAX_LABEL: usize = 63;
const MAX_URL: usize = 4_096;
/// Most characters behind `https://t.co/`.
const MAX_SLUG: usize = 40;

/// Links with a scheme, and bare domains of ASCII and Latin letters.
pub fn links(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut run, mut from) = (Vec::new(), Run::default(), 0);
    'text: while let Some(c) = text[from..].chars().next() {
        let next = from + c.len_utf8();
        let behind = may_precede(c).then_some(next);
        for start in behind.into_iter().chain((from == 0).then_some(0)) {
            if let Some(link) = Link::at(text, start, &mut run) {
                from = link.end;
                link.keep(text, &mut found);
                continue 'text;
            }
        }
        from = next;
    }
    found
}

fn may_precede(c: char) -> bool {
    !(c.is_ascii_alphanumeric() || "@＠$#＃\u{fffe}\u{feff}\u{ffff}".contains(c))
}

/// Something that has the form of a link.
struct Link {
    start: usize,
    has_scheme: bool,
    domain: Range<usize>,
    has_path: bool,
    end: usize,
}

impl Link {
    fn at(text: &str, start: usize, run: &mut Run) -> Option<Self> {
        let scheme = scheme(&text[start..]).unwrap_or(0);
        let domain = start + scheme..run.domain(text, start + scheme)?;
        let mut end = domain.end + port(&text[domain.end..]);
        let path = path(&text[end..]);
        end += path;
        end += query(&text[end..]);
        Some(Self { start, has_scheme: scheme > 0, domain, has_path: path > 0, end })
    }

    /// Adds what of it is a link.
    fn keep(self, text: &str, found: &mut Vec<Range<usize>>) {
        let domain = &text[self.domain.clone()];
        let scheme = if self.has_scheme { self.domain.start - self.start } else { 8 };
        let length = scheme + text[self.start..self.end].encode_utf16().count();
        let labels = |label: &str| (1..=MAX_LABEL).contains(&encoded_len(label));
        if length > MAX_URL || !domain.split('.').all(labels) {
            return;
        }
        if self.has_scheme {
            found.extend(without_what_follows_a_slug(text, self.start..self.end));
        } else if !before(text, self.start).is_some_and(|c| "-_./".contains(c)) {
            let whole = |r: Range<usize>| self.domain.start + r.start..self.domain.start + r.end;
            let first = found.len();
            found.extend(latin_domains(domain).into_iter().map(whole));
            if let Some(last) = found[first..].last_mut().filter(|_| self.has_path) {
                // As long as domain and path are, even if letters of another script come between.
                let units = text[self.domain.end..self.end].encode_utf16().count();
                last.end = further(text, last.end, units);
            }
        }
    }
}

/// The place so many UTF-16 units further on.
fn further(text: &str, from: usize, units: usize) -> usize {
    let mut left = units;
    let ahead = text[from..].chars().take_while(|c| {
        let some = left > 0;
        left = left.saturating_sub(c.len_utf16());
        some
    });
    from + ahead.map(char::len_utf8).sum::<usize>()
}

/// A link of X's own shortener ends behind its letters and its query.
fn without_what_follows_a_slug(text: &str, link: Range<usize>) -> Option<Range<usize>> {
    let whole = &text[link.clone()];
    let after = scheme(whole).unwrap_or(0);
    let host = whole.get(after..after + 5).filter(|host| host.eq_ignore_ascii_case("t.co/"));
    let Some(host) = host else { return Some(link) };
    let slug = &whole[after + host.len()..];
    let letters = slug.bytes().take_while(u8::is_ascii_alphanumeric).count();
    match letters {
        0 => Some(link),
        1..=MAX_SLUG => {
            let end = after + host.len() + letters;
            Some(link.start..link.start + end + query(&whole[end..]))
        }
        _ => None,
    }
}

/// A run of characters that domains are made of, and where those in it can end. Looked through
/// once, however many places in it a domain could begin at.
#[derive(Default)]
struct Run {
    range: Range<usize>,
    dots: Vec<Dot>,
}

struct Dot {
    at: usize,
    /// Where the longest domain ends that goes on here, when its top level may follow at once …
    end: Option<usize>,
    /// … and when another label has to come between: a name with `_` is no name to register.
    later: Option<usize>,
}

impl Run {
    fn domain(&mut self, text: &str, start: usize) -> Option<usize> {
        if !self.range.contains(&start) {
            *self = Self::of(text, start);
        }
        let dot = self.dots.get(self.dots.partition_point(|dot| dot.at < start))?;
        dot.behind(&text[start..dot.at])
    }

    fn of(text: &str, start: usize) -> Self {
        let rest = &text[start..];
        let len = rest.find(|c| !(in_label(c) || "-_.".contains(c))).unwrap_or(rest.len());
        let mut dots: Vec<Dot> = Vec::new();
        let mut label_end = start + len;
        for (at, _) in rest[..len].rmatch_indices('.') {
            let at = start + at;
            let later = dots.last().and_then(|dot| dot.behind(&text[at + 1..label_end]));
            let end = later.or_else(|| top_level(&text[at + 1..]).map(|len| at + 1 + len));
            dots.push(Dot { at, end, later });
            label_end = at;
        }
        dots.reverse();
        Self { range: start..start + len, dots }
    }
}

impl Dot {
    /// Where a domain ends in which this label stands before the dot.
    fn behind(&self, label: &str) -> Option<usize> {
        let whole = label.starts_with(in_label) && label.ends_with(in_label);
        let end = if label.contains('_') { self.later } else { self.end };
        end.filter(|_| whole)
    }
}

/// All but ASCII punctuation, white space and marks of direction: of any script, emoji too.
fn in_label(c: char) -> bool {
    let punctuation = c.is_ascii_punctuation() && c != '"' && c != '`';
    let mark = matches!(c, '\u{180e}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    !(punctuation || mark || c.is_whitespace())
}

/// How many bytes at the start are a top-level domain.
fn top_level(rest: &str) -> Option<usize> {
    let encoded = rest.get(..4).filter(|start| start.eq_ignore_ascii_case("xn--"));
    if let Some(start) = encoded {
        let more = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
        let more = rest[start.len()..].bytes().take_while(more).count();
        return (more > 0).then_some(start.len() + more);
    }
    let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8()).take(LONGEST);
    let glued = |c: char| c.is_ascii_alphanumeric() || "@+-".contains(c);
    let known = |end: &usize| {
        !rest[*end..].starts_with(glued) && TOP_LEVEL.contains(rest[..*end].to_lowercase().as_str())
    };
    ends.filter(known).last()
}

/// The domains of ASCII and Latin letters inside a domain of any script.
fn latin_domains(domain: &str) -> Vec<Range<usize>> {
    let label = |from: usize| {
        let rest = &domain[from..];
        rest.find(|c| !(c == '-' || is_latin(c))).unwrap_or(rest.len())
    };
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(c) = domain[at..].chars().next() {
        let first = label(at);
        let (mut end, mut dot) = (None, at + first);
        let mut len = first;
        while len > 0 && domain[dot..].starts_with('.') {
            end = top_level(&domain[dot + 1..]).map(|top| dot + 1 + top).or(end);
            len = label(dot + 1);
            dot += 1 + len;
        }
        found.extend(end.map(|end| at..end));
        at = end.unwrap_or(at + first.max(c.len_utf8()));
    }
    found
}

/// ASCII letters and digits, and letters with the accents of Latin.
fn is_latin(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(c, 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='\u{24f}' | '\u{253}' | '\u{254}' | '\u{256}'
            | '\u{257}' | '\u{259}' | '\u{25b}' | '\u{263}' | '\u{268}' | '\u{26f}' | '\u{272}'
            | '\u{289}' | '\u{28b}' | '\u{2bb}' | '\u{300}'..='\u{36f}' | '\u{1e00}'..='\u{1eff}')
}

fn is_word(c: char) -> bool {
    is_latin(c) || matches!(c, '\u{400}'..='\u{4ff}')
}

/// How many bytes at the start are a path: from its slash to the last character that may end it.
fn path(rest: &str) -> usize {
    if !rest.starts_with('/') {
        return 0;
    }
    let (mut at, mut end) = (1, 1);
    while let Some(c) = rest[at..].chars().next() {
        let group = if c == '(' { balanced(&rest[at..]) } else { None };
        let Some(len) = group.or(in_path(c).then(|| c.len_utf8())) else { break };
        at += len;
        if group.is_some() || is_word(c) || "+-=_#/".contains(c) {
            end = at;
        }
    }
    end
}

fn in_path(c: char) -> bool {
    is_word(c) || "!*';:=+,.$/%#[]-–_~@|&".contains(c)
}

/// `(film)`, or one such inside another: how many bytes.
fn balanced(rest: &str) -> Option<usize> {
    let run = |from: usize| rest[from..].find(|c| !in_path(c)).map(|len| from + len);
    let first = run(1)?;
    if rest[first..].starts_with(')') {
        return (first > 1).then_some(first + 1);
    }
    rest[first..].strip_prefix('(')?;
    let inner = run(first + 1)?;
    if inner == first + 1 || !rest[inner..].starts_with(')') {
        return None;
    }
    let last = run(inner + 1)?;
    rest[last..].starts_with(')').then_some(last + 1)
}

/// How many bytes at the start are a query, from its question mark on.
fn query(rest: &str) -> usize {
    let Some(query) = rest.strip_prefix('?') else { return 0 };
    let inside = |c: char| c.is_ascii_alphanumeric() || "!?*'@();:&=+$/%#[]-_.,~|".contains(c);
    let run = &query[..query.find(|c| !inside(c)).unwrap_or(query.len())];
    let last = run.rfind(|c: char| c.is_ascii_alphanumeric() || "-_&=#/".contains(c));
    last.map_or(0, |at| 1 + at + 1)
}

/// The length of a label in the form in which it is looked up (RFC 3492). A full stop of another
/// script separates, too.
fn encoded_len(label: &str) -> usize {
    if label.is_ascii() {
        return label.len();
    }
    let parts = label.split(['。', '．', '｡']);
    let len = |part: &str| if part.is_ascii() { part.len() } else { 4 + punycode_len(part) };
    parts.map(|part| len(part) + 1).sum::<usize>() - 1
}

fn punycode_len(label: &str) -> usize {
    const BASE: u64 = 36;
    let points: Vec<u64> = label.chars().map(|c| u64::from(u32::from(c))).collect();
    // Each character becomes at least one, so there is no need to count on.
    if points.len() > MAX_LABEL {
        return points.len();
    }
    let basic = points.iter().filter(|c| **c < 128).count();
    let mut len = basic + usize::from(basic > 0);
    let (mut n, mut delta, mut bias, mut done) = (128, 0, 72, basic as u64);
    while let Some(next) = points.iter().copied().filter(|c| *c >= n).min() {
        delta += (next - n) * (done + 1);
        n = next;
        for c in &points {
            delta += u64::from(*c < n);
            if *c == n {
                let (mut rest, mut k) = (delta, BASE);
                loop {
                    let t = k.saturating_sub(bias).clamp(1, 26);
                    len += 1;
                    if rest < t {
                        break;
                    }
                    rest = (rest - t) / (BASE - t);
                    k += BASE;
                }
                bias = adapted(delta, done + 1, done == basic as u64);
                (delta, done) = (0, done + 1);
            }
        }
        (delta, n) = (delta + 1, n + 1);
    }
    len
}

fn adapted(delta: u64, points: u64, first: bool) -> u64 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > 455 {
        (delta, k) = (delta / 35, k + 36);
    }
    k + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        links(text).into_iter().map(|r| &text[r]).collect()
    }

    #[test]
    fn bare_domains_and_what_belongs_to_them() {
        for (text, expected) in [
            ("see example.com.", &["example.com"][..]),
            ("EXAMPLE.CO.UK/a?b=c#d", &["EXAMPLE.CO.UK/a?b=c#d"]),
            ("example.com/a?b=c&d", &["example.com/a?b=c&d"]),
            ("example.com:8080/a", &["example.com:8080/a"]),
            // Without a path neither port nor query belong to it.
            ("example.com:8080", &["example.com"]),
            ("example.com?a=b", &["example.com"]),
            ("a.com,b.org;c.de", &["a.com", "b.org", "c.de"]),
            ("\"example.com\"", &["example.com"]),
            ("(example.com/a_(b))", &["example.com/a_(b)"]),
            ("詳細はexample.comまで", &["example.com"]),
            ("bücher.de/straße", &["bücher.de/straße"]),
            ("foo_bar.example.com", &["bar.example.com"]),
            ("xn--bcher-kva.example.xn--p1ai", &["xn--bcher-kva.example.xn--p1ai"]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn with_a_scheme_any_script_will_do() {
        for (text, expected) in [
            ("https://例え.みんな/a", &["https://例え.みんな/a"][..]),
            ("https://example.com/路", &["https://example.com/"]),
            ("http://пример.рф/путь", &["http://пример.рф/путь"]),
            ("https://t.co/abc123/more", &["https://t.co/abc123"]),
            ("https://example.com/wiki/Bell_(a_(b)).", &["https://example.com/wiki/Bell_(a_(b))"]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_link_on_x() {
        for text in [
            "me@example.com",
            "example.notatld",
            "#example.com",
            "@example.com",
            "example.comx",
            "example.com-a",
            "-example.com",
            "a_b.com",
            "example .com",
            "例え.みんな",
            "https://localhost",
            "https://example.invalid",
            "1.5",
            "e.g.",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
        let long = format!("https://{}.com https://{}.com", "a".repeat(64), "日".repeat(60));
        assert_eq!(found(&long), [""; 0]);
        let slug = format!("https://t.co/{}", "a".repeat(41));
        assert_eq!(found(&slug), [""; 0]);
    }

    #[test]
    fn labels_are_encoded_as_they_are_looked_up() {
        // RFC 3492, section 7.1.
        for (label, encoded) in [
            ("他们为什么不说中文", "ihqwcrb4cv8a8dqg056pqjye"),
            ("3年B組金八先生", "3B-ww4c5e180e575a65lsy2b"),
            ("Hello-Another-Way-それぞれの場所", "Hello-Another-Way--fc4qua05auwb3674vfr0b"),
            ("bücher", "bcher-kva"),
        ] {
            assert_eq!(punycode_len(label), encoded.len(), "{label}");
        }
    }
}
