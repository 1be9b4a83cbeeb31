//! From `FREQ=WEEKLY;BYDAY=TU` to a rule, with everything that is wrong named at once.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;

use super::{ByDay, End, Freq, Rule, weekday};

impl Rule {
    /// Reads a rule, with `RRULE:` before it or not. `UNTIL` in UTC is taken as the wall-clock time
    /// of `zone`; a day means the whole of it. Errors are sentences.
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self, Vec<String>> {
        let mut said = Said::default();
        let text = text.trim().to_ascii_uppercase();
        for part in text.trim_start_matches("RRULE:").split(';').filter(|p| !p.trim().is_empty()) {
            match part.split_once('=') {
                Some((name, value)) => said.part(name.trim(), value.trim(), zone),
                None => {
                    said.wrong.push(format!("`{part}` is no part of a rule: write NAME=VALUE."))
                }
            }
        }
        said.rule()
    }
}

#[derive(Default)]
struct Said {
    freq: Option<Freq>,
    interval: Option<u32>,
    count: Option<u32>,
    until: Option<DateTime>,
    week_start: Option<Weekday>,
    by_day: Vec<ByDay>,
    by_month_day: Vec<i16>,
    by_year_day: Vec<i16>,
    by_week: Vec<i16>,
    by_month: Vec<i16>,
    by_position: Vec<i16>,
    names: Vec<String>,
    wrong: Vec<String>,
}

impl Said {
    fn part(&mut self, name: &str, value: &str, zone: &TimeZone) {
        if self.names.iter().any(|n| n == name) {
            return self.wrong.push(format!("`{name}` stands twice in the rule."));
        }
        self.names.push(name.to_owned());
        match name {
            "FREQ" => self.freq = self.frequency(value),
            "INTERVAL" => self.interval = self.number(name, value, 1_000),
            "COUNT" => self.count = self.number(name, value, 10_000),
            "UNTIL" => match until(value, zone) {
                Some(wall) => self.until = Some(wall),
                None => self.wrong.push(format!(
                    "`UNTIL={value}` is no day or time: write 20261224, 20261224T070000, or with Z."
                )),
            },
            "WKST" => match weekday(value) {
                Some(day) => self.week_start = Some(day),
                None => self.wrong.push(no_weekday("WKST", value)),
            },
            "BYDAY" => self.by_day = self.days(value),
            "BYMONTHDAY" => self.by_month_day = self.list(name, value, 31, true),
            "BYYEARDAY" => self.by_year_day = self.list(name, value, 366, true),
            "BYWEEKNO" => self.by_week = self.list(name, value, 53, true),
            "BYMONTH" => self.by_month = self.list(name, value, 12, false),
            "BYSETPOS" => self.by_position = self.list(name, value, 366, true),
            "BYHOUR" | "BYMINUTE" | "BYSECOND" => self.wrong.push(format!(
                "`{name}` cannot be in the rule: every instance has the time of day of the first. \
                 Make a series for each time of day."
            )),
            _ => self.wrong.push(format!("`{name}` is no part of a recurrence rule.")),
        }
    }

    fn frequency(&mut self, value: &str) -> Option<Freq> {
        let sentence = match value {
            "DAILY" => return Some(Freq::Daily),
            "WEEKLY" => return Some(Freq::Weekly),
            "MONTHLY" => return Some(Freq::Monthly),
            "YEARLY" => return Some(Freq::Yearly),
            "HOURLY" | "MINUTELY" | "SECONDLY" => "posts repeat once a day at most",
            _ => "that is no frequency",
        };
        let message =
            format!("`FREQ={value}`: {sentence}. It can be DAILY, WEEKLY, MONTHLY or YEARLY.");
        self.wrong.push(message);
        None
    }

    fn number(&mut self, name: &str, value: &str, most: u32) -> Option<u32> {
        let n = value.parse().ok().filter(|n| (1..=most).contains(n));
        if n.is_none() {
            self.wrong.push(format!("`{name}={value}`: it can be 1 to {most}."));
        }
        n
    }

