//! What comes round: the recurrence rules of RFC 5545 (3.3.10, 3.8.5) from a day up.
//!
//! Rules are expanded in wall-clock time and zoned afterwards (`when::moment`), so that "every
//! Tuesday at 07:00" stays at 07:00 when clocks change and when a zone's own rules do. Ours, because
//! the crate for it brings a second calendar library and a second copy of all zones along.

mod expand;
mod parse;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeSet;
use std::fmt;

use jiff::civil::{Date, DateTime, Weekday};

/// No rule is followed further than this from its start, in years: every rule that has an instance
/// at all has one within eight (29 February over 2100), and several within this.
const FAR: i16 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freq {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// A weekday, or the n-th one of its month or year; from the end where `nth` is below 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByDay {
    pub nth: Option<i16>,
    pub day: Weekday,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Never,
    /// After so many, whatever is left out of them by hand.
    Count(u32),
    /// With this moment, in wall-clock time.
    Until(DateTime),
}

/// One `RRULE`, valid in itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub freq: Freq,
    pub interval: u32,
    pub by_day: Vec<ByDay>,
    pub by_month_day: Vec<i16>,
    pub by_year_day: Vec<i16>,
    pub by_week: Vec<i16>,
    pub by_month: Vec<i16>,
    pub by_position: Vec<i16>,
    pub week_start: Weekday,
    pub end: End,
}

/// A rule with its start, and what is left out of it and added by hand (`EXDATE`, `RDATE`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurrence {
    pub start: DateTime,
    pub rule: Rule,
    pub without: BTreeSet<DateTime>,
    pub also: BTreeSet<DateTime>,
}

impl Recurrence {
    /// Those from `from` up to and with `to`, in order.
    pub fn between(&self, from: DateTime, to: DateTime) -> Vec<DateTime> {
        let mut all: BTreeSet<DateTime> = self.rule.walls(self.start, to).into_iter().collect();
        all.extend(self.also.iter().filter(|wall| **wall <= to));
        all.into_iter().filter(|wall| *wall >= from && !self.without.contains(wall)).collect()
    }

    /// The first `n` from `from` on.
    pub fn next(&self, from: DateTime, n: usize) -> Vec<DateTime> {
        let last = Date::constant(self.start.year().saturating_add(FAR).min(9_998), 12, 31);
        let mut years = 1;
        loop {
            let to = from.date().year().saturating_add(years).min(last.year());
            let to = Date::constant(to, 12, 31).at(23, 59, 59, 0);
            let mut found = self.between(from, to);
            if found.len() >= n || to.date() >= last {
                found.truncate(n);
                return found;
            }
            years = years.saturating_mul(4);
        }
    }

    /// Does it hold this one?
    pub fn has(&self, wall: DateTime) -> bool {
        !self.between(wall, wall).is_empty()
    }
}

impl fmt::Display for Rule {
    /// As RFC 5545 writes it, `UNTIL` in wall-clock time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let freq = match self.freq {
            Freq::Daily => "DAILY",
            Freq::Weekly => "WEEKLY",
            Freq::Monthly => "MONTHLY",
            Freq::Yearly => "YEARLY",
        };
        write!(f, "FREQ={freq}")?;
        if self.interval > 1 {
            write!(f, ";INTERVAL={}", self.interval)?;
        }
        let numbers = [
            ("BYMONTH", &self.by_month),
            ("BYWEEKNO", &self.by_week),
            ("BYYEARDAY", &self.by_year_day),
            ("BYMONTHDAY", &self.by_month_day),
        ];
        for (name, list) in numbers.into_iter().filter(|(_, list)| !list.is_empty()) {
            write!(f, ";{name}={}", joined(list))?;
        }
        if !self.by_day.is_empty() {
            let days: Vec<String> = self.by_day.iter().map(ByDay::to_string).collect();
            write!(f, ";BYDAY={}", days.join(","))?;
        }
        if !self.by_position.is_empty() {
            write!(f, ";BYSETPOS={}", joined(&self.by_position))?;
        }
        if self.week_start != Weekday::Monday {
            write!(f, ";WKST={}", short(self.week_start))?;
        }
        match self.end {
            End::Never => Ok(()),
            End::Count(n) => write!(f, ";COUNT={n}"),
            End::Until(wall) => write!(f, ";UNTIL={}", wall.strftime("%Y%m%dT%H%M%S")),
        }
    }
}

impl fmt::Display for ByDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nth = self.nth.map(|n| n.to_string()).unwrap_or_default();
        write!(f, "{nth}{}", short(self.day))
    }
}

const WEEK: [(Weekday, &str); 7] = [
    (Weekday::Monday, "MO"),
    (Weekday::Tuesday, "TU"),
    (Weekday::Wednesday, "WE"),
    (Weekday::Thursday, "TH"),
    (Weekday::Friday, "FR"),
    (Weekday::Saturday, "SA"),
    (Weekday::Sunday, "SU"),
];

/// `MO`, `TU`, …
pub fn short(day: Weekday) -> &'static str {
    WEEK[day.to_monday_zero_offset() as usize].1
}

/// The weekday of `MO`, `TU`, …
pub fn weekday(word: &str) -> Option<Weekday> {
    WEEK.iter().find(|(_, short)| *short == word).map(|(day, _)| *day)
}

fn joined(list: &[i16]) -> String {
    list.iter().map(i16::to_string).collect::<Vec<_>>().join(",")
}
