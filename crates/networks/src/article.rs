//! What the networks of articles have in common: a title where none was given, an address of our
//! own choice, tags made of hashtags, and pictures in Markdown or paragraphs in HTML.

use sha2::{Digest, Sha256};

use crate::text::{hashtags, urls};
use crate::{Action, Class, Error, Media, Rendition};

/// Longer first lines are no titles: the title is then cut from the text, which stays whole.
const TITLE_LINE: usize = 150;

/// The title in one line of at most `max` characters, and the text below it.
pub(crate) fn title_and_text(out: &Rendition, max: usize) -> (String, String) {
    let text = out.text.trim();
    let title = out.title.as_deref().map(one_line).filter(|title| !title.is_empty());
    if let Some(title) = title {
        return (cut(&title, max), text.to_owned());
    }
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    let line = one_line(line);
    match line.chars().count() > TITLE_LINE.min(max) {
        true => (cut(&line, TITLE_LINE.min(max)), text.to_owned()),
        false => (line, rest.trim().to_owned()),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most `max` characters; where something is left out, whole words and an ellipsis.
fn cut(line: &str, max: usize) -> String {
    if line.chars().count() <= max {
        return line.to_owned();
    }
    let at = line.char_indices().nth(max.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
    let words = match line[at..].starts_with(' ') {
        true => &line[..at],
        false => line[..at].rsplit_once(' ').map_or(&line[..at], |(words, _)| words),
    };
    format!("{words}…")
}

/// The end of an article's address: readable, and unguessable by its last letters.
pub(crate) fn slug(title: &str, key: &str) -> String {
    let mut words = String::new();
    for c in title.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => words.push(c),
            _ if words.is_empty() || words.ends_with('-') => {}
            _ => words.push('-'),
        }
    }
    words.truncate(80);
    let mark: String = Sha256::digest(key)[..5].iter().map(|byte| format!("{byte:02x}")).collect();
    match words.trim_end_matches('-') {
        "" => mark,
        words => format!("{words}-{mark}"),
    }
}

/// The hashtags of a text without their sign, in small letters, each once, in order.
pub(crate) fn tags(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for range in hashtags(text) {
        let tag = text[range].trim_start_matches(['#', '＃']).to_lowercase();
        if !found.contains(&tag) {
            found.push(tag);
        }
    }
    found
}

/// The text without the lines at its end that are hashtags alone: they are shown as tags, and
/// Markdown would make headings of them.
pub(crate) fn without_closing_tags(text: &str) -> &str {
    let mut text = text.trim_end();
    loop {
        let at = text.rfind('\n').map_or(0, |at| at + 1);
        let line = &text[at..];
        let tagged: usize = hashtags(line).into_iter().map(|range| range.len()).sum();
        let blank = |c: &char| c.is_whitespace() || *c == ',';
        let letters: usize = line.chars().filter(|c| !blank(c)).map(char::len_utf8).sum();
        if letters == 0 || tagged != letters {
            return text;
        }
        text = text[..at].trim_end();
    }
}

/// A picture in Markdown.
pub(crate) fn picture(alt: &str, url: &str) -> String {
    let alt = one_line(&alt.replace(['[', ']', '\\'], " "));
    let url = url.replace('(', "%28").replace(')', "%29").replace(' ', "%20");
    format!("![{alt}]({url})")
}

/// The last pictures of an article in Markdown, at most `n`, as they stand below its text.
pub(crate) fn pictures_below(markdown: &str, n: usize) -> Vec<&str> {
    let parts = markdown.trim_end().rsplit("\n\n").map(str::trim);
    let is_picture = |part: &&str| part.starts_with("![") && part.ends_with(')');
    let mut found: Vec<&str> = parts.take_while(is_picture).take(n).collect();
    found.reverse();
    found
}

/// The last parts of an article from `open` to `close`, at most `n`: pictures in HTML.
pub(crate) fn parts_below<'t>(html: &'t str, open: &str, close: &str, n: usize) -> Vec<&'t str> {
    let (mut found, mut rest) = (Vec::new(), html);
    while let Some(from) = rest.find(open)
        && let Some(to) = rest[from..].find(close)
    {
        let end = from + to + close.len();
        found.push(&rest[from..end]);
        rest = &rest[end..];
    }
    found.split_off(found.len().saturating_sub(n))
}

/// Paragraphs of HTML, with links.
pub(crate) fn paragraphs(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n");
    let parts = text.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| format!("<p>{}</p>", linked(part).replace('\n', "<br>"))).collect()
}

