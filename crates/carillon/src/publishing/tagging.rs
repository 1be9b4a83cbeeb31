//! UTM parameters in the links of a text, so that visits are counted to a post.
//!
//! Done twice it is as done once: what a link has already stays. Only `http` and `https` links are
//! touched, as networks find them; one that would run into what stands behind it is left as it is.

use std::ops::Range;

use carillon_networks::text::urls;

/// The text with these parameters in each of its links, and how many links changed.
pub fn tagged(text: &str, tags: &[(&str, String)]) -> (String, usize) {
    let (mut done, mut changed, mut end) = (String::new(), 0, text.len());
    // From the last on, so that each is seen before what really follows it.
    for Range { start, end: link_end } in urls(text).into_iter().rev() {
        done.insert_str(0, &text[link_end..end]);
        let link = &text[start..link_end];
        let with = with(link, tags).filter(|with| stands(with, &done));
        changed += usize::from(with.is_some());
        done.insert_str(0, with.as_deref().unwrap_or(link));
        end = start;
    }
    done.insert_str(0, &text[..end]);
    (done, changed)
}

/// Is it still one link, and the whole of it, before what follows?
fn stands(link: &str, rest: &str) -> bool {
    let rest = rest.split(char::is_whitespace).next().unwrap_or_default();
    urls(&format!("{link}{rest}")).first() == Some(&(0..link.len()))
}

/// A link with those of the parameters that it lacks; `None` when it has them all.
fn with(link: &str, tags: &[(&str, String)]) -> Option<String> {
    let (before, fragment) = match link.find('#') {
        Some(at) => link.split_at(at),
        None => (link, ""),
    };
    let (address, query) = match before.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (before, None),
    };
    let has = |key: &str| {
        let names = query.unwrap_or_default().split('&').map(|pair| pair.split('=').next());
        names.flatten().any(|name| name.eq_ignore_ascii_case(key))
    };
    let added: Vec<String> = tags
        .iter()
        .filter(|(key, value)| !value.is_empty() && !has(key))
        .map(|(key, value)| format!("{key}={}", encoded(value)))
        .collect();
    if added.is_empty() {
        return None;
    }
    let added = added.join("&");
    let host_only = !address.split_once("://")?.1.contains('/');
    let slash = if host_only { "/" } else { "" };
    let query = match query {
        None => added,
        Some(query) if query.is_empty() || query.ends_with('&') => format!("{query}{added}"),
        Some(query) => format!("{query}&{added}"),
    };
    Some(format!("{address}{slash}?{query}{fragment}"))
}

/// A value as it stands in a query. A dot at its end would be taken for that of the sentence.
fn encoded(value: &str) -> String {
    let last = value.len() - 1;
    let byte = |(n, b): (usize, u8)| match b {
        b'.' if n == last => "%2E".to_owned(),
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(b).to_string()
        }
        b => format!("%{b:02X}"),
    };
    value.bytes().enumerate().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tags() -> Vec<(&'static str, String)> {
        vec![("utm_source", "mastodon".into()), ("utm_campaign", "quiz night".into())]
    }

    #[test]
    fn each_link_gets_what_it_lacks() {
        let all = "utm_source=mastodon&utm_campaign=quiz%20night";
        for (text, expected) in [
            ("https://a.io", format!("https://a.io/?{all}")),
            ("Go: https://a.io/x.", format!("Go: https://a.io/x?{all}.")),
            ("http://a.io/?b=c#d", format!("http://a.io/?b=c&{all}#d")),
            ("https://a.io/?", format!("https://a.io/?{all}?")),
            ("https://a.io/?x&", format!("https://a.io/?x&{all}")),
            ("(https://a.io/x)", format!("(https://a.io/x?{all})")),
            (
                "https://a.io/?UTM_source=x",
                "https://a.io/?UTM_source=x&utm_campaign=quiz%20night".into(),
            ),
            ("ftp://a.io a.io mailto:x@a.io", "ftp://a.io a.io mailto:x@a.io".into()),
            ("https://a.io, https://b.io", format!("https://a.io/?{all}, https://b.io/?{all}")),
            // It would swallow the other one.
            ("https://a.io,https://b.io/", format!("https://a.io,https://b.io/?{all}")),
        ] {
            assert_eq!(tagged(text, &tags()).0, expected, "{text}");
        }
        assert_eq!(tagged("https://a.io", &[("utm_term", String::new())]).1, 0);
        assert_eq!(
            tagged("https://a.io", &[("utm_term", "v1.".into())]).0,
            "https://a.io/?utm_term=v1%2E"
        );
    }

    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-z]{1,3}://[a-z.]{1,8}(/[a-z)(.,]{0,4})?(\\?[a-z_=&]{0,6})?(#[a-z]{0,2})?",
            "https?://[a-z]{1,3}\\.[a-z]{2}(/[a-z)(.,;]{0,4})?(\\?(utm_source=x)?[&=a-z]{0,4})?(#[a-z]{0,2})?",
            "[ ,.()é、\\n]{1,3}",
            any::<String>(),
        ];
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn done_twice_it_is_as_done_once(text in text()) {
            let (once, _) = tagged(&text, &tags());
            let (twice, changed) = tagged(&once, &tags());
            prop_assert_eq!((&once, changed), (&twice, 0));
        }

        #[test]
        fn what_is_no_link_stays_and_no_link_is_lost(text in text()) {
            let (once, changed) = tagged(&text, &tags());
            let (before, after) = (urls(&text), urls(&once));
            prop_assert_eq!(before.len(), after.len());
            prop_assert!(changed <= before.len());
            let around = |text: &str, links: &[Range<usize>]| {
                let mut at = 0;
                let mut found = Vec::new();
                for link in links {
                    found.push(text[at..link.start].to_owned());
                    at = link.end;
                }
                found.push(text[at..].to_owned());
                found
            };
            prop_assert_eq!(around(&text, &before), around(&once, &after));
        }
    }
}
