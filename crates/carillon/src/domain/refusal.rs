//! Why something asked for is not done: for API, CLI and web alike.

use serde::Serialize;

/// What kind of no it is; surfaces turn it into a status or an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The input is wrong: nothing was written.
    Invalid,
    Unauthorized,
    Forbidden,
    /// Not there, or another workspace's, which is not told.
    NotFound,
    /// Right in itself, but not in the present state.
    Conflict,
    TooLarge,
    /// A type that is not taken.
    Unsupported,
    TooMany,
    /// The database, the disk or a network is away: later may work.
    Unavailable,
    /// There is no room for it.
    Full,
    /// A fault of ours.
    Internal,
}

/// A refusal with everything wrong named at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Refusal {
    pub kind: Kind,
    /// Stable word: `text_too_long`.
    pub code: String,
    /// One plain sentence.
    pub sentence: String,
    /// What to do.
    pub fix: String,
    pub problems: Vec<Wrong>,
    /// The next time at which the same would be taken, where there is one, in ms UTC.
    pub suggested_at: Option<i64>,
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wrong {
    /// `deliveries[0].text`
    pub field: String,
    pub code: String,
    pub message: String,
    /// The connection whose network's rule it is, if it is one's.
    pub connection_id: Option<String>,
}

impl Wrong {
    pub fn new(field: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            code: code.into(),
            message: message.into(),
            connection_id: None,
        }
    }
    pub fn at(mut self, connection: &str) -> Self {
        self.connection_id = Some(connection.to_owned());
        self
    }
}

impl Refusal {
    pub fn new(
        kind: Kind,
        code: &str,
        sentence: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            code: code.into(),
            sentence: sentence.into(),
            fix: fix.into(),
            problems: Vec::new(),
            suggested_at: None,
        }
    }

    /// All wrong fields as one refusal, which takes the first one's code and sentence.
    pub fn invalid(problems: Vec<Wrong>) -> Self {
        let first = problems.first().cloned();
        let (code, sentence) = first.map_or_else(
            || ("invalid".to_owned(), "The request is not valid.".to_owned()),
            |p| (p.code, p.message),
        );
        let fix = "Correct the fields named in `problems` and send it again; nothing was saved.";
        Self { problems, ..Self::new(Kind::Invalid, &code, sentence, fix) }
    }

    pub fn not_found(what: &str) -> Self {
        let sentence = format!("There is no such {what} in this workspace.");
        Self::new(Kind::NotFound, "not_found", sentence, "Check the id.")
    }

    pub fn conflict(code: &str, sentence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, code, sentence, fix)
    }
}

impl From<crate::db::Error> for Refusal {
    fn from(e: crate::db::Error) -> Self {
        use crate::db::Error;
        match e {
            Error::Unavailable(_) | Error::CommitUnknown(_) => {
                tracing::warn!(error = %e, "the database is not available");
                Self::new(
                    Kind::Unavailable,
                    "database_unavailable",
                    "The database is not available at the moment.",
                    "Try again in a moment; with the same Idempotency-Key nothing happens twice.",
                )
            }
            e => {
                tracing::error!(error = %e, "a statement failed");
                Self::new(
                    Kind::Internal,
                    "internal",
                    "Something went wrong on our side.",
                    "Try again; if it stays, give the request id to whoever runs this installation.",
                )
            }
        }
    }
}
