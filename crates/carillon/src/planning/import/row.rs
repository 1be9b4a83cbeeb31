//! One row of a file, whatever its format, and what was found about it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::publishing::schedule::DraftDelivery;

/// Something about one cell of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ImportNote)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// The column, as Carillon calls it: `scheduledAt`. Empty where it is about the whole row.
    pub column: String,
    pub code: String,
    /// What it is and what to do.
    pub message: String,
    /// It does not keep the row from being imported.
    pub warning: bool,
}

impl Note {
    pub(super) fn wrong(column: &str, code: &str, message: impl Into<String>) -> Self {
        let (column, code) = (column.to_owned(), code.to_owned());
        Self { column, code, message: message.into(), warning: false }
    }

    pub(super) fn warning(column: &str, code: &str, message: impl Into<String>) -> Self {
        Self { warning: true, ..Self::wrong(column, code, message) }
    }
}

/// Where a row wants to go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Wanted {
    /// A connection's id, name, network or handle.
    pub name: String,
    /// Of another tool's account: at which network of ours it is.
    pub network: Option<&'static str>,
    /// Instead of the post's text.
    pub text: Option<String>,
}

impl Wanted {
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.trim().to_owned(), ..Self::default() }
    }
}

/// A row as it was written: dates and names are not judged yet. What is absent is empty.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Row {
    /// As a text editor or a spreadsheet counts; of JSON the item, from 1.
    #[serde(skip)]
    pub line: i64,
    pub text: String,
    pub scheduled_at: String,
    pub timezone: String,
    pub connections: Vec<Wanted>,
    /// Ids, names or addresses.
    pub media: Vec<String>,
    /// In the order of the media.
    pub alt: Vec<String>,
    pub first_comment: String,
    pub title: String,
    pub link: String,
    pub state: String,
    /// The parts after the first.
    pub thread: Vec<String>,
    /// Instead of `connections`, where those cannot say it.
    pub deliveries: Option<Vec<DraftDelivery>>,
    #[serde(skip)]
    pub notes: Vec<Note>,
}

impl Row {
    pub(super) fn wrong(&mut self, column: &str, code: &str, message: impl Into<String>) {
        self.notes.push(Note::wrong(column, code, message));
    }

    pub(super) fn warn(&mut self, column: &str, code: &str, message: impl Into<String>) {
        self.notes.push(Note::warning(column, code, message));
    }

    /// By which the same content is known again; `nth` tells rows of one file apart that are alike.
    pub(super) fn hash(&self, nth: usize) -> String {
        let mut hash = Sha256::new();
        hash.update(crate::store::json(self));
        hash.update(nth.to_be_bytes());
        hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect()
    }
}
