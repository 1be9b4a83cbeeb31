//! Polls: the options by which placements take one, the same keys at every network, and what was
//! answered to them.
//!
//! No network shows a poll beside pictures or videos, and none lets its answers be changed.

use crate::spec::{Choice, Kind, Pick, lines};
use crate::{Class, Error, Rendition};

/// Where the answers stand in [`Rendition::extra`]. A placement that has this option takes polls.
pub const POLL: &str = "poll";
/// What the poll asks, where the network wants it beside the text.
pub const QUESTION: &str = "pollQuestion";
const OPEN_FOR: &str = "pollFor";
const SEVERAL: &str = "pollSeveral";

/// What means nothing without a poll.
pub const OF_A_POLL: [&str; 3] = [QUESTION, OPEN_FOR, SEVERAL];

/// How long a poll is open for which nobody said it, in minutes.
const DAY: u32 = 24 * 60;

const HOURS: [Pick; 3] = [
    Pick { value: "1h", label: "1 hour" },
    Pick { value: "6h", label: "6 hours" },
    Pick { value: "12h", label: "12 hours" },
];
const ONE: Pick = Pick { value: "1d", label: "1 day" };
const THREE: Pick = Pick { value: "3d", label: "3 days" };
const SEVEN: Pick = Pick { value: "7d", label: "7 days" };
const FOURTEEN: Pick = Pick { value: "14d", label: "14 days" };
const THIRTY: Pick = Pick { value: "30d", label: "30 days" };

pub(crate) const UP_TO_A_WEEK: &[Pick] = &[HOURS[0], HOURS[1], HOURS[2], ONE, THREE, SEVEN];
pub(crate) const UP_TO_A_MONTH: &[Pick] =
    &[HOURS[0], HOURS[1], HOURS[2], ONE, THREE, SEVEN, FOURTEEN, THIRTY];
pub(crate) const WHOLE_DAYS: &[Pick] = &[ONE, THREE, SEVEN, FOURTEEN];

/// Two to `max` answers of at most `chars` characters.
pub(crate) const fn answers(max: usize, chars: usize) -> Choice {
    Choice {
        key: POLL,
        label: "Poll",
        help: "Its answers, one a line. A poll stands alone: without pictures and videos.",
        required: false,
        kind: Kind::Lines { min: 2, max, chars },
    }
}

pub(crate) const fn question(max: usize) -> Choice {
    Choice {
        key: QUESTION,
        label: "Poll: question",
        help: "What the poll asks, below the text. Every poll needs it.",
        required: false,
        kind: Kind::Line { max },
    }
}

pub(crate) const fn open_for(picks: &'static [Pick]) -> Choice {
    Choice {
        key: OPEN_FOR,
        label: "Poll: open for",
        help: "How long people can vote. Left empty: one day.",
        required: false,
        kind: Kind::OneOf { picks },
    }
}

pub(crate) const fn several() -> Choice {
    Choice {
        key: SEVERAL,
        label: "Poll: several answers",
        help: "May somebody choose more than one? Left empty: no.",
        required: false,
        kind: Kind::Flag,
    }
}

/// What is asked beside a post.
#[derive(Debug, PartialEq)]
pub(crate) struct Poll<'a> {
    pub answers: Vec<&'a str>,
    /// What stands under [`QUESTION`].
    pub question: Option<&'a str>,
    pub minutes: u32,
    pub several: bool,
}

impl Rendition {
    pub(crate) fn asks(&self) -> bool {
        self.option(POLL).is_some()
    }

    /// Its poll, or the error of one beside media (nothing was sent).
    pub(crate) fn poll(&self) -> Result<Option<Poll<'_>>, Error> {
        let Some(answers) = self.option(POLL) else { return Ok(None) };
        if !self.media.is_empty() {
            let why = "A poll stands alone, and this one has pictures or videos beside it.";
            return Err(Error::new(Class::Content, why).code("poll_with_media"));
        }
        Ok(Some(Poll {
            answers: lines(answers).collect(),
            question: self.option(QUESTION),
            minutes: self.option(OPEN_FOR).and_then(minutes).unwrap_or(DAY),
            several: self.option(SEVERAL) == Some("true"),
        }))
    }
}

/// Of `6h` and `3d`.
fn minutes(span: &str) -> Option<u32> {
    let (number, unit) = span.split_at_checked(span.len().checked_sub(1)?)?;
    let unit = match unit {
        "h" => 60,
        "d" => DAY,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Media;

    #[test]
    fn a_poll_is_what_its_options_say() {
        let with = |extra: &[(&str, &str)]| Rendition {
            extra: extra.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Rendition::default()
        };
        assert_eq!(with(&[("pollFor", "3d")]).poll().unwrap(), None);
        let asked =
            with(&[("poll", " Rye \r\n\nOats\n"), ("pollFor", "3d"), ("pollSeveral", "true")]);
        let poll =
            Poll { answers: vec!["Rye", "Oats"], question: None, minutes: 4_320, several: true };
        assert_eq!(asked.poll().unwrap(), Some(poll));
        let asked = with(&[("poll", "Rye\nOats")]);
        assert_eq!(asked.poll().unwrap().unwrap().minutes, 1_440);
        let beside = Rendition { media: vec![Media::default()], ..asked };
        assert_eq!(beside.poll().unwrap_err().code.as_deref(), Some("poll_with_media"));
    }

    #[test]
    fn every_span_that_can_be_chosen_is_read() {
        let all: Vec<_> = [UP_TO_A_MONTH, UP_TO_A_WEEK, WHOLE_DAYS].concat();
        assert!(all.iter().all(|pick| minutes(pick.value).is_some()));
        for bad in ["", "d", "1", "1w", "-1d", "ü", "99999999999d"] {
            assert_eq!(minutes(bad), None, "{bad}");
        }
    }
}
