//! Dates as people write them: `tomorrow 9:00`, `next Tuesday 18:30`, `24/12/2026 7am`.
//!
//! Days come before months. What can be read in two ways is refused with both readings; a time that
//! the clocks of its zone skip or show twice is taken by the rule of `domain::when`, and said.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

use crate::domain::when;

/// A moment, and what is to be known of how it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meant {
    /// ms UTC
    pub at: i64,
    pub note: Option<String>,
}

/// What a date means in this zone at this moment; the error is one sentence.
pub(super) fn read(text: &str, zone: &TimeZone, now: i64) -> Result<Meant, String> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(Meant { at: instant.as_millisecond(), note: None });
    }
    let wall = match text.parse::<DateTime>() {
        // A day alone is one too.
        Ok(wall) if text.contains(':') => wall,
        _ => wall(text, &when::wall(now, zone))?,
    };
    let note = said(wall, zone);
    Ok(Meant { at: when::moment(wall, zone), note })
}

fn wall(text: &str, now: &DateTime) -> Result<DateTime, String> {
    let folded = text.to_lowercase().replace(',', " ");
    let mut words: Vec<&str> = folded.split_whitespace().collect();
    if let [first, rest @ ..] = words.as_slice()
        && let Some((day, time)) = first.split_once('t')
        && day.starts_with(|c: char| c.is_ascii_digit())
        && time.starts_with(|c: char| c.is_ascii_digit())
    {
        words = [day, time].into_iter().chain(rest.iter().copied()).collect();
    }
    words.retain(|w| !["at", "on", "um", "the", "of"].contains(w));
    let (time, words) = take_time(&words);
    if words.is_empty() {
        return Err(match time {
            Some(_) => format!(
                "`{text}` names a time without a day: write `tomorrow {text}`, or 2026-12-24 before it"
            ),
            None => unread(text),
        });
    }
    let date = day(text, &words, now, time)?;
    let time =
        time.ok_or_else(|| format!("`{text}` names a day without a time: write `{date} 09:00`"))?;
    Ok(date.to_datetime(time))
}

fn unread(text: &str) -> String {
    format!(
        "`{text}` is no date: write it as 2026-12-24 07:00, 24.12.2026 7am, `tomorrow 9:00` or `Tuesday 18:30`"
    )
}

/// The time among the words, and the others.
fn take_time<'a>(words: &[&'a str]) -> (Option<Time>, Vec<&'a str>) {
    for (i, word) in words.iter().enumerate() {
        let next = words.get(i + 1).copied().unwrap_or_default();
        let half = ["am", "pm", "a.m.", "p.m."].contains(&next);
        let found = match half || next == "uhr" {
            true => time(&format!("{word}{next}")).map(|t| (t, 2)),
            false => time(word).map(|t| (t, 1)),
        };
        if let Some((time, taken)) = found {
            let rest = words[..i].iter().chain(&words[i + taken..]).copied().collect();
            return (Some(time), rest);
        }
    }
    (None, words.to_vec())
}

/// `9:00`, `09:00:30`, `7am`, `7.30pm`, `18h30`, `18uhr`, `noon`
fn time(word: &str) -> Option<Time> {
    if ["noon", "midday", "mittags"].contains(&word) {
        return Some(Time::constant(12, 0, 0, 0));
    }
    let pointed = word.contains('.') && !word.contains(':');
    let word = word.replace('.', ":").replace("a:m:", "am").replace("p:m:", "pm");
    let (digits, half) = match (word.strip_suffix("am"), word.strip_suffix("pm")) {
        (Some(d), _) => (d, Some(0)),
        (_, Some(d)) => (d, Some(12)),
        _ => (word.as_str(), None),
    };
    let (digits, said) = match digits.strip_suffix("uhr").or(digits.strip_suffix('h')) {
        Some(d) => (d.to_owned(), true),
        None => (digits.replacen('h', ":", 1), half.is_some()),
    };
    let parts: Vec<i8> = digits
        .split(':')
        .map(|p| p.parse().ok().filter(|_| p.len() <= 2))
        .collect::<Option<_>>()?;
    let (hour, minute, second) = match parts[..] {
        [hour] if said => (hour, 0, 0),
        // `24.12` and `18.30` look alike: with a point it takes a word that says it is a time.
        [hour, minute] if said || !pointed => (hour, minute, 0),
        [hour, minute, second] if !pointed => (hour, minute, second),
        _ => return None,
    };
    let hour = match half {
        Some(after) if (1..=12).contains(&hour) => hour % 12 + after,
        Some(_) => return None,
        None => hour,
    };
    Time::new(hour, minute, second, 0).ok()
}

