//! What the networks' polls have in common: answers, how many may be chosen, and when it ends.

use serde_json::Value;

use crate::ledger::LedgerPoll;
use crate::world::iso;

#[derive(Clone)]
pub(crate) struct Poll {
    /// Where it is not the text of the post.
    pub(crate) question: Option<String>,
    pub(crate) answers: Vec<String>,
    pub(crate) several: bool,
    /// Ms since 1970; `None` where it stays open.
    pub(crate) ends: Option<i64>,
}

impl Poll {
    pub(crate) fn in_ledger(&self) -> LedgerPoll {
        LedgerPoll {
            question: self.question.clone(),
            answers: self.answers.clone(),
            several: self.several,
            ends_at: self.ends.map(iso),
        }
    }
}

/// The texts in a list, without an answer that is none.
pub(crate) fn texts(list: &[Value], at: impl Fn(&Value) -> &Value) -> Vec<String> {
    list.iter().filter_map(|one| at(one).as_str()).map(str::to_owned).collect()
}

/// Are all of them between one and `max` characters long?
pub(crate) fn fit(answers: &[String], max: usize) -> bool {
    answers.iter().all(|text| (1..=max).contains(&text.trim().chars().count()))
}
