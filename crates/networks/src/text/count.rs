//! How long a text is for each network.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::bare::links;
use super::emoji;
use super::tags::{mentions, replace, without_host};
use super::urls::urls;
use crate::spec::Count;

/// What Mastodon and X count for every link, however long it is.
const URL: &str = "xxxxxxxxxxxxxxxxxxxxxxx";

/// How long a text is for a network.
pub fn count(rule: Count, text: &str) -> usize {
    match rule {
        Count::Chars => text.chars().count(),
        Count::Utf16 => text.encode_utf16().count(),
        Count::Bytes => text.len(),
        Count::Graphemes => text.graphemes(true).count(),
        Count::Mastodon => mastodon_countable(text).graphemes(true).count(),
        Count::Weighted => weighted(text),
        Count::Threads => text.graphemes(true).map(on_threads).sum(),
    }
}

/// The text with every URL as 23 letters and every remote mention without its host.
fn mastodon_countable(text: &str) -> String {
    let mut cuts: Vec<(Range<usize>, &str)> = urls(text).into_iter().map(|r| (r, URL)).collect();
    cuts.extend(mentions(text).into_iter().map(|r| (r.clone(), without_host(&text[r]))));
    cuts.sort_by_key(|(r, _)| r.start);
    replace(text, &cuts)
}

/// X's weights (version 3 of its configuration): the composed text, every link 23, every emoji 2,
/// the letters of most alphabets 1 and all else 2.
fn weighted(text: &str) -> usize {
    let text: String = text.nfc().collect();
    let mut links = links(&text).into_iter().peekable();
    let (mut n, mut at) = (0, 0);
    while let Some(c) = text[at..].chars().next() {
        let (weight, len) = match links.next_if(|link| link.start == at) {
            Some(link) => (URL.len(), link.len()),
            None => match emoji::sequence(&text[at..]) {
                Some(len) => (2, len),
                None => (weight(c), c.len_utf8()),
            },
        };
        (n, at) = (n + weight, at + len);
    }
    n
}

fn weight(c: char) -> usize {
    match u32::from(c) {
        0..=4_351 | 8_192..=8_205 | 8_208..=8_223 | 8_242..=8_247 => 1,
        _ => 2,
    }
}

/// Threads counts characters, and of an emoji its bytes.
fn on_threads(cluster: &str) -> usize {
    if emoji::is_picture(cluster) { cluster.len() } else { cluster.chars().count() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_counting() {
        // A family emoji is one cluster of five code points; `é` here is two code points.
        let text = "👩‍👩‍👧 e\u{301}";
        assert_eq!(count(Count::Chars, text), 8);
        assert_eq!(count(Count::Utf16, text), 11);
        assert_eq!(count(Count::Graphemes, text), 3);
        assert_eq!(count(Count::Bytes, text), 22);
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
    fn x_weighs_letters_links_and_emoji() {
        let n = |text: &str| count(Count::Weighted, text);
        assert_eq!(n("Fresh bread"), 11);
        assert_eq!(n("焼きたて"), 8);
        assert_eq!(n("“quoted” – yes…"), 1 + 6 + 1 + 1 + 1 + 1 + 3 + 2);
        assert_eq!(n("see example.com and https://a.io/b."), 4 + 23 + 5 + 23 + 1);
        assert_eq!(n("👩‍👩‍👧‍👦🇩🇪👍🏽1️⃣"), 8);
        // Composed first: two characters are one, and lose their joint weight.
        assert_eq!((n("e\u{301}"), n("が"), n("か\u{3099}")), (1, 2, 2));
    }

    #[test]
    fn threads_counts_emoji_by_their_bytes() {
        let n = |text: &str| count(Count::Threads, text);
        assert_eq!(n("Grüße, 日本"), 9);
        assert_eq!(n("hi 😀"), 3 + 4);
        assert_eq!(n("👩‍👩‍👧‍👦"), "👩‍👩‍👧‍👦".len());
        assert_eq!(n("1 ©™ #"), 6);
    }
}
