//! Text as each network counts it, and what it finds in it: links, hashtags, mentions.
//!
//! Ranges are byte ranges on character boundaries, in order, never overlapping: Bluesky's facets
//! are made of them and nobody checks them after us. Rules follow the table "Text limits and how
//! to count" of the networks' reference. Nothing here panics, whatever the text.

mod bare;
mod count;
mod emoji;
mod html;
mod tags;
mod urls;

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

pub use self::bare::links;
pub use self::count::count;
pub use self::html::{html_to_text, unescaped};
pub use self::tags::{hashtags, mentions, short_mentions};
pub use self::urls::urls;
use crate::spec::{Beside, Placement, Spec};

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
    beside: Beside,
) -> Vec<Problem> {
    let (name, rule) = (spec.name, &placement.text);
    let mut found = Vec::new();
    let mut add = |code, message| found.push(Problem { code, message });

    if text.trim().is_empty() {
        if rule.required {
            add("text_required", format!("{name} takes no post without text."));
        } else if beside != Beside::Media {
            add("text_required", format!("{name} takes no post without text or media."));
        }
    }
    let (max, used) = (rule.limit(beside), count(rule.count, text));
    if used > max {
        let over = amount(used - max, rule.count.unit());
        let with = match beside {
            Beside::Media if rule.max_with_media.is_some() => " with media",
            Beside::Poll if rule.question_max.is_some() => " as the question of a poll",
            _ => "",
        };
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

/// A text as it is compared with what a network reads back: NFC, every run of white space one
/// space, none at the ends. HTML goes through [`html_to_text`] first.
pub fn normalise(text: &str) -> String {
    let composed: String = text.nfc().collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::{Abilities, Count, Derivative, Edit, MediaRule, SendClass, Text};

    #[test]
    fn all_problems_at_once() {
        static RULE: Placement = Placement {
            id: "feed",
            name: "Feed",
            send: SendClass::Blind,
            follows: &[],
            in_budget: true,
            edit: Edit::No,
            measures: &[],
            text: Text {
                max: 10,
                count: Count::Graphemes,
                max_bytes: Some(11),
                max_with_media: Some(9),
                question_max: Some(8),
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
        let said = |text, title, beside| -> Vec<(&str, String)> {
            let all = problems(&spec, &RULE, text, title, beside);
            all.into_iter().map(|p| (p.code, p.message)).collect()
        };
        assert_eq!(said("short", Some("ok"), Beside::Nothing), []);
        assert_eq!(
            said("#ab #cd @e @f", Some("abc"), Beside::Nothing),
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
        assert_eq!(said("0123456789", None, Beside::Media), [("text_too_long", caption.into())]);
        let required = "Exemplum takes no post without text.";
        assert_eq!(said(" \n", None, Beside::Media), [("text_required", required.into())]);
        let question =
            "The text is 1 character too long for Exemplum as the question of a poll (9 of 8).";
        assert_eq!(said("012345678", None, Beside::Poll), [("text_too_long", question.into())]);
    }

    /// Texts that are mostly made of what the finders look for.
    fn tricky() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("https://".to_owned()),
            Just("http://a.io".to_owned()),
            Just("ab.com".to_owned()),
            "[#@/:?(),._ a-c日é-]{0,3}\\.(co|com|co\\.uk|みんな|xn--p1ai)[/?#:)a-c日 -]{0,4}",
            "[👩🏽\u{200d}💻🇩🇪🏴🏳\u{fe0f}🌈❤1\u{20e3}☺\u{fe0e}]{0,6}",
            "[#@＃./:()_ a-zé日🙂\u{301}\u{200d}\u{fe0f}]{0,6}",
            "\\PC{0,4}",
            any::<String>(),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn ranges_are_slices_in_order_and_apart(text in tricky()) {
            for range in links(&text).windows(2) {
                prop_assert!(range[0].end <= range[1].start);
            }
            prop_assert!(links(&text).into_iter().all(|r| text.get(r).is_some_and(|s| !s.is_empty())));
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
            for rule in [Count::Chars, Count::Utf16, Count::Bytes] {
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

        #[test]
        fn weights_are_those_of_the_composed_text(text in tricky()) {
            let n = count(Count::Weighted, &text);
            let (composed, apart): (String, String) = (text.nfc().collect(), text.nfd().collect());
            prop_assert_eq!(n, count(Count::Weighted, &composed));
            prop_assert_eq!(n, count(Count::Weighted, &apart));
            prop_assert!(n <= 2 * count(Count::Chars, &composed) + 23 * links(&composed).len());
        }

        #[test]
        fn weights_add_up_across_a_space(a in tricky(), b in tricky()) {
            let n = |text: &str| count(Count::Weighted, text);
            // With its space: at the very beginning X leaves an `À` out of a domain.
            let b = format!(" {b}");
            prop_assert_eq!(n(&format!("{a}{b}")), n(&a) + n(&b));
        }

        #[test]
        fn one_more_character_undoes_a_link_at_most(text in tricky(), more in any::<char>()) {
            let (before, after) = (text.clone(), format!("{text}{more}"));
            prop_assert!(count(Count::Weighted, &after) + 23 >= count(Count::Weighted, &before));
            // What was a link may count by its characters now: emoji are letters of a domain.
            let link = links(&before).pop().map_or(0, |r| 2 * count(Count::Chars, &before[r]));
            prop_assert!(
                count(Count::Weighted, &after) <= count(Count::Weighted, &before) + link + 25
            );
            for rule in [Count::Bytes, Count::Threads, Count::Graphemes] {
                prop_assert!(count(rule, &after) >= count(rule, &before), "{rule:?}");
            }
        }

        #[test]
        fn threads_counts_at_least_the_characters_and_at_most_the_bytes(text in tricky()) {
            let n = count(Count::Threads, &text);
            prop_assert!((count(Count::Chars, &text)..=text.len()).contains(&n));
        }
    }
}
