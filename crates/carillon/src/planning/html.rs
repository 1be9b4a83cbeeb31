//! The text of HTML, as editors and feeds write it.

/// The text of what may be HTML; a text without a tag of an editor's stays as it is.
pub(super) fn written(text: &str) -> String {
    let tags = ["<p>", "<p ", "<div>", "<div ", "<br", "</"];
    if tags.iter().any(|tag| text.contains(tag)) { plain(text) } else { text.to_owned() }
}

/// Without tags and entities; paragraphs and line breaks are lines.
pub(super) fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        let is_tag =
            after.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
        let Some((tag, next)) = after.split_once('>').filter(|_| is_tag) else {
            text.push('<');
            rest = after;
            continue;
        };
        let name = tag.trim_end_matches('/').split_whitespace().next().unwrap_or_default();
        if ["br", "/p", "/div", "/li", "/h1", "/h2", "/h3"]
            .contains(&name.to_ascii_lowercase().as_str())
        {
            text.push('\n');
        }
        rest = next;
    }
    text.push_str(rest);
    decoded(&text).trim_end_matches('\n').to_owned()
}

/// With entities as their characters; what is none stays.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let known = after.split_once(';').filter(|(name, _)| name.len() <= 10);
        match known.and_then(|(name, next)| Some((character(name)?, next))) {
            Some((c, next)) => {
                out.push(c);
                rest = next;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn character(entity: &str) -> Option<char> {
    if let Some(number) = entity.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?).filter(|c| *c != '\0');
    }
    let known = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", '\u{a0}'),
        ("hellip", '…'),
        ("ndash", '–'),
        ("mdash", '—'),
        ("lsquo", '‘'),
        ("rsquo", '’'),
        ("ldquo", '“'),
        ("rdquo", '”'),
    ];
    known.iter().find(|(name, _)| *name == entity).map(|(_, c)| *c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_no_html_stay() {
        for text in ["1 < 2", "a <3 b", "x &amp; y", "  = 1"] {
            assert_eq!(written(text), text);
        }
        assert_eq!(written("<p>1 &lt; 2</p>"), "1 < 2");
    }

    #[test]
    fn entities_and_tags_are_read_once() {
        assert_eq!(plain("It&#8217;s <b>5 &amp;amp; more</b> &x; <3"), "It’s 5 &amp; more &x; <3");
        assert_eq!(plain("<p>One</p><p>Two<br/>Three</p>"), "One\nTwo\nThree");
    }
}
