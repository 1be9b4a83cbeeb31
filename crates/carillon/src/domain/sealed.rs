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
        /// The secret of an operator's app at a network; its row is called by network and server.
        AppSecret = "network_app.secret",
        /// What a consent under way brought so far.
        ConsentSealed = "consent.sealed",
    }
}

impl Place {
    /// What a text in this row is sealed to, so that a copy of it opens nowhere else.
    pub fn belongs_to(self, row: &str) -> String {
        match self {
            // Nothing but an id, which is no other place's: as it was before there was a list.
            Place::ConnectionSecrets | Place::ConsentSealed => row.to_owned(),
            Place::AppSecret => format!("app {row}"),
        }
    }
}