const TODAY: [&str; 2] = ["today", "heute"];
const TOMORROW: [&str; 2] = ["tomorrow", "morgen"];
const NEXT: [&str; 6] = ["next", "nächsten", "nächster", "nächste", "kommenden", "coming"];
const THIS: [&str; 4] = ["this", "diesen", "dieser", "diese"];
const WEEKDAYS: [(&str, &str); 7] = [
    ("monday", "montag"),
    ("tuesday", "dienstag"),
    ("wednesday", "mittwoch"),
    ("thursday", "donnerstag"),
    ("friday", "freitag"),
    ("saturday", "samstag"),
    ("sunday", "sonntag"),
];
const MONTHS: [(&str, &str); 12] = [
    ("january", "januar"),
    ("february", "februar"),
    ("march", "märz"),
    ("april", "april"),
    ("may", "mai"),
    ("june", "juni"),
    ("july", "juli"),
    ("august", "august"),
    ("september", "september"),
    ("october", "oktober"),
    ("november", "november"),
    ("december", "dezember"),
];

/// Which one of the names a word is, whole or by its first three letters or more.
fn named(word: &str, names: &[(&str, &str)]) -> Option<i8> {
    let word = word.trim_end_matches('.');
    let is = |name: &str| name == word || word.chars().count() >= 3 && name.starts_with(word);
    let found = names.iter().position(|(english, german)| is(english) || is(german))?;
    i8::try_from(found).ok()
}

fn weekday(word: &str) -> Option<Weekday> {
    Weekday::from_monday_zero_offset(named(word, &WEEKDAYS)?).ok()
}

fn day(text: &str, words: &[&str], now: &DateTime, time: Option<Time>) -> Result<Date, String> {
    let today = now.date();
    let ahead = |days: i64| today.saturating_add(days.days());
    match words {
        [word] if TODAY.contains(word) => Ok(today),
        [word] if TOMORROW.contains(word) => Ok(ahead(1)),
        [word] if weekday(word).is_some() => Ok(coming(word, now, time)),
        [this, word] if THIS.contains(this) && weekday(word).is_some() => {
            Ok(coming(word, now, time))
        }
        [next, word] if NEXT.contains(next) => match weekday(word) {
            // The first one after today.
            Some(wanted) => match i64::from(today.weekday().until(wanted)) {
                0 => Ok(ahead(7)),
                days => Ok(ahead(days)),
            },
            None => Err(unread(text)),
        },
        [word] => numbers(text, word),
        [word, rest @ ..] if weekday(word).is_some() => {
            let date = day(text, rest, now, time)?;
            match weekday(word) {
                Some(wanted) if wanted != date.weekday() => {
                    let name = WEEKDAYS[date.weekday().to_monday_zero_offset() as usize].0;
                    let name = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
                    Err(format!("`{text}`: {date} is a {name}: correct the day or the date"))
                }
                _ => Ok(date),
            }
        }
        _ => with_month(text, words, now),
    }
}

/// Today if its time is to come, otherwise the next such day.
fn coming(word: &str, now: &DateTime, time: Option<Time>) -> Date {
    let today = now.date();
    let wanted = weekday(word).unwrap_or(today.weekday());
    let days = i64::from(today.weekday().until(wanted));
    let passed = days == 0 && time.is_some_and(|t| t <= now.time());
    today.saturating_add((if passed { 7 } else { days }).days())
}

