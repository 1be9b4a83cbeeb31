//! What followers see: every post that is or once was visible, per network.
//!
//! Only a network's own code writes here, at the moment when a post appears, changes or goes.
//! Drafts, containers and uploads never come here, and nothing is ever taken out but by a reset.

use std::collections::HashMap;
use std::sync::Mutex;

use serde::Serialize;

use crate::poll::Poll;
use crate::world::{Network, iso, lock};

/// One visible post.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LedgerPost {
    /// The id that the network itself gives the post: Facebook `{page}_{post}`, Bluesky the at-uri,
    /// Telegram `{chat}/{message_id}` with the chat's number.
    pub id: String,
    /// The text as a follower reads it: without markup, with the title where there is one.
    pub text: String,
    pub media: Vec<LedgerMedia>,
    /// What it asks, if it is a poll.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll: Option<LedgerPoll>,
    /// ISO 8601, UTC.
    pub created_at: String,
    /// ISO 8601, UTC; `None` while the post is visible.
    pub deleted_at: Option<String>,
    pub account: String,
    /// `feed`, `story`, `article` or `comment`.
    pub placement: String,
    /// The post that it answers or comments on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}

/// One picture, film, file or link card of a post.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LedgerMedia {
    /// `image`, `video`, `file` or `link`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where the sandbox serves the bytes (a path of its own), or the address of a link.
    pub url: String,
    pub alt: String,
    pub bytes: usize,
}

/// The poll of a post.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LedgerPoll {
    /// Where it is not the text of the post.
    pub question: Option<String>,
    pub answers: Vec<String>,
    /// May somebody choose more than one?
    pub several: bool,
    /// ISO 8601, UTC; `None` where it stays open.
    pub ends_at: Option<String>,
}

impl LedgerMedia {
    pub(crate) fn link(url: &str, title: &str) -> Self {
        Self { kind: "link".to_owned(), url: url.to_owned(), alt: title.to_owned(), bytes: 0 }
    }
}

/// What a network says when a post appears.
pub(crate) struct Appeared<'a> {
    pub(crate) id: String,
    pub(crate) account: &'a str,
    pub(crate) placement: &'static str,
    pub(crate) reply_to: Option<String>,
    pub(crate) text: String,
    pub(crate) media: Vec<LedgerMedia>,
    pub(crate) at: i64,
}

pub(crate) struct Ledger {
    books: [Mutex<Book>; Network::ALL.len()],
}

impl Default for Ledger {
    fn default() -> Self {
        Self { books: std::array::from_fn(|_| Mutex::default()) }
    }
}

#[derive(Default)]
struct Book {
    posts: Vec<LedgerPost>,
    by_id: HashMap<String, usize>,
    by_account: HashMap<String, Vec<usize>>,
}

impl Ledger {
    /// Records that a post became visible, or visible again.
    pub(crate) fn appear(&self, network: Network, post: Appeared<'_>) {
        let mut book = self.book(network);
        if let Some(&at) = book.by_id.get(&post.id) {
            let known = &mut book.posts[at];
            known.text = post.text;
            known.media = post.media;
            known.deleted_at = None;
            return;
        }
        let at = book.posts.len();
        book.by_id.insert(post.id.clone(), at);
        book.by_account.entry(post.account.to_owned()).or_default().push(at);
        book.posts.push(LedgerPost {
            id: post.id,
            text: post.text,
            media: post.media,
            poll: None,
            created_at: iso(post.at),
            deleted_at: None,
            account: post.account.to_owned(),
            placement: post.placement.to_owned(),
            reply_to: post.reply_to,
        });
    }

    /// Records that a post has this poll, or none.
    pub(crate) fn ask(&self, network: Network, id: &str, poll: Option<&Poll>) {
        self.edit(network, id, |post| post.poll = poll.map(Poll::in_ledger));
    }

    /// Changes a post in place. An id that was never visible is left alone: it is a draft's.
    pub(crate) fn edit(&self, network: Network, id: &str, change: impl FnOnce(&mut LedgerPost)) {
        let mut book = self.book(network);
        if let Some(&at) = book.by_id.get(id) {
            change(&mut book.posts[at]);
        }
    }

