//! Markdown as far as the networks of articles are looked at: the pictures in it, and the rest.

use crate::ledger::LedgerMedia;
use crate::media::fetch;
use crate::world::World;

/// The text without its pictures, and their descriptions and addresses in order.
pub(crate) fn pictures(markdown: &str) -> (String, Vec<(String, String)>) {
    let (mut text, mut found, mut rest) = (String::new(), Vec::new(), markdown);
    while let Some(at) = rest.find("![") {
        text.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let picture = inside.split_once("](").and_then(|(alt, tail)| {
            let (url, tail) = tail.split_once(')')?;
            let fits = !alt.contains([']', '[']) && !url.contains(char::is_whitespace);
            fits.then_some((alt, url, tail))
        });
        match picture {
            Some((alt, url, tail)) => {
                found.push((alt.to_owned(), url.to_owned()));
                rest = tail;
            }
            None => {
                text.push_str("![");
                rest = inside;
            }
        }
    }
    text.push_str(rest);
    (text.trim().to_owned(), found)
}

/// A picture as a reader's browser gets it; one that cannot be fetched is a broken link.
pub(crate) async fn shown(world: &World, url: &str, alt: &str) -> LedgerMedia {
    match fetch(world, url).await {
        Ok(bytes) => world.blobs.keep(&bytes).in_ledger(alt),
        Err(_) => LedgerMedia::link(url, alt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_taken_out_of_the_text() {
        let (text, found) = pictures("One ![A b](https://a.io/1)\n\n![](u2)![x](no way) [l](k)");
        assert_eq!(text, "One \n\n![x](no way) [l](k)");
        assert_eq!(
            found,
            [("A b".to_owned(), "https://a.io/1".to_owned()), (String::new(), "u2".to_owned())]
        );
    }
}
