//! What went wrong at a network: class, certainty, one plain sentence, one next action.
//!
//! Decided where the reply is read (each network's `parse_error`), so that the queue never guesses
//! from text. Classes follow the reference table of the networks' documents.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What kind of failure it is, and with it what the queue does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Token or right missing: the connection needs its owner; its deliveries wait.
    Auth,
    /// The app or the connection is not set up: an id is missing, an API is off.
    Config,
    /// Too many calls: the same job later, not counted as a try.
    RateLimit,
    /// The day's posting cap is reached: the same job in the next window, not counted.
    Quota,
    /// Outage, timeout, "try again": backoff.
    Transient,
    /// The post itself is refused: text, media, target.
    Content,
    /// The network says that it already has this post.
    Duplicate,
    /// Refused as spam or abuse; never retried by itself.
    Policy,
    /// No answer that could be read after a call that may have published.
    Unknown,
}

/// May the call that failed have changed anything at the network?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Applied {
    /// Certain: nothing reached it, or it refused.
    No,
    /// It may have. Only looking tells.
    Maybe,
}

/// What a person (or the queue) does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Carillon goes on by itself.
    Wait,
    /// Enter credentials again.
    Reconnect,
    /// Fill in what the connection lacks.
    CompleteConnection,
    /// Change the text or the media.
    EditPost,
    /// Act in the network's own app or site first.
    ActAtNetwork,
    /// Whoever runs this installation has to change its set-up.
    AskOperator,
    /// Look at the network whether the post is there, and say so.
    Look,
}

impl Action {
    /// The next action as one sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Action::Wait => "Nothing to do: Carillon tries again by itself.",
            Action::Reconnect => "Open Connections and enter the credentials again.",
            Action::CompleteConnection => "Open Connections and fill in what is missing.",
            Action::EditPost => "Edit the post, then schedule it again.",
            Action::ActAtNetwork => "Sign in at the network and settle what it asks for.",
            Action::AskOperator => "Ask whoever runs this installation to correct its set-up.",
            Action::Look => "Look at the network whether the post is there, then answer here.",
        }
    }
}

#[derive(Debug, Clone, thiserror::Error, Serialize, Deserialize)]
#[error("{sentence}")]
#[serde(rename_all = "camelCase")]
pub struct Error {
    pub class: Class,
    pub applied: Applied,
    /// One sentence for a person, with nothing secret in it.
    pub sentence: String,
    pub action: Action,
    /// HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The network's own code, as it writes it (`190/463`, `RecordNotFound`).
    pub code: Option<String>,
    /// The network's own name for this exchange, for its support.
    pub request_id: Option<String>,
    /// When the network allows the next try, counted from its answer.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
    /// The handle that the try was made with is dead: forget it and begin with a new one.
    #[serde(default)]
    pub restart: bool,
    /// The id of the post that the network says it already has (class `Duplicate`).
    pub existing: Option<String>,
}

impl Error {
    /// An error whose action follows from its class; certain that nothing was applied.
    pub fn new(class: Class, sentence: impl Into<String>) -> Self {
        let action = match class {
            Class::Auth => Action::Reconnect,
            Class::Config => Action::CompleteConnection,
            Class::RateLimit | Class::Quota | Class::Transient => Action::Wait,
            Class::Content | Class::Duplicate => Action::EditPost,
            Class::Policy => Action::ActAtNetwork,
            Class::Unknown => Action::Look,
        };
        let applied = if class == Class::Unknown { Applied::Maybe } else { Applied::No };
        Self {
            class,
            applied,
            sentence: sentence.into(),
            action,
            status: None,
            code: None,
            request_id: None,
            retry_after: None,
            restart: false,
            existing: None,
        }
    }

    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }
    pub fn code(mut self, code: impl ToString) -> Self {
        self.code = Some(code.to_string());
        self
    }
    pub fn request_id(mut self, id: Option<String>) -> Self {
        self.request_id = id;
        self
    }
    pub fn action(mut self, action: Action) -> Self {
        self.action = action;
        self
    }
    pub fn maybe_applied(mut self) -> Self {
        self.applied = Applied::Maybe;
        self
    }
    pub fn retry_after(mut self, after: Option<Duration>) -> Self {
        self.retry_after = after;
        self
    }
    pub fn restart(mut self) -> Self {
        self.restart = true;
        self
    }
    /// The same exchange understood better: class, sentence and what follows from them are new;
    /// status, code, request id and retry time stay.
    pub fn becomes(self, class: Class, sentence: impl Into<String>) -> Self {
        let Self { status, code, request_id, retry_after, .. } = self;
        Self { status, code, request_id, retry_after, ..Self::new(class, sentence) }
    }
    /// The same failure of a call that cannot have touched the post (a log-in, a read).
    pub fn harmless(mut self) -> Self {
        if self.class == Class::Unknown {
            (self.class, self.action) = (Class::Transient, Action::Wait);
        }
        self.applied = Applied::No;
        self
    }

    /// A required setting or secret is not there; nothing was sent.
    pub fn missing(key: &str) -> Self {
        Self::new(Class::Config, format!("The connection has no `{key}`.")).code("missing_field")
    }

    /// A call that this network's SPEC does not declare.
    pub fn unsupported(what: &str) -> Self {
        Self::new(Class::Config, format!("This network has no `{what}`."))
            .code("unsupported")
            .action(Action::AskOperator)
    }

    /// The answer had a good status but could not be read: what was asked for may have happened.
    pub fn garbled(what: &str) -> Self {
        Self::new(Class::Unknown, format!("The network answered with {what}, which is no answer."))
            .code("garbled")
    }
}

/// What happened, and behind it the network's own words where it has any.
pub fn saying(what: &str, words: &str) -> String {
    match quote(words).as_str() {
        "" => format!("{what}."),
        said => format!("{what}: {said}."),
    }
}

/// A network's own words, fit to stand inside a sentence: one line, at most 200 characters, no
/// full stop at the end.
pub fn quote(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.trim_end_matches(['.', '!']);
    match line.char_indices().nth(200) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}
