//! Titles and sentences that several connectors put together in the same way.

use crate::Rendition;

/// Title and text of a post. Without a title of its own the first line of the text is taken out of
/// it; a line of more than `max` characters is no title, so the title is cut from it at a word and
/// the text stays whole.
pub(crate) fn title_and_text(out: &Rendition, max: usize) -> (String, String) {
    let text = out.text.trim();
    if let Some(title) = out.title.as_deref().map(str::trim).filter(|t| !t.is_empty()) {
        return (title.to_owned(), text.to_owned());
    }
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    if line.chars().count() <= max {
        return (line.trim().to_owned(), rest.trim().to_owned());
    }
    let cut = cut(line, max.saturating_sub(1));
    let words = cut.rsplit_once(char::is_whitespace).map_or(cut, |(words, _)| words);
    (format!("{}…", words.trim_end()), text.to_owned())
}

/// The first `max` characters.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    text.char_indices().nth(max).map_or(text, |(at, _)| &text[..at])
}

/// A sentence with the network's own words behind it, where it has any.
pub(crate) fn told(sentence: &str, said: &str) -> String {
    match said {
        "" => format!("{sentence}."),
        said => format!("{sentence}: {said}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_given_or_the_first_line_or_cut_from_it() {
        let split = |title: Option<&str>, text: &str| {
            let title = title.map(str::to_owned);
            let out = Rendition { title, text: text.to_owned(), ..Rendition::default() };
            title_and_text(&out, 10)
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(split(Some(" Hi "), "One\nTwo"), pair("Hi", "One\nTwo"));
        assert_eq!(split(Some(" "), "One\r\n\nTwo"), pair("One", "Two"));
        assert_eq!(split(None, "One"), pair("One", ""));
        assert_eq!(split(None, "äöü ß äöü ß\nTwo"), pair("äöü ß…", "äöü ß äöü ß\nTwo"));
        assert_eq!(split(None, "äöüßäöüßäöüß"), pair("äöüßäöüßä…", "äöüßäöüßäöüß"));
        assert_eq!(split(None, ""), pair("", ""));
    }

    #[test]
    fn nothing_is_quoted_where_nothing_was_said() {
        assert_eq!(told("Reddit refuses the post", ""), "Reddit refuses the post.");
        assert_eq!(told("Reddit refuses the post", "too old"), "Reddit refuses the post: too old.");
    }
}
