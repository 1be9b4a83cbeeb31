//! Emoji of several characters that people see as one: flags, keycaps, skin tones, joined pictures.
//!
//! What may be joined is Unicode's list of sequences for interchange (Emoji 17), written as its
//! rules: anything else that is joined shows as its parts, and counts as them.

use std::collections::HashSet;
use std::sync::LazyLock;

use unicode_properties::{EmojiStatus, UnicodeEmoji};

const JOINER: char = '\u{200d}';
const AS_PICTURE: char = '\u{fe0f}';
const KEYCAP: char = '\u{20e3}';
const TAGS_END: char = '\u{e007f}';
/// The flags of England, Scotland and Wales.
const REGIONS: [&str; 3] = ["gbeng", "gbsct", "gbwls"];
/// Most pictures that are joined to one.
const MOST: usize = 4;
/// Bytes of a skin tone.
const TONE: usize = 4;

/// The regions that have a flag, two letters each.
const FLAGS: &str = "ACADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZ\
    CACCCDCFCGCHCICKCLCMCNCOCPCQCRCUCVCWCXCYCZDEDGDJDKDMDODZEAECEEEGEHERESETEUFIFJFKFMFOFRGAGBGDGEGF\
    GGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHMHNHRHTHUICIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALB\
    LCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOMPAPEPF\
    PGPHPKPLPMPNPRPSPTPWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTATCTDTFTGTHTJTKTLTM\
    TNTOTRTTTVTWTZUAUGUMUNUSUYUZVAVCVEVGVIVNVUWFWSXKYEYTZAZMZW";

/// Pictures by themselves that may carry a selector all the same: they were signs of the text once.
const SELECTABLE: &str =
    "⌚⌛◽◾☔☕♈♉♊♋♌♍♎♏♐♑♒♓♿⚓⚡⚪⚫⚽⚾⛄⛅⛔⛪⛲⛳⛵⛺⛽❗⬛⬜⭐⭕🀄🈚🈯";

const PEOPLE: &str = "🧑👨👩";
/// What makes a person one of a trade, or gives them their hair.
const ROLES: &str = "⚕⚖✈🌾🍳🍼🎓🎤🎨🏫🏭💻💼🔧🔬🚀🚒🦯🦼🦽🦰🦱🦲🦳";
const AIDS: &str = "🦯🦼🦽";
/// What comes as a woman and as a man.
const GENDERED: &str = "⛹🏃🏄🏊🏋🏌👮👯👰👱👳👷💁💂💆💇🕵🙅🙆🙇🙋🙍🙎🚣🚴🚵🚶🤦🤵🤷🤸🤹🤼🤽🤾🦸🦹🧍🧎\
    🧏🧔🧖🧗🧘🧙🧚🧛🧜🧝🧞🧟";
const GENDERS: &str = "♀♂";
/// Who also turns to the right.
const MOVERS: &str = "🏃🚶🧎";
const SINGLE: &str = "🧑🎄 🧑🩰 ⛓💥 ❤🔥 ❤🩹 🍄🟫 🍋🟩 🏳⚧ 🏳🌈 🏴☠ 🐈⬛ 🐕🦺 🐦⬛ 🐦🔥 🐻❄ 😮💨 😵💫 😶🌫 🙂↔ 🙂↕ \
    🧑🤝🧑 👨❤👨 👩❤👨 👩❤👩 👨❤💋👨 👩❤💋👨 👩❤💋👩";
/// Without skin tones these are one character of their own.
const TONED: &str =
    "👨🤝👨 👩🤝👨 👩🤝👩 🧑❤🧑 🧑❤💋🧑 🫱🫲 👨🐰👨 👩🐰👩 🧑🐰🧑 👨🫯👨 👩🫯👩 🧑🫯🧑";
/// Never with skin tones.
const FAMILIES: &str = "👨👦 👨👦👦 👨👧 👨👧👦 👨👧👧 👨👨👦 👨👨👦👦 👨👨👧 👨👨👧👦 👨👨👧👧 👨👩👦 👨👩👦👦 \
    👨👩👧 👨👩👧👦 👨👩👧👧 👩👦 👩👦👦 👩👧 👩👧👦 👩👧👧 👩👩👦 👩👩👦👦 👩👩👧 👩👩👧👦 👩👩👧👧 🧑🧒 🧑🧒🧒 🧑🧑🧒 \
    🧑🧑🧒🧒";

