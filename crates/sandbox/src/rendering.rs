//! What WordPress makes of what an author wrote: paragraphs, typographic signs, excerpts and slugs.
//!
//! Held against a real WordPress 6.1: close enough for a reader and for a client that looks for its
//! own text, not a copy of every rule.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Words of an excerpt that nobody wrote.
const EXCERPT: usize = 55;
const BLOCKS: [&str; 14] = [
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "blockquote",
    "figure",
    "pre",
    "table",
    "div",
];
/// Tags whose text is left as it is.
const VERBATIM: [&str; 4] = ["pre", "code", "style", "script"];

/// Content without blocks of the editor gets paragraphs; the marks of blocks are taken away.
pub(crate) fn paragraphs(content: &str) -> String {
    let textured = textured(content);
    if content.contains("<!-- wp:") {
        return without_block_marks(&textured);
    }
    let text = textured.replace("\r\n", "\n");
    let parts = text.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| match is_block(part) {
            true => format!("{part}\n"),
            false => format!("<p>{}</p>\n", part.replace('\n', "<br />\n")),
        })
        .collect()
}

fn is_block(part: &str) -> bool {
    let name = part.strip_prefix('<').map(tag_name);
    name.is_some_and(|name| BLOCKS.contains(&name.as_str()))
}

fn tag_name(rest: &str) -> String {
    let rest = rest.trim_start_matches('/');
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    rest[..end].to_ascii_lowercase()
}

