//! Texts as networks read them: links, mentions and tags in plain text, and HTML both ways.

/// A piece of plain text. Joined in order, the pieces are the text again.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece<'t> {
    Plain(&'t str),
    /// An address with its scheme; bare domains are plain text.
    Link(&'t str),
    /// `@user` or `@user@host`.
    Mention {
        whole: &'t str,
        user: &'t str,
        host: Option<&'t str>,
    },
    /// With its `#`.
    Tag(&'t str),
}

/// Splits plain text into its pieces.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut plain_from, mut at) = (0, 0);
    let mut before: Option<char> = None;
    while let Some(next) = text[at..].chars().next() {
        let found = match next {
            'h' | 'H' if !before.is_some_and(is_word) => link(&text[at..]),
            '@' if !before.is_some_and(|c| is_word(c) || c == '/' || c == '=') => {
                mention(&text[at..])
            }
            '#' if !before.is_some_and(|c| is_word(c) || c == '/' || c == ')') => tag(&text[at..]),
            _ => None,
        };
        let step = match found {
            Some((piece, length)) => {
                if plain_from < at {
                    pieces.push(Piece::Plain(&text[plain_from..at]));
                }
                pieces.push(piece);
                plain_from = at + length;
                length
            }
            None => next.len_utf8(),
        };
        before = text[..at + step].chars().next_back();
        at += step;
    }
    if plain_from < text.len() {
        pieces.push(Piece::Plain(&text[plain_from..]));
    }
    pieces
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn link(text: &str) -> Option<(Piece<'_>, usize)> {
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|s| text.get(..s.len()).is_some_and(|head| head.eq_ignore_ascii_case(s)))?;
    // Scripts that are written without spaces end a link that runs into them.
    let in_link = |c: char| {
        (c.is_ascii_graphic() && !"<>\"`".contains(c)) || (c.is_alphanumeric() && c < '\u{2E80}')
    };
    let end = text.find(|c| !in_link(c)).unwrap_or(text.len());
    let mut link = &text[..end];
    loop {
        let closes = |open: char, close: char| {
            link.ends_with(close) && link.matches(close).count() > link.matches(open).count()
        };
        if link.ends_with(|c| ".,:;!?'*~".contains(c)) || closes('(', ')') || closes('[', ']') {
            link = &link[..link.len() - 1];
        } else {
            break;
        }
    }
    let host = link.get(scheme.len()..)?;
    host.starts_with(|c: char| c.is_alphanumeric()).then_some((Piece::Link(link), link.len()))
}

fn mention(text: &str) -> Option<(Piece<'_>, usize)> {
    let user = name(&text[1..], false)?;
    let mut length = 1 + user.len();
    let host = text[length..].strip_prefix('@').and_then(|rest| name(rest, true));
    length += host.map_or(0, |host| 1 + host.len());
    Some((Piece::Mention { whole: &text[..length], user, host }, length))
}

/// The user or host at the start: dots and hyphens only inside.
fn name(text: &str, host: bool) -> Option<&str> {
    let allowed = |c: char| {
        c == '.'
            || c == '-'
            || c.is_ascii_alphanumeric()
            || (!host && c == '_')
            || (host && c.is_alphanumeric())
    };
    let end = text.find(|c| !allowed(c)).unwrap_or(text.len());
    let name = text[..end].trim_end_matches(['.', '-']);
    (!name.is_empty() && !name.starts_with(['.', '-'])).then_some(name)
}

fn tag(text: &str) -> Option<(Piece<'_>, usize)> {
    let name = &text[1..];
    let end = name.find(|c| !is_word(c)).unwrap_or(name.len());
    let name = &name[..end];
    name.contains(|c: char| !c.is_numeric() && c != '_')
        .then(|| (Piece::Tag(&text[..=end]), end + 1))
}

/// Text that may stand in HTML, in an attribute too.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// What a reader of this HTML reads: no tags, blocks on lines of their own.
pub(crate) fn readable(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(next) = rest.find(['<', '&']) {
        out.push_str(&rest[..next]);
        rest = &rest[next..];
        if rest.starts_with('&') {
            let (c, length) = entity(rest).unwrap_or(('&', 1));
            out.push(c);
            rest = &rest[length..];
        } else {
            let end = rest.find('>').map_or(rest.len(), |end| end + 1);
            let tag = rest[1..end].trim_end_matches(['>', '/']).trim();
            let name = tag.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
            match name.as_str() {
                "br" | "/li" | "/tr" => out.push('\n'),
                "/p" | "/h1" | "/h2" | "/h3" | "/h4" | "/ul" | "/ol" | "/blockquote" | "/div"
                | "/figure" | "/pre" => out.push_str("\n\n"),
                _ => {}
            }
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    let mut lines: Vec<&str> = out.lines().map(str::trim).collect();
    lines.dedup_by(|a, b| a.is_empty() && b.is_empty());
    lines.join("\n").trim().to_owned()
}

/// The character that an entity at the start stands for, and the entity's length.
pub(crate) fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(12).position(|b| b == b';')?;
    let name = &text[1..end];
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{A0}',
        "hellip" => '…',
        "ndash" => '–',
        "mdash" => '—',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((c, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_found_and_lose_nothing() {
        let text = "Hi @ann@social.example, see (https://a.example/x_(y)). #Zürich2 #1 a@b.example \
                    xhttps://no.example https://日本.example/路は終わり";
        let found = pieces(text);
        let whole: String = found
            .iter()
            .map(|piece| match piece {
                Piece::Plain(t) | Piece::Link(t) | Piece::Tag(t) => *t,
                Piece::Mention { whole, .. } => whole,
            })
            .collect();
        assert_eq!(whole, text);
        let special: Vec<_> = found.iter().filter(|p| !matches!(p, Piece::Plain(_))).collect();
        assert_eq!(
            special,
            [
                &Piece::Mention {
                    whole: "@ann@social.example",
                    user: "ann",
                    host: Some("social.example")
                },
                &Piece::Link("https://a.example/x_(y)"),
                &Piece::Tag("#Zürich2"),
            ]
        );
    }

    #[test]
    fn html_is_read_as_a_reader_does() {
        let html = "<h2>One &amp; two</h2>\n<p>A <b>bold</b> line<br />and &#8211; more&hellip;</p>\
                    \n\n<p>R&D &lt;3</p>";
        assert_eq!(readable(html), "One & two\n\nA bold line\nand – more…\n\nR&D <3");
        assert_eq!(
            escaped("<a href='x'>&\"</a>"),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;"
        );
    }
}