/// What may be joined, as its pictures alone: without joiners, skin tones and selectors.
struct Joined {
    any: HashSet<String>,
    toned: HashSet<&'static str>,
    plain: HashSet<&'static str>,
}

static JOINED: LazyLock<Joined> = LazyLock::new(|| {
    let mut any: HashSet<String> = SINGLE.split_whitespace().map(str::to_owned).collect();
    for who in PEOPLE.chars() {
        any.extend(ROLES.chars().map(|role| format!("{who}{role}")));
        any.extend(AIDS.chars().map(|aid| format!("{who}{aid}➡")));
    }
    for who in GENDERED.chars() {
        any.extend(GENDERS.chars().map(|gender| format!("{who}{gender}")));
    }
    for who in MOVERS.chars() {
        any.insert(format!("{who}➡"));
        any.extend(GENDERS.chars().map(|gender| format!("{who}{gender}➡")));
    }
    let words = |list: &'static str| list.split_whitespace().collect();
    Joined { any, toned: words(TONED), plain: words(FAMILIES) }
});

/// One picture, with its skin tone or its selector.
struct Picture {
    base: char,
    len: usize,
    can_have_tone: bool,
    has_tone: bool,
    /// Is it certain to be shown as a picture, not as a sign of the text?
    qualified: bool,
}

fn picture(rest: &str) -> Option<Picture> {
    use EmojiStatus as S;
    let base = rest.chars().next()?;
    let (by_itself, can_have_tone) = match base.emoji_status() {
        // X takes it for a picture without a selector, and counts one that follows.
        S::EmojiOther => (base == '♾', false),
        S::EmojiModifierBase => (false, true),
        S::EmojiPresentationAndModifierBase => (true, true),
        S::EmojiPresentation
        | S::EmojiPresentationAndEmojiComponent
        | S::EmojiPresentationAndModifierAndEmojiComponent => (true, false),
        _ => return None,
    };
    let selector = if by_itself { "" } else { rest[base.len_utf8()..].get(..3).unwrap_or("") };
    let selector = if selector == "\u{fe0f}" { selector.len() } else { 0 };
    let len = base.len_utf8() + selector;
    let tone = rest[len..].chars().next().filter(|c| can_have_tone && is_tone(*c));
    let has_tone = tone.is_some();
    let qualified = by_itself || selector > 0 || has_tone;
    let len = len + tone.map_or(0, char::len_utf8);
    Some(Picture { base, len, can_have_tone, has_tone, qualified })
}

fn is_tone(c: char) -> bool {
    ('\u{1f3fb}'..='\u{1f3ff}').contains(&c)
}

/// How many bytes at the start are one emoji; `None` where a sign of the text stands.
pub(super) fn sequence(rest: &str) -> Option<usize> {
    let mut chars = rest.chars();
    match (chars.next()?, chars.next()) {
        (c, Some(AS_PICTURE | KEYCAP)) if c.is_ascii_digit() || c == '#' || c == '*' => {
            let selected =
                if rest[1..].starts_with(AS_PICTURE) { AS_PICTURE.len_utf8() } else { 0 };
            let end = 1 + selected;
            rest[end..].starts_with(KEYCAP).then(|| end + KEYCAP.len_utf8())
        }
        (a, b) if letter(a).is_some() => {
            let flag = letter(a).zip(b.and_then(letter)).filter(|(a, b)| is_flag(*a, *b));
            Some(a.len_utf8() * if flag.is_some() { 2 } else { 1 })
        }
        ('🏴', Some('\u{e0061}'..='\u{e007a}')) => region(rest).or(Some('🏴'.len_utf8())),
        _ => joined(rest),
    }
}

/// The letter of a regional indicator.
fn letter(c: char) -> Option<u8> {
    let at = u32::from(c).checked_sub(0x1f1e6).filter(|at| *at < 26)?;
    u8::try_from(at).ok().map(|at| b'A' + at)
}

fn is_flag(a: u8, b: u8) -> bool {
    FLAGS.as_bytes().chunks(2).any(|pair| pair == [a, b])
}