fn without_block_marks(content: &str) -> String {
    let mut out = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = rest.find("<!--") {
        let end = rest[at..].find("-->").map_or(rest.len(), |end| at + end + 3);
        let mark = rest[at + 4..end].trim_start();
        out.push_str(&rest[..at]);
        if !mark.starts_with("wp:") && !mark.starts_with("/wp:") {
            out.push_str(&rest[at..end]);
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Curly quotes, dashes and escaped ampersands in the text, nothing inside of tags.
pub(crate) fn textured(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while !rest.is_empty() {
        if rest.starts_with('<') {
            let comment = rest.starts_with("<!--");
            let end = match comment {
                true => rest.find("-->").map(|at| at + 3),
                false => rest.find('>').map(|at| at + 1),
            };
            let mut end = end.unwrap_or(rest.len());
            let name = tag_name(&rest[1..]);
            if !comment && !rest.starts_with("</") && VERBATIM.contains(&name.as_str()) {
                let close = format!("</{name}");
                end = rest.find(&close).map_or(rest.len(), |at| at.max(end));
            }
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        } else {
            let end = rest.find('<').unwrap_or(rest.len());
            texture(&rest[..end], &mut out);
            rest = &rest[end..];
        }
    }
    out
}

fn texture(text: &str, out: &mut String) {
    let mut rest = text;
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        let opens = before.is_none_or(|b: char| b.is_whitespace() || "([{".contains(b));
        let (sign, length) = match c {
            '&' if crate::text::entity(rest).is_some() => ("&", 1),
            '&' => ("&#038;", 1),
            '\'' => (if opens { "&#8216;" } else { "&#8217;" }, 1),
            '"' => (if opens { "&#8220;" } else { "&#8221;" }, 1),
            '-' if rest.starts_with("---") => ("&#8212;", 3),
            '-' if rest.starts_with("--") => ("&#8211;", 2),
            '-' if before == Some(' ') && rest.starts_with("- ") => ("&#8211;", 1),
            '.' if rest.starts_with("...") => ("&#8230;", 3),
            c => {
                out.push(c);
                ("", c.len_utf8())
            }
        };
        out.push_str(sign);
        before = Some(c);
        rest = &rest[length..];
    }
}

/// The excerpt that was written, or the first words of the content.
pub(crate) fn excerpt(written: &str, content: &str) -> String {
    if !written.is_empty() {
        return paragraphs(written);
    }
    let mut text = String::new();
    let mut depth = 0_u32;
    for c in paragraphs(content).chars() {
        match c {
            '<' => depth += 1,
            '>' if depth > 0 => depth -= 1,
            c if depth == 0 => text.push(c),
            _ => {}
        }
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let shown = words[..words.len().min(EXCERPT)].join(" ");
    match words.len() {
        0 => String::new(),
        n if n > EXCERPT => format!("<p>{shown} [&hellip;]</p>\n"),
        _ => format!("<p>{shown}</p>\n"),
    }
}

/// Lower case without tags and accents, words joined by hyphens; other scripts in escapes.
pub(crate) fn slug_of(text: &str) -> String {
    let text = without_tags(text).to_lowercase();
    let mut slug = String::new();
    for c in text.trim().nfd().filter(|c| !is_combining_mark(*c)) {
        match c {
            'a'..='z' | '0'..='9' | '_' => slug.push(c),
            // One hyphen for a run of these, and none in front.
            ' ' | '-' | '/' | '.' | '–' | '—' | '\n' | '\t'
                if slug.is_empty() || slug.ends_with('-') => {}
            ' ' | '-' | '/' | '.' | '–' | '—' | '\n' | '\t' => slug.push('-'),
            'ß' => slug.push_str("ss"),
            'æ' => slug.push_str("ae"),
            'œ' => slug.push_str("oe"),
            'ø' => slug.push('o'),
            'ł' => slug.push('l'),
            'đ' => slug.push('d'),
            c if c.is_alphanumeric() => {
                let mut utf8 = [0; 4];
                for byte in c.encode_utf8(&mut utf8).bytes() {
                    slug.push_str(&format!("%{byte:02x}"));
                }
            }
            _ => {}
        }
    }
    slug.chars().take(200).collect::<String>().trim_end_matches('-').to_owned()
}

fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        match rest[at..].find('>') {
            Some(end) => rest = &rest[at + end + 1..],
            None => return out,
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each pair was read off a real WordPress 6.1.9.
    #[test]
    fn texts_are_rendered_as_wordpress_renders_them() {
        assert_eq!(textured("One & two"), "One &#038; two");
        assert_eq!(
            textured("It's \"q\" & <b class=\"x\">x</b>"),
            "It&#8217;s &#8220;q&#8221; &#038; <b class=\"x\">x</b>"
        );
        assert_eq!(paragraphs("Just text\n\nTwo"), "<p>Just text</p>\n<p>Two</p>\n");
        assert_eq!(paragraphs("<p>Hello <b>you</b></p>"), "<p>Hello <b>you</b></p>\n");
        assert_eq!(
            paragraphs("<!-- wp:paragraph -->\n<p>x</p>\n<!-- /wp:paragraph -->"),
            "\n<p>x</p>\n"
        );
        assert_eq!(paragraphs(""), "");
        assert_eq!(excerpt("", "Just text\n\nTwo"), "<p>Just text Two</p>\n");
        assert_eq!(excerpt("", "a & b"), "<p>a &#038; b</p>\n");
        assert_eq!(excerpt("short", "c"), "<p>short</p>\n");
        assert_eq!(excerpt("", ""), "");
    }

    #[test]
    fn slugs_are_made_as_wordpress_makes_them() {
        for (text, slug) in [
            ("My Ünïque Title – yes!", "my-unique-title-yes"),
            ("It's \"q\" & <b>x</b>", "its-q-x"),
            ("Some Slug!/é", "some-slug-e"),
            (" Hello, World! It's  fine -- yes ", "hello-world-its-fine-yes"),
            ("日", "%e6%97%a5"),
            ("!", ""),
        ] {
            assert_eq!(slug_of(text), slug, "{text}");
        }
    }

    #[test]
    fn code_is_left_alone() {
        assert_eq!(
            textured("<code>a && \"b\"</code> -- c..."),
            "<code>a && \"b\"</code> &#8211; c&#8230;"
        );
    }
}
