//! What followers did to a post, read off the networks' answers.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::spec::Metric;
use crate::{Class, Error};

/// The numbers of one post as its network counts them. What it does not tell is not among them.
pub type Numbers = BTreeMap<Metric, u64>;

/// The code of a token that works and may not read numbers.
pub const UNGRANTED: &str = "numbers_ungranted";

/// What stands at these places of an answer (RFC 6901); several of one metric are added up.
pub(crate) fn read(answer: &Value, places: &[(Metric, &str)]) -> Numbers {
    let told =
        places.iter().filter_map(|(metric, at)| Some((*metric, number(answer.pointer(at)?)?)));
    sum(told)
}

/// Several of one metric are added up.
pub(crate) fn sum(told: impl IntoIterator<Item = (Metric, u64)>) -> Numbers {
    let mut numbers = Numbers::new();
    for (metric, number) in told {
        let whole = numbers.entry(metric).or_default();
        *whole = whole.saturating_add(number);
    }
    numbers
}

/// A whole number, or text that is one.
pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// The reactions to a message, of every kind together; `None` where the network tells none.
pub(crate) fn reactions(message: &Value) -> Option<(Metric, u64)> {
    let all = message["reactions"].as_array()?;
    Some((Metric::Likes, all.iter().filter_map(|one| number(&one["count"])).sum()))
}

pub(crate) fn gone(network: &str) -> Error {
    let says = format!("{network} does not have this post any more.");
    Error::new(Class::Content, says).code("gone")
}

/// The token works; the right to read numbers was not asked for or not given.
pub(crate) fn ungranted(error: Error, network: &str) -> Error {
    let says = format!("Connect {network} again to let Carillon read numbers.");
    error.becomes(Class::Auth, says).code(UNGRANTED)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_out_is_left_out_and_parts_are_added_up() {
        let answer = json!({ "a": 3, "b": "4", "c": null, "d": -1, "e": "many", "f": 0 });
        let places = [
            (Metric::Shares, "/a"),
            (Metric::Shares, "/b"),
            (Metric::Likes, "/c"),
            (Metric::Views, "/d"),
            (Metric::Reach, "/e"),
            (Metric::Saves, "/none"),
            (Metric::Clicks, "/f"),
        ];
        let numbers = [(Metric::Shares, 7), (Metric::Clicks, 0)].into();
        assert_eq!(read(&answer, &places), numbers);
        assert_eq!(
            reactions(&json!({ "reactions": [{ "count": 2 }, { "count": 1 }] })),
            Some((Metric::Likes, 3))
        );
        assert_eq!(reactions(&json!({})), None);
    }
}