    fn list(&mut self, name: &str, value: &str, most: i16, below: bool) -> Vec<i16> {
        let mut found = Vec::new();
        for word in value.split(',') {
            match word.trim().parse::<i16>() {
                Ok(n) if (1..=most).contains(&n) || below && (-most..0).contains(&n) => {
                    found.push(n)
                }
                _ => {
                    let from_end = if below { ", or from the end below 0" } else { "" };
                    self.wrong.push(format!("`{name}={word}`: it can be 1 to {most}{from_end}."));
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn days(&mut self, value: &str) -> Vec<ByDay> {
        let mut found = Vec::new();
        for word in value.split(',').map(str::trim) {
            let split = word.len().saturating_sub(2);
            let (nth, day) = word.split_at_checked(split).unwrap_or(("", word));
            let nth = (!nth.is_empty()).then(|| nth.parse::<i16>());
            match (nth, weekday(day)) {
                (None, Some(day)) => found.push(ByDay { nth: None, day }),
                (Some(Ok(n)), Some(day)) if n != 0 && n.abs() <= 53 => {
                    found.push(ByDay { nth: Some(n), day });
                }
                _ => self.wrong.push(no_weekday("BYDAY", word)),
            }
        }
        found
    }

    /// The rule, if its parts go together.
    fn rule(mut self) -> Result<Rule, Vec<String>> {
        let freq = match self.freq {
            Some(freq) => freq,
            None => {
                if !self.names.iter().any(|n| n == "FREQ") {
                    let message = "The rule does not say how often: begin it with FREQ=WEEKLY.";
                    self.wrong.push(message.to_owned());
                }
                return Err(self.wrong);
            }
        };
        let mut refuse = |so: bool, message: &str| {
            if so {
                self.wrong.push(message.to_owned());
            }
        };
        let nth = self.by_day.iter().any(|by| by.nth.is_some());
        refuse(
            nth && (matches!(freq, Freq::Daily | Freq::Weekly) || !self.by_week.is_empty()),
            "A numbered weekday such as 2TU goes with FREQ=MONTHLY, or FREQ=YEARLY without BYWEEKNO.",
        );
        refuse(
            freq == Freq::Weekly && !self.by_month_day.is_empty(),
            "`BYMONTHDAY` does not go with FREQ=WEEKLY: use FREQ=MONTHLY.",
        );
        refuse(
            freq != Freq::Yearly && !(self.by_year_day.is_empty() && self.by_week.is_empty()),
            "`BYYEARDAY` and `BYWEEKNO` go with FREQ=YEARLY only.",
        );
        refuse(
            !self.by_week.is_empty() && self.by_day.is_empty(),
            "`BYWEEKNO` needs the days of that week: add BYDAY=MO.",
        );
        refuse(
            !self.by_position.is_empty()
                && self.by_day.is_empty()
                && [&self.by_month_day, &self.by_year_day, &self.by_month]
                    .iter()
                    .all(|list| list.is_empty()),
            "`BYSETPOS` chooses among what other parts say: add BYDAY or BYMONTHDAY.",
        );
        refuse(
            self.count.is_some() && self.until.is_some(),
            "A rule ends by `COUNT` or by `UNTIL`, not by both.",
        );
        if !self.wrong.is_empty() {
            return Err(self.wrong);
        }
        Ok(Rule {
            freq,
            interval: self.interval.unwrap_or(1),
            by_day: self.by_day,
            by_month_day: self.by_month_day,
            by_year_day: self.by_year_day,
            by_week: self.by_week,
            by_month: self.by_month,
            by_position: self.by_position,
            week_start: self.week_start.unwrap_or(Weekday::Monday),
            end: match (self.count, self.until) {
                (Some(n), _) => End::Count(n),
                (None, Some(wall)) => End::Until(wall),
                (None, None) => End::Never,
            },
        })
    }
}

fn until(value: &str, zone: &TimeZone) -> Option<DateTime> {
    if value.ends_with('Z') {
        let at: Timestamp = value.parse().ok()?;
        return Some(zone.to_datetime(at));
    }
    if !value.contains('T') {
        return value.parse::<Date>().ok().map(|day| day.at(23, 59, 59, 0));
    }
    value.parse().ok()
}

fn no_weekday(name: &str, word: &str) -> String {
    format!("`{name}={word}` is no weekday: they are MO, TU, WE, TH, FR, SA, SU.")
}
