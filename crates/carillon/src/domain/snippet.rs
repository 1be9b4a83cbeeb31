//! What a workspace writes with again and again: the kinds of it.

use crate::words;

words! {
    pub enum SnippetKind {
        /// A text to begin with, with `{placeholders}` to fill in.
        Template = "template",
        Hashtags = "hashtags",
        /// What is added to links, so that their visits are counted to a post.
        Utm = "utm",
    }
}