/// `2026-12-24`, `24/12/2026`, `24.12.2026`
fn numbers(text: &str, word: &str) -> Result<Date, String> {
    let separator = word.chars().find(|c| matches!(c, '-' | '/' | '.'));
    let Some(separator) = separator else { return Err(unread(text)) };
    let parts: Vec<&str> = word.split(separator).collect();
    let number = |part: &str| part.parse::<i16>().ok().filter(|_| !part.starts_with('+'));
    let numbers: Option<Vec<i16>> = parts.iter().map(|p| number(p)).collect();
    let Some([a, b, c]) = numbers.as_deref().and_then(|n| <[i16; 3]>::try_from(n).ok()) else {
        return Err(unread(text));
    };
    let date = |year: i16, month: i16, day: i16| {
        Date::new(year, i8::try_from(month).unwrap_or(0), i8::try_from(day).unwrap_or(0)).ok()
    };
    let none = || format!("`{text}` is no day that there is: write it as 2026-12-24 07:00");
    if parts[0].len() == 4 {
        return date(a, b, c).ok_or_else(none);
    }
    if parts[2].len() != 4 {
        return Err(format!(
            "`{text}` does not say which year: write it with four digits, as 2026-12-24 07:00"
        ));
    }
    let (day_first, month_first) = (date(c, b, a), date(c, a, b));
    match (day_first, month_first) {
        (Some(one), Some(other)) if one != other && separator != '.' => Err(format!(
            "`{text}` can be {} or {}: write {one} or {other}",
            one.strftime("%-d %B %Y"),
            other.strftime("%-d %B %Y"),
        )),
        (Some(one), _) => Ok(one),
        (None, Some(other)) => {
            Err(format!("`{text}` has no month {b}, and days come first here: write {other}"))
        }
        (None, None) => Err(none()),
    }
}

/// `24 Dec 2026`, `December 24 2026`, `24. Dezember`; without a year the next one.
fn with_month(text: &str, words: &[&str], now: &DateTime) -> Result<Date, String> {
    let month = words.iter().find_map(|w| named(w, &MONTHS)).ok_or_else(|| unread(text))? + 1;
    let rest: Vec<&&str> = words.iter().filter(|w| named(w, &MONTHS).is_none()).collect();
    if rest.len() + 1 != words.len() || rest.len() > 2 {
        return Err(unread(text));
    }
    let plain = |w: &str| {
        let cut = ["st", "nd", "rd", "th", "."];
        cut.iter().find_map(|end| w.strip_suffix(end)).unwrap_or(w).to_owned()
    };
    let (mut year, mut day) = (None, None);
    for word in rest {
        match plain(word).parse::<i16>() {
            Ok(n) if n >= 1_000 && year.is_none() => year = Some(n),
            Ok(n) if day.is_none() => day = i8::try_from(n).ok(),
            _ => return Err(unread(text)),
        }
    }
    let day = day.ok_or_else(|| unread(text))?;
    let none = || format!("`{text}` is no day that there is: write it as 2026-12-24 07:00");
    match year {
        Some(year) => Date::new(year, month, day).map_err(|_| none()),
        None => {
            let years = now.date().year()..=now.date().year() + 4;
            let mut found = years.filter_map(|year| Date::new(year, month, day).ok());
            found.find(|date| *date >= now.date()).ok_or_else(none)
        }
    }
}