fn linked(text: &str) -> String {
    let (mut html, mut at) = (String::with_capacity(text.len()), 0);
    for range in urls(text) {
        let url = escape(&text[range.clone()]);
        html.push_str(&escape(&text[at..range.start]));
        html.push_str(&format!("<a href=\"{url}\">{url}</a>"));
        at = range.end;
    }
    html + &escape(&text[at..])
}

/// Text that may stand in HTML, in an attribute too.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Where readers of `network` fetch the picture.
pub(crate) fn address<'m>(media: &'m Media, network: &str) -> Result<&'m str, Error> {
    if media.url.is_empty() {
        let says = format!(
            "{network} shows pictures from their own address, and this installation has no public \
             one."
        );
        return Err(Error::new(Class::Config, says)
            .code("no_public_address")
            .action(Action::AskOperator));
    }
    Ok(&media.url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(title: Option<&str>, text: &str, max: usize) -> (String, String) {
        let title = title.map(str::to_owned);
        title_and_text(&Rendition { title, text: text.to_owned(), ..Rendition::default() }, max)
    }

    #[test]
    fn a_title_is_found_where_none_is_given() {
        let own = |title: &str, text: &str| (title.to_owned(), text.to_owned());
        assert_eq!(split(Some(" A\n title "), " Text\n", 99), own("A title", "Text"));
        assert_eq!(split(None, "Head\n\nBody\nmore", 99), own("Head", "Body\nmore"));
        assert_eq!(split(Some(" "), "Head", 99), own("Head", ""));
        assert_eq!(split(None, "", 99), own("", ""));
        let long = "word ".repeat(40);
        let (title, text) = split(None, &long, 200);
        assert_eq!((title.chars().count(), text.as_str()), (150, long.trim()));
        assert!(title.ends_with("word…"));
        assert_eq!(split(Some("wordwordword"), "x", 5).0, "word…");
        assert_eq!(split(Some("äöü äöü"), "x", 7).0, "äöü äöü");
    }

    #[test]
    fn closing_tags_leave_the_text() {
        assert_eq!(tags("#Bread and #BREAD, #über_2 #1"), ["bread", "über_2"]);
        for (text, left) in [
            ("Text\n\n#one #two\n#three, #four", "Text"),
            ("Text with #one\n", "Text with #one"),
            ("Text\n#one and", "Text\n#one and"),
            ("#one", ""),
            ("", ""),
            ("Text\n\n# Heading", "Text\n\n# Heading"),
        ] {
            assert_eq!(without_closing_tags(text), left, "{text}");
        }
    }

    #[test]
    fn a_slug_is_readable_and_our_own() {
        let slug = slug("Öffnung: now, at 7!", "key");
        assert!(slug.starts_with("ffnung-now-at-7-") && slug.len() == 26, "{slug}");
        assert_eq!(super::slug("日本", "key"), super::slug("", "key"));
        assert_ne!(super::slug("", "key"), super::slug("", "another"));
        assert!(super::slug(&"word ".repeat(99), "key").len() < 100);
    }

    #[test]
    fn html_keeps_every_sign_and_makes_links() {
        let html = paragraphs("a <b> & \"c\"\r\nd\n\n\nhttps://a.io/?x=1&y=\"2");
        assert_eq!(
            html,
            [
                "<p>a &lt;b&gt; &amp; &quot;c&quot;<br>d</p>",
                "<p><a href=\"https://a.io/?x=1&amp;y=\">https://a.io/?x=1&amp;y=</a>&quot;2</p>",
            ]
        );
    }

    #[test]
    fn pictures_are_found_below_a_text_and_nowhere_else() {
        let markdown = "![a](b)\n\nText ![c](d)\n\n![e f](g)\n\n![h](i)\n";
        assert_eq!(pictures_below(markdown, 9), ["![e f](g)", "![h](i)"]);
        assert_eq!(pictures_below(markdown, 1), ["![h](i)"]);
        assert!(pictures_below("Text", 9).is_empty() && pictures_below("", 9).is_empty());
        let html = "<p>x</p><figure><img 1></figure>\n<figure class=\"k\"><img 2></figure><figure";
        let both = ["<figure><img 1></figure>", "<figure class=\"k\"><img 2></figure>"];
        assert_eq!(parts_below(html, "<figure", "</figure>", 9), both);
        assert_eq!(parts_below(html, "<figure", "</figure>", 1), both[1..]);
        assert!(parts_below(html, "<figure", "</figure>", 0).is_empty());
    }

    #[test]
    fn a_picture_stays_a_picture_whatever_its_words() {
        assert_eq!(
            picture("A [b]\nc", "https://a.io/x (1).png"),
            "![A b c](https://a.io/x%20%281%29.png)"
        );
    }
}
