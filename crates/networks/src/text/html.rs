//! The text of what a network reads back as HTML.

/// The text of a status's HTML. Links keep their whole address: Mastodon hides its ends with CSS
/// classes (`invisible`, `ellipsis`) and leaves every letter in the markup.
pub fn html_to_text(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        decode(&rest[..open], &mut out);
        rest = &rest[open + 1..];
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!') {
            out.push('<');
            continue;
        }
        let Some(close) = rest.find('>') else {
            out.push('<');
            break;
        };
        let tag = rest[..close].to_ascii_lowercase();
        let name = tag.trim_end_matches('/').split_whitespace().next().unwrap_or_default();
        out.push_str(match name {
            "br" | "/li" | "/div" => "\n",
            "/p" | "/blockquote" => "\n\n",
            _ => "",
        });
        rest = &rest[close + 1..];
    }
    decode(rest, &mut out);
    out.trim().to_owned()
}

/// A text with its character references resolved, and nothing else taken for markup.
pub fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    decode(text, &mut out);
    out
}

/// Appends a text with its character references resolved; what is none stays as it is.
fn decode(mut rest: &str, out: &mut String) {
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        // The longest that is known, `#x10ffff`, has eight letters.
        let end = rest.bytes().take(9).position(|b| b == b';');
        match end.and_then(|end| reference(&rest[..end]).map(|c| (end, c))) {
            Some((end, c)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
}

fn reference(name: &str) -> Option<char> {
    let number = |digits, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    match name.strip_prefix('#').map(|n| (n, n.strip_prefix(['x', 'X']))) {
        Some((_, Some(hex))) => number(hex, 16),
        Some((decimal, None)) => number(decimal, 10),
        None => Some(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            "nbsp" => '\u{a0}',
            _ => return None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_link_is_read_back_whole() {
        let html = r#"<p>Tom &amp; Jerry&#39;s:<br>see <a href="https://example.com/a/very/long" rel="nofollow"><span class="invisible">https://</span><span class="ellipsis">example.com/a/ve</span><span class="invisible">ry/long</span></a></p><p>&lt;b&gt; &copy; <span class="h-card"><a href="https://m.example/@bob" class="u-url mention">@<span>bob</span></a></span></p>"#;
        let text = "Tom & Jerry's:\nsee https://example.com/a/very/long\n\n<b> &copy; @bob";
        assert_eq!(html_to_text(html), text);
        assert_eq!(html_to_text("a < b & c"), "a < b & c");
        assert_eq!(html_to_text("open <a href="), "open <a href=");
    }
}
