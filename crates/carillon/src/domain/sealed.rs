//! What is kept sealed: every column that holds texts of the key ring, in one list.
//!
//! `Keys::seal` asks for a place of it, and `store/sealed.rs` for the statements of each: a new
//! sealed column is a variant here, and whatever goes through all of them (`keys rotate`, `keys
//! list`, `doctor`, the start) goes through it too. tests/it/sealed.rs looks into the database
//! whether anything sealed stands elsewhere.

use crate::words;

words! {
    /// A column of sealed texts, called as `table.column`.
    pub enum Place {
        /// The credentials of a connection, as JSON.
        ConnectionSecrets = "connection.secrets",
    }
}

impl Place {
    /// What a text in this row is sealed to, so that a copy of it opens nowhere else.
    pub fn belongs_to(self, row: &str) -> String {
        match self {
            // As it was before there were other places; those take their name in front.
            Place::ConnectionSecrets => row.to_owned(),
        }
    }
}