/// A black flag and the tags that say of which region.
fn region(rest: &str) -> Option<usize> {
    let tags = &rest['🏴'.len_utf8()..];
    let end = tags.find(TAGS_END)?;
    let tag = |c: char| u32::from(c).checked_sub(0xe0000).and_then(char::from_u32);
    let name: Option<String> = tags[..end].chars().take(8).map(tag).collect();
    REGIONS.contains(&name?.as_str()).then(|| '🏴'.len_utf8() + end + TAGS_END.len_utf8())
}

/// The longest sequence of pictures that are one, or the first of them.
fn joined(rest: &str) -> Option<usize> {
    let first = picture(rest)?;
    let mut best = first.qualified.then_some(first.len)?;
    let (mut end, mut bases) = (first.len, first.base.to_string());
    for _ in 1..MOST {
        let next = rest[end..].strip_prefix(JOINER).and_then(picture);
        let Some(next) = next.filter(|next| next.qualified) else { break };
        bases.push(next.base);
        end += JOINER.len_utf8() + next.len;
        // Of two people both have a skin tone, or neither.
        let known = |tone: bool| {
            let alike = !next.can_have_tone || tone == first.has_tone;
            let some = if first.has_tone { &JOINED.toned } else { &JOINED.plain };
            alike && (JOINED.any.contains(&bases) || some.contains(bases.as_str()))
        };
        if known(next.has_tone) {
            best = end;
        } else if next.has_tone && known(false) {
            best = end - TONE;
        }
    }
    let selectable = best == first.len && SELECTABLE.contains(first.base);
    let selected = selectable && rest[best..].starts_with(AS_PICTURE);
    Some(if selected { best + AS_PICTURE.len_utf8() } else { best })
}

/// Does this cluster show a picture? Signs of the text that could be one count as such, `©`, `®`
/// and `™` only where a selector says so.
pub(super) fn is_picture(cluster: &str) -> bool {
    let plain = |c: char| c.is_ascii() || "©®™".contains(c);
    cluster.contains([AS_PICTURE, KEYCAP]) && cluster.chars().any(UnicodeEmoji::is_emoji_char)
        || cluster.chars().any(|c| c.is_emoji_char() && !plain(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_one_emoji() {
        for one in [
            "😀",
            "❤️",
            "👍🏽",
            "☝🏿",
            "☝️",
            "⚡️",
            "☝️🏽",
            "🇩🇪",
            "🇨🇶",
            "1️⃣",
            "#⃣",
            "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
            "🏴‍☠️",
            "🏳️‍🌈",
            "👩‍💻",
            "👩🏾‍💻",
            "🕵️‍♂️",
            "🕵🏻‍♂️",
            "🏃🏽‍♀️‍➡️",
            "👨‍👩‍👧‍👦",
            "👩‍❤️‍💋‍👨",
            "👩🏻‍❤️‍💋‍👨🏿",
            "🧑🏻‍🤝‍🧑🏿",
            "🫱🏻‍🫲🏿",
            "🐈‍⬛",
            "🧑‍🎄",
            "©️",
            "⛓️‍💥",
        ] {
            assert_eq!(sequence(one), Some(one.len()), "{one}");
            assert!(is_picture(one), "{one}");
        }
    }

    #[test]
    fn what_is_shown_as_its_parts() {
        for (several, first) in [
            ("🐱‍💻", "🐱"),
            ("👨🏻‍👩🏻‍👦🏻", "👨🏻"),
            ("🧑🏻‍🤝‍🧑", "🧑🏻"),
            ("👩‍🤝‍👩", "👩"),
            ("👩‍⚕", "👩"),
            ("🇦🇦", "🇦"),
            ("😀️", "😀"),
            ("🏴󠁧󠁢󠁸󠁸󠁸󠁿", "🏴"),
            ("👩‍", "👩"),
            ("👨‍👩‍👧🏽", "👨‍👩‍👧"),
        ] {
            assert_eq!(sequence(several), Some(first.len()), "{several}");
        }
        for none in ["a", "1", "#", "é", "日", "©", "☺\u{fe0e}", "\u{200d}", "\u{fe0f}", ""] {
            assert_eq!(sequence(none), None, "{none}");
        }
        for text in ["a", "1", "©", "™", "日", "e\u{301}", "✓"] {
            assert!(!is_picture(text), "{text}");
        }
    }
}
