//! What a placement asks beside text and media (an event's times, a button, who may see it), held
//! against what was answered. The SPEC says what it asks; answers are text.

use std::collections::{BTreeMap, BTreeSet};

use carillon_networks::poll::{OF_A_POLL, POLL, QUESTION};
use carillon_networks::spec::{Beside, Choice, Kind, lines};

use super::plan::Planned;
use crate::domain::refusal::Wrong;

/// Answers by the keys of the placement's options.
pub type Answers = BTreeMap<String, String>;

/// What a post's text stands beside: media, a poll, or neither.
pub(super) fn beside(answers: &Answers, with_media: bool) -> Beside {
    match (with_media, answered(answers, POLL)) {
        (true, _) => Beside::Media,
        (false, Some(_)) => Beside::Poll,
        (false, None) => Beside::Nothing,
    }
}

fn answered<'a>(answers: &'a Answers, key: &str) -> Option<&'a str> {
    answers.get(key).map(|answer| answer.trim()).filter(|answer| !answer.is_empty())
}

/// Names every answer that is missing, unknown or of another kind.
pub(super) fn measure(p: &Planned, with_media: bool, wrong: &mut Vec<Wrong>) {
    let (name, place, options) = (p.spec.name, p.placement.name, p.placement.options);
    let mut say = |key: &str, code: &str, message: String| {
        let field = format!("deliveries[{}].options.{key}", p.position);
        wrong.push(Wrong::new(field, code, message).at(&p.connection.id));
    };
    for key in p.options.keys() {
        let Some(answer) = answered(&p.options, key) else { continue };
        match options.iter().find(|o| o.key == key) {
            Some(option) => {
                if let Err(why) = fits(option, answer) {
                    say(key, "option_invalid", format!("{name}, {}: {why}.", option.label));
                }
            }
            None => {
                let known: Vec<String> = options.iter().map(|o| format!("`{}`", o.key)).collect();
                let has = match known.is_empty() {
                    true => "it has none".to_owned(),
                    false => format!("it has {}", known.join(", ")),
                };
                let message = format!("{name} ({place}) has no option `{key}`; {has}.");
                say(key, "unknown_option", message);
            }
        }
    }
    for option in options.iter().filter(|o| o.required) {
        if answered(&p.options, option.key).is_none() {
            let message = format!("{name} ({place}) needs {}: {}", option.label, option.help);
            say(option.key, "option_required", message);
        }
    }
    let own = |key: &str| options.iter().find(|o| o.key == key);
    if answered(&p.options, POLL).is_none() {
        let given = |key: &&str| answered(&p.options, key).is_some_and(|answer| answer != "false");
        for option in OF_A_POLL.into_iter().filter(given).filter_map(own) {
            let message = format!(
                "{name} ({place}): {} is for a poll, and there is none: write its answers, or \
                 leave this empty.",
                option.label
            );
            say(option.key, "poll_missing", message);
        }
        return;
    }
    if let Some(option) = own(QUESTION).filter(|o| answered(&p.options, o.key).is_none()) {
        let message = format!("{name} ({place}) needs {}: {}", option.label, option.help);
        say(option.key, "option_required", message);
    }
    if with_media && own(POLL).is_some() {
        let message = format!(
            "{name} ({place}) shows no pictures and videos beside a poll: take them out, or the \
             poll."
        );
        say(POLL, "poll_with_media", message);
    }
}

/// Why an answer is none, as the end of a sentence.
fn fits(option: &Choice, answer: &str) -> Result<(), String> {
    let chars = answer.chars().count();
    match option.kind {
        Kind::Line { .. } if answer.contains(['\n', '\r']) => Err("it is one line".into()),
        Kind::Line { max } | Kind::Words { max } if chars > max => {
            Err(format!("at most {max} characters, there are {chars}"))
        }
        Kind::Line { .. } | Kind::Words { .. } => Ok(()),
        Kind::Lines { min, max, chars } => {
            let all: Vec<&str> = lines(answer).collect();
            let long = |line: &&&str| line.chars().count() > chars;
            match (all.len(), all.iter().find(long)) {
                (n, _) if n < min => {
                    Err(format!("at least {min} answers, one a line, there is {n}"))
                }
                (n, _) if n > max => Err(format!("at most {max} answers, there are {n}")),
                (_, Some(line)) => Err(format!(
                    "at most {chars} characters an answer, “{line}” has {}",
                    line.chars().count()
                )),
                (n, None) if all.iter().collect::<BTreeSet<_>>().len() < n => {
                    Err("every answer stands there once".into())
                }
                _ => Ok(()),
            }
        }
        Kind::Link => {
            let read = answer.parse::<url::Url>().ok();
            let good = read.is_some_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
            if good { Ok(()) } else { Err("it is an address that begins with https://".into()) }
        }
        Kind::LocalTime => {
            let day = answer.parse::<jiff::civil::Date>().is_ok() && answer.len() == 10;
            let minute = answer.parse::<jiff::civil::DateTime>().is_ok() && answer.len() == 16;
            if day || minute {
                Ok(())
            } else {
                Err("it is a day, as 2026-12-24, or a minute of one, as 2026-12-24T18:30".into())
            }
        }
        Kind::Flag if matches!(answer, "true" | "false") => Ok(()),
        Kind::Flag => Err("it is true or false".into()),
        Kind::OneOf { picks } if picks.iter().any(|pick| pick.value == answer) => Ok(()),
        Kind::OneOf { picks } => {
            let all: Vec<&str> = picks.iter().map(|pick| pick.value).collect();
            Err(format!("it is one of {}", all.join(", ")))
        }
        Kind::Picture { .. } => Err("a picture of its own cannot be chosen yet".into()),
    }
}

#[cfg(test)]
mod tests {
    use carillon_networks::spec::Pick;

    use super::*;

    const LINES: Kind = Kind::Lines { min: 2, max: 3, chars: 5 };

    #[test]
    fn answers_are_of_their_kind() {
        let picks = &[Pick { value: "BOOK", label: "Book" }, Pick { value: "CALL", label: "Call" }];
        for (kind, good, bad) in [
            (Kind::Line { max: 5 }, "Bread", "Breads"),
            (Kind::Line { max: 50 }, "one line", "two\nlines"),
            (LINES, "Rye\n\n Oats ", "Rye"),
            (LINES, "Rye\r\nOats\nEggs", "Rye\nOats\nEggs\nMilk"),
            (LINES, "Wheat\nRye", "Barley\nRye"),
            (LINES, "rye\nRye", "Rye\nRye "),
            (Kind::Words { max: 12 }, "bread, rye", "bread, rye, oats"),
            (Kind::Link, "https://example.com/a?b", "example.com"),
            (Kind::Link, "http://a.example", "javascript:alert(1)"),
            (Kind::LocalTime, "2026-12-24", "24.12.2026"),
            (Kind::LocalTime, "2026-12-24T18:30", "2026-02-30"),
            (Kind::LocalTime, "2026-12-24T18:30", "2026-12-24T18:30:10Z"),
            (Kind::Flag, "true", "yes"),
            (Kind::OneOf { picks }, "CALL", "call"),
        ] {
            let option = Choice { key: "k", label: "It", help: "It.", required: false, kind };
            assert_eq!(fits(&option, good), Ok(()), "{good}");
            assert!(fits(&option, bad).is_err(), "{bad}");
        }
    }
}