    /// Records that a post is no longer visible.
    pub(crate) fn vanish(&self, network: Network, id: &str, at: i64) {
        self.edit(network, id, |post| {
            post.deleted_at.get_or_insert_with(|| iso(at));
        });
    }

    pub(crate) fn get(&self, network: Network, id: &str) -> Option<LedgerPost> {
        let book = self.book(network);
        book.by_id.get(id).map(|&at| book.posts[at].clone())
    }

    /// Every post, oldest first.
    pub(crate) fn all(&self, network: Network) -> Vec<LedgerPost> {
        self.book(network).posts.clone()
    }

    /// Up to `limit` posts after the first `skip`, newest first, and how many there are in all.
    pub(crate) fn newest(
        &self,
        network: Network,
        account: Option<&str>,
        skip: usize,
        limit: usize,
    ) -> (Vec<LedgerPost>, usize) {
        let book = self.book(network);
        match account {
            None => {
                let page = book.posts.iter().rev().skip(skip).take(limit).cloned().collect();
                (page, book.posts.len())
            }
            Some(account) => {
                let mine = book.by_account.get(account).map_or(&[][..], Vec::as_slice);
                let page = mine.iter().rev().skip(skip).take(limit);
                (page.map(|&at| book.posts[at].clone()).collect(), mine.len())
            }
        }
    }

    /// The accounts that posted, by name, with their number of posts.
    pub(crate) fn accounts(&self, network: Network) -> Vec<(String, usize)> {
        let book = self.book(network);
        let mut accounts: Vec<_> =
            book.by_account.iter().map(|(name, posts)| (name.clone(), posts.len())).collect();
        accounts.sort();
        accounts
    }

    pub(crate) fn clear(&self) {
        for book in &self.books {
            *lock(book) = Book::default();
        }
    }

    fn book(&self, network: Network) -> std::sync::MutexGuard<'_, Book> {
        lock(&self.books[network as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appeared(id: &str, account: &'static str) -> Appeared<'static> {
        Appeared {
            id: id.to_owned(),
            account,
            placement: "feed",
            reply_to: None,
            text: "text".to_owned(),
            media: Vec::new(),
            at: 1_795_000_000_000,
        }
    }

    #[test]
    fn a_post_is_counted_once_and_stays_after_it_is_deleted() {
        let ledger = Ledger::default();
        ledger.appear(Network::Bluesky, appeared("1", "a"));
        ledger.appear(Network::Bluesky, appeared("2", "b"));
        ledger.vanish(Network::Bluesky, "1", 1_795_000_001_000);
        ledger.vanish(Network::Bluesky, "1", 1_795_000_002_000);
        ledger.vanish(Network::Bluesky, "never visible", 0);
        let posts = ledger.all(Network::Bluesky);
        assert_eq!(posts.len(), 2);
        assert_eq!(posts[0].deleted_at.as_deref(), Some("2026-11-18T11:06:41.000Z"));
        assert_eq!(posts[1].deleted_at, None);
        assert!(ledger.all(Network::Mastodon).is_empty());
        ledger.appear(Network::Bluesky, appeared("1", "a"));
        assert_eq!(ledger.all(Network::Bluesky)[0].deleted_at, None);
        assert_eq!(ledger.all(Network::Bluesky).len(), 2);
    }

    #[test]
    fn the_newest_come_first_per_account() {
        let ledger = Ledger::default();
        for (id, account) in [("1", "a"), ("2", "b"), ("3", "a"), ("4", "a")] {
            ledger.appear(Network::Telegram, appeared(id, account));
        }
        let (page, total) = ledger.newest(Network::Telegram, Some("a"), 1, 2);
        assert_eq!(page.iter().map(|p| p.id.as_str()).collect::<Vec<_>>(), ["3", "1"]);
        assert_eq!(total, 3);
        assert_eq!(ledger.newest(Network::Telegram, Some("nobody"), 0, 2).1, 0);
        assert_eq!(ledger.accounts(Network::Telegram), [("a".to_owned(), 3), ("b".to_owned(), 1)]);
    }
}
