//! What lists take in: times, cursors and the length of a page, each refused with what is wrong.

use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::when;
use crate::ids;

/// How many rows; `usual` when it is not said.
pub(super) fn limit(given: Option<usize>, usual: usize, most: usize) -> Result<usize, Refusal> {
    match given {
        None => Ok(usual),
        Some(n) if (1..=most).contains(&n) => Ok(n),
        Some(n) => Err(wrong("limit", format!("`limit` is {n}; it can be 1 to {most}."))),
    }
}

/// A time and the id of the last row, as `next` has them.
pub(super) fn cursor(given: Option<&str>) -> Result<Option<(i64, String)>, Refusal> {
    let Some(text) = given.filter(|t| !t.is_empty()) else { return Ok(None) };
    let parts = text.split_once('~').filter(|(_, id)| ids::valid(id));
    match parts.and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned()))) {
        Some(cursor) => Ok(Some(cursor)),
        None => Err(wrong("cursor", "`cursor` is none that a page ended with.".into())),
    }
}

/// A moment: ISO 8601, in UTC where it does not say otherwise.
pub(super) fn instant(field: &str, text: &str) -> Result<i64, Refusal> {
    when::parse(text, "UTC")
        .map_err(|e| Refusal::invalid(vec![Wrong::new(field, "invalid_time", format!("{e}."))]))
}

/// The same of one that may be left out.
pub(super) fn moment(field: &str, given: Option<&str>) -> Result<Option<i64>, Refusal> {
    given.filter(|t| !t.is_empty()).map(|text| instant(field, text)).transpose()
}

/// A refusal of one part of a query string.
pub(super) fn wrong(field: &str, message: String) -> Refusal {
    Refusal::invalid(vec![Wrong::new(field, "invalid_query", message)])
}
