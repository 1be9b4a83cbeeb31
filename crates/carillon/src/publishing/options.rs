//! What a placement asks beside text and media (an event's times, a button, who may see it), held
//! against what was answered. The SPEC says what it asks; answers are text.

use std::collections::BTreeMap;

use carillon_networks::spec::{Choice, Kind};

use super::plan::Planned;
use crate::domain::refusal::Wrong;

/// Answers by the keys of the placement's options.
pub type Answers = BTreeMap<String, String>;

/// Names every answer that is missing, unknown or of another kind.
pub(super) fn measure(p: &Planned, wrong: &mut Vec<Wrong>) {
    let (name, place, options) = (p.spec.name, p.placement.name, p.placement.options);
    let mut say = |key: &str, code: &str, message: String| {
        let field = format!("deliveries[{}].options.{key}", p.position);
        wrong.push(Wrong::new(field, code, message).at(&p.connection.id));
    };
    for (key, answer) in &p.options {
        match options.iter().find(|o| o.key == key) {
            _ if answer.trim().is_empty() => {}
            Some(option) => {
                if let Err(why) = fits(option, answer.trim()) {
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
        if p.options.get(option.key).is_none_or(|answer| answer.trim().is_empty()) {
            let message = format!("{name} ({place}) needs {}: {}", option.label, option.help);
            say(option.key, "option_required", message);
        }
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

    #[test]
    fn answers_are_of_their_kind() {
        let picks = &[Pick { value: "BOOK", label: "Book" }, Pick { value: "CALL", label: "Call" }];
        for (kind, good, bad) in [
            (Kind::Line { max: 5 }, "Bread", "Breads"),
            (Kind::Line { max: 50 }, "one line", "two\nlines"),
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
