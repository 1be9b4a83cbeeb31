//! Texts counted as the networks count them: by the examples that the composer is held to as well,
//! and by X's own library.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use carillon_networks::spec::Count;
use carillon_networks::text::count;
use serde::Deserialize;

/// A text, and how long it is for each kind of counter. `weighted` is what X's library says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    what: String,
    text: String,
    chars: usize,
    utf16: usize,
    bytes: usize,
    graphemes: usize,
    mastodon: usize,
    weighted: usize,
    threads: usize,
}

fn examples() -> Vec<Example> {
    serde_json::from_str(include_str!("../texts.json")).unwrap()
}

#[test]
fn every_counter_agrees_with_the_examples() {
    for example in examples() {
        let Example { what, text, .. } = &example;
        for (rule, expected) in [
            (Count::Chars, example.chars),
            (Count::Utf16, example.utf16),
            (Count::Bytes, example.bytes),
            (Count::Graphemes, example.graphemes),
            (Count::Mastodon, example.mastodon),
            (Count::Weighted, example.weighted),
            (Count::Threads, example.threads),
        ] {
            assert_eq!(count(rule, text), expected, "{what}, {rule:?}: {text}");
        }
    }
}

#[test]
fn the_composer_knows_the_same_top_level_domains() {
    let composer = "/../../web/src/features/composer/tlds.txt";
    let theirs = std::fs::read_to_string(format!("{}{composer}", env!("CARGO_MANIFEST_DIR")));
    assert_eq!(theirs.unwrap(), include_str!("../../src/text/tlds.txt"));
}

#[test]
fn a_text_without_end_is_counted_in_a_moment() {
    for piece in ["日", "日.", "a.", "a_.", "https://", "(", "/(a", "a@b.com ", "👩‍👩‍", "a\u{301}"]
    {
        for rule in [Count::Weighted, Count::Mastodon, Count::Threads] {
            assert!(count(rule, &piece.repeat(20_000)) > 0);
        }
    }
}

/// What the judge knows of our texts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Judged {
    lengths: Vec<usize>,
    top_level: BTreeSet<String>,
}

fn judged(texts: &[String]) -> Judged {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/judge-text");
    let mut judge = Command::new(script);
    let mut judge = judge.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    judge.stdin.take().unwrap().write_all(&serde_json::to_vec(texts).unwrap()).unwrap();
    let said = judge.wait_with_output().unwrap();
    assert!(said.status.success(), "the judge has failed");
    serde_json::from_slice(&said.stdout).unwrap()
}

/// Always the same numbers, so that two runs compare the same texts.
struct Dice(u64);

impl Dice {
    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        // Vigna's splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let at = (z ^ (z >> 31)) % from.len() as u64;
        &from[usize::try_from(at).unwrap()]
    }
}

#[rustfmt::skip]
const PIECES: &[&str] = &[
    "https://", "http://", "HTTPS://", "www.", "example", "ab", "a-b", "a_b", "日本", "bücher", "straße",
    ".", "..", ".com", ".co.uk", ".de", ".xn--p1ai", ".COM", ".museum", ".中国", "/", "/path", "/a(b)",
    "/(a(b))", "/路", "/путь", "?a=b", "?", "#frag", "&", "@", "#", "$", "-", "_", ":8080", ":", " ", " ",
    " ", "\n", "(", ")", "\"", "“", "”", ",", "!", "…", "。", "、", "т", "e\u{301}", "か\u{3099}", "\u{a0}",
    "\u{200b}", "\u{200e}", "t.co/", "https://t.co/abc", "a@b.com", "x", "1", "0", "%", "~", "|", "[", "]",
    "é", "–", "\u{2028}", "\u{85}", "`", "'", "Fresh bread, from seven. ", "Свежий хлеб ", "갓 구운 빵 ",
    "焼きたてのパン、七時から。", "see https://example.com/a/b?c=d#e, or example.org/x. ",
];

#[rustfmt::skip]
const EMOJI: &[&str] = &[
    "😀", "❤️", "❤", "👍", "👍🏽", "☝🏿", "☝️", "🇩🇪", "🇨🇭", "🇦🇦", "1️⃣", "#⃣", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🏴‍☠️", "🏳️‍🌈", "👩‍💻", "👩🏾‍💻", "🕵️‍♂️", "🕵🏻‍♂️",
    "👨‍👩‍👧‍👦", "👩‍❤️‍💋‍👨", "👩🏻‍❤️‍💋‍👨🏿", "🧑🏻‍🤝‍🧑🏿", "🐈‍⬛", "🧑‍🎄", "©️", "©", "®", "™", "☺\u{fe0e}", "\u{200d}", "\u{fe0f}", "🐱‍💻",
    "👩‍⚕", "👩‍⚕️", "🇩", "⛹🏽‍♀️", "⛹️‍♀️", "🧜‍♀️", "👯‍♂️", "❤️‍🔥", "😶‍🌫️", "🐻‍❄️", "🏳️‍⚧️", "👨🏽‍🦱", "👩‍👦", "🫱🏻‍🫲🏿",
];

#[test]
#[ignore = "asks X's own library, from npm"]
fn the_networks_own_library_agrees() {
    let ours = include_str!("../../src/text/tlds.txt").lines().filter(|l| !l.starts_with('#'));
    let top_level: BTreeSet<String> =
        ours.flat_map(str::split_whitespace).map(str::to_owned).collect();
    let mut texts: Vec<String> = examples().into_iter().map(|example| example.text).collect();
    let written = texts.len();
    texts.extend(top_level.iter().map(|name| format!("Say it: ab.{name}/x, ok")));
    let named = texts.len() - written;
    // Where weights change, and emoji with them.
    texts.extend(('\0'..'\u{3000}').map(|c| format!("{c} {c}\u{fe0f}")));
    let signs = texts.len() - written - named;
    let dice = &mut Dice(2026);
    let made = 6_000;
    for _ in 0..made {
        let mut text = String::new();
        for _ in 0..*dice.pick(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 20]) {
            let from = if *dice.pick(&[false, false, false, false, true]) { EMOJI } else { PIECES };
            let piece: &&str = dice.pick(from);
            text.push_str(piece);
        }
        texts.push(text);
    }
    let judged = judged(&texts);
    assert_eq!(judged.lengths.len(), texts.len());
    let mut differ = String::new();
    let mut many = 0;
    for (text, theirs) in texts.iter().zip(judged.lengths) {
        let n = count(Count::Weighted, text);
        if n != theirs {
            many += 1;
            writeln!(differ, "{n} here, {theirs} there: {text:?}").unwrap();
        }
    }
    println!(
        "{} texts weighed by X's library as well ({written} examples, {named} top-level domains, \
         {signs} characters, {made} made of pieces): {many} differ",
        texts.len()
    );
    assert!(differ.is_empty(), "{differ}");
    assert_eq!(top_level, judged.top_level, "the top-level domains that X knows");
}
