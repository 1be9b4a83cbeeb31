//! What a medium is found by: its words and tags, folded so that case and accents do not matter.
//!
//! Beside the words of name, description and tags there are marked ones, so that a filter is a word
//! like any other: `#tag`, `:picture` or `:video`, and `!alt` where a description is missing. No
//! word of a text begins as they do.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::domain::refusal::{Refusal, Wrong};
use crate::store::library::Sought;
use crate::store::media::Media;

/// Most characters of a word that count.
const WORD_MAX: usize = 40;
/// Most characters of a tag.
const TAG_MAX: usize = 40;
/// Most tags of one medium.
const TAGS_MAX: usize = 50;
/// The word of media without a description.
pub(super) const NO_ALT: &str = "!alt";

/// The words of a text: lower case, without marks, split at what is no letter or digit.
pub fn fold(text: &str) -> impl Iterator<Item = String> {
    let lower = text.nfkd().flat_map(char::to_lowercase).nfkd();
    let plain: String = lower.filter(|c| !is_combining_mark(*c)).collect();
    let words: Vec<String> = plain
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(WORD_MAX).collect())
        .collect();
    words.into_iter()
}

/// Everything that a medium is found by, each once, between spaces.
pub(super) fn of(medium: &Media) -> String {
    let mut words: BTreeSet<String> = fold(&medium.name).chain(fold(&medium.alt)).collect();
    for tag in tags(&medium.tags) {
        words.extend(fold(tag));
        words.insert(format!("#{tag}"));
    }
    if medium.alt.is_empty() {
        words.insert(NO_ALT.to_owned());
    }
    words.insert(kind(medium.is_video()).to_owned());
    spaced(words.iter().map(String::as_str))
}

/// The word of every picture, or of every video.
pub(super) fn kind(video: bool) -> &'static str {
    if video { ":video" } else { ":picture" }
}

/// Words as a row keeps them: `" quay at dawn "`.
pub(super) fn spaced<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.fold(
        String::new(),
        |all, word| if all.is_empty() { format!(" {word} ") } else { all + word + " " },
    )
}

pub(super) fn tags(kept: &str) -> impl Iterator<Item = &str> {
    kept.split_whitespace()
}

/// The tags of a list, as they are kept.
pub(super) fn tags_of(texts: &[String]) -> Result<BTreeSet<String>, Refusal> {
    let tags = texts.iter().map(|text| tag(text)).collect::<Result<BTreeSet<_>, _>>()?;
    if tags.len() > TAGS_MAX {
        let message = format!("A medium has at most {TAGS_MAX} tags.");
        return Err(Refusal::invalid(vec![Wrong::new("tags", "too_many_tags", message)]));
    }
    Ok(tags)
}

/// A tag as it is kept: `Summer Sale` is `summer-sale`.
pub(super) fn tag(text: &str) -> Result<String, Refusal> {
    let lower: String = text.nfc().flat_map(char::to_lowercase).nfc().collect();
    let parts: Vec<&str> = lower.split(|c: char| !tagged(c)).filter(|p| !p.is_empty()).collect();
    let tag = parts.join("-");
    if tag.is_empty() || tag.chars().count() > TAG_MAX {
        let message =
            format!("A tag has letters or digits, at most {TAG_MAX} of them; “{text}” is none.");
        return Err(Refusal::invalid(vec![Wrong::new("tags", "invalid_tag", message)]));
    }
    Ok(tag)
}

fn tagged(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// What begins with this word.
pub(super) fn beginning(word: &str) -> Sought {
    Sought { from: word.to_owned(), until: format!("{word}\u{10ffff}"), like: format!("% {word}%") }
}

/// This word and no other.
pub(super) fn exactly(word: &str) -> Sought {
    Sought { from: word.to_owned(), until: format!("{word}\u{1}"), like: format!("% {word} %") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str) -> Vec<String> {
        fold(text).collect()
    }

    #[test]
    fn case_accents_and_signs_do_not_matter() {
        for (text, words) in [
            ("Quay at Dawn.JPG", vec!["quay", "at", "dawn", "jpg"]),
            ("Crème brûlée", vec!["creme", "brulee"]),
            ("ＦＵＬＬ ﬁne ①", vec!["full", "fine", "1"]),
            ("İstanbul’da", vec!["istanbul", "da"]),
            ("IMG_2026-12-24", vec!["img", "2026", "12", "24"]),
            ("100% 'quoted' a_b", vec!["100", "quoted", "a", "b"]),
            ("港の夜明け", vec!["港の夜明け"]),
            ("…", vec![]),
        ] {
            assert_eq!(folded(text), words, "{text}");
        }
    }

    #[test]
    fn folding_again_changes_no_character() {
        for c in '\0'..=char::MAX {
            for word in fold(&c.to_string()) {
                assert_eq!(folded(&word), [word.as_str()], "{c:?} U+{:04X}", u32::from(c));
            }
        }
    }

    #[test]
    fn a_tag_is_one_word() {
        for (text, kept) in [
            ("Summer Sale!", "summer-sale"),
            (" #Café ", "café"),
            ("a--b", "a-b"),
            ("2026", "2026"),
        ] {
            assert_eq!(tag(text).as_deref(), Ok(kept));
        }
        assert!(tag("!?").is_err() && tag("").is_err() && tag(&"x".repeat(41)).is_err());
    }

    proptest! {
        #[test]
        fn words_fold_to_themselves_and_hold_no_sign_of_the_database(text in ".{0,60}") {
            for word in fold(&text) {
                prop_assert!(!word.is_empty() && word.chars().all(char::is_alphanumeric), "{word:?}");
                prop_assert_eq!(folded(&word), [word.as_str()]);
            }
        }

        #[test]
        fn the_beginning_of_a_word_finds_it_and_no_longer_word_is_exactly_it(word in "[a-zé0-9]{1,12}", n in 1usize..12) {
            let word = fold(&word).next().expect("a word");
            let start: String = word.chars().take(n).collect();
            let (begins, exact) = (beginning(&start), exactly(&start));
            prop_assert!(begins.from <= word && word < begins.until);
            prop_assert_eq!(exact.from <= word && word < exact.until, start == word);
        }

        #[test]
        fn a_tag_stays_as_it_is(text in "[A-Za-zÀ-ÿ0-9 #_-]{1,30}") {
            if let Ok(kept) = tag(&text) {
                prop_assert_eq!(tag(&kept).expect("a tag"), kept);
            }
        }
    }
}