/// What is said of a time that the clocks skip or show twice.
fn said(wall: DateTime, zone: &TimeZone) -> Option<String> {
    let (day, time) = (wall.date(), wall.time().strftime("%H:%M"));
    let taken = when::iso(when::moment(wall, zone));
    match zone.to_ambiguous_zoned(wall).offset() {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => Some(format!(
            "Clocks skip {time} on {day}: {} is taken",
            when::wall(when::moment(wall, zone), zone).time().strftime("%H:%M")
        )),
        AmbiguousOffset::Fold { .. } => {
            Some(format!("Clocks show {time} twice on {day}: the first one is taken ({taken})"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday 23 November 2026, 08:00 UTC.
    const NOW: i64 = 1_795_420_800_000;

    fn meant(text: &str, zone: &str) -> Result<(String, Option<String>), String> {
        let zone = when::zone(zone).expect("a zone");
        read(text, &zone, NOW).map(|m| (when::iso(m.at), m.note))
    }

    #[test]
    fn days_are_read_as_people_write_them() {
        for (text, wall) in [
            ("tomorrow 9:00", "2026-11-24T08:00:00Z"),
            ("Tomorrow at 9am", "2026-11-24T08:00:00Z"),
            ("morgen 9 Uhr", "2026-11-24T08:00:00Z"),
            ("today 18:30", "2026-11-23T17:30:00Z"),
            ("next Tuesday 18:30", "2026-11-24T17:30:00Z"),
            ("next Monday 18:30", "2026-11-30T17:30:00Z"),
            ("Monday 18:30", "2026-11-23T17:30:00Z"),
            ("Monday 8:00", "2026-11-30T07:00:00Z"),
            ("Sun, noon", "2026-11-29T11:00:00Z"),
            ("nächsten Freitag 7.30 Uhr", "2026-11-27T06:30:00Z"),
            ("2026-12-24 07:00", "2026-12-24T06:00:00Z"),
            ("2026-12-24T07:00", "2026-12-24T06:00:00Z"),
            ("2026-12-24T07:00:30+00:00", "2026-12-24T07:00:30Z"),
            ("2026-12-24 07:00Z", "2026-12-24T07:00:00Z"),
            ("2026/12/24 7pm", "2026-12-24T18:00:00Z"),
            ("24/12/2026 7am", "2026-12-24T06:00:00Z"),
            ("24/12/2026 7 am", "2026-12-24T06:00:00Z"),
            ("24.12.2026 18h30", "2026-12-24T17:30:00Z"),
            ("03.04.2027 12am", "2027-04-02T22:00:00Z"),
            ("05/05/2027 12:00", "2027-05-05T10:00:00Z"),
            ("Thursday 24 Dec 2026, 7:15 p.m.", "2026-12-24T18:15:00Z"),
            ("24th of December 7:00", "2026-12-24T06:00:00Z"),
            ("24. Dezember 2026 7 Uhr", "2026-12-24T06:00:00Z"),
            ("March 3 9:00", "2027-03-03T08:00:00Z"),
        ] {
            let found = meant(text, "Europe/Berlin");
            assert_eq!(found, Ok((wall.to_owned(), None)), "{text}");
        }
    }

    #[test]
    fn what_has_two_readings_or_none_is_refused_with_what_to_write() {
        for (text, says) in [
            ("03/04/2027 9:00", "3 April 2027 or 4 March 2027: write 2027-04-03 or 2027-03-04"),
            ("12/24/2026 9:00", "no month 24"),
            ("24/12/26 9:00", "which year"),
            ("31.02.2027 9:00", "no day that there is"),
            ("2026-12-24", "a day without a time: write `2026-12-24 09:00`"),
            ("9:00", "a time without a day"),
            ("Friday 24 Dec 2026 9:00", "2026-12-24 is a Thursday"),
            ("soon", "is no date"),
            ("tomorrow 25:00", "is no date"),
            ("next week 9:00", "is no date"),
            ("24 12 9:00", "is no date"),
            ("+1/2/2027 9:00", "is no date"),
            ("", "is no date"),
        ] {
            let said = meant(text, "Europe/Berlin").expect_err(text);
            assert!(said.contains(says), "{text}: {said}");
        }
    }

    #[test]
    fn clock_changes_are_said() {
        let (at, note) = meant("2027-03-28 01:30", "Europe/London").unwrap();
        assert_eq!(at, "2027-03-28T01:30:00Z");
        assert_eq!(note.as_deref(), Some("Clocks skip 01:30 on 2027-03-28: 02:30 is taken"));
        let (at, note) = meant("2027-10-31 01:30", "Europe/London").unwrap();
        assert_eq!(at, "2027-10-31T00:30:00Z");
        assert!(note.unwrap().starts_with("Clocks show 01:30 twice on 2027-10-31"));
    }
}
