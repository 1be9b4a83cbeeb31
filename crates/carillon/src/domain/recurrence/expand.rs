//! A rule, expanded: period after period, the days of each held against every part of the rule.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Weekday};

use super::{ByDay, End, Freq, Rule};

impl Rule {
    /// Those from its start up to and with `to`, in order. The start is one only where the rule says
    /// so, too.
    pub fn walls(&self, start: DateTime, to: DateTime) -> Vec<DateTime> {
        let rule = self.filled(start.date());
        let (to, most) = match self.end {
            End::Never => (to, usize::MAX),
            End::Count(n) => (to, n as usize),
            End::Until(until) => (to.min(until), usize::MAX),
        };
        let mut found = Vec::new();
        let mut n = 0;
        while let Some((first, days)) = rule.period(start.date(), n) {
            if first > to.date() {
                break;
            }
            let days: Vec<Date> =
                first.series(1.day()).take(days).filter(|day| rule.takes(*day)).collect();
            for day in rule.placed(days) {
                let wall = day.to_datetime(start.time());
                if wall > to || found.len() == most {
                    return found;
                }
                if wall >= start {
                    found.push(wall);
                }
            }
            n += 1;
        }
        found
    }

    /// What the rule leaves unsaid, taken from its start.
    fn filled(&self, start: Date) -> Self {
        let mut rule = self.clone();
        let days = [&rule.by_week, &rule.by_year_day, &rule.by_month_day];
        if rule.by_day.is_empty() && days.iter().all(|list| list.is_empty()) {
            match rule.freq {
                Freq::Daily => {}
                Freq::Weekly => rule.by_day.push(ByDay { nth: None, day: start.weekday() }),
                Freq::Monthly => rule.by_month_day.push(start.day().into()),
                Freq::Yearly => {
                    rule.by_month_day.push(start.day().into());
                    if rule.by_month.is_empty() {
                        rule.by_month.push(start.month().into());
                    }
                }
            }
        }
        rule
    }

    /// The first day of the n-th period that counts, and how many it has; `None` beyond the end of
    /// the calendar.
    fn period(&self, start: Date, n: u32) -> Option<(Date, usize)> {
        let by = i64::from(n) * i64::from(self.interval);
        let (first, by, days) = match self.freq {
            Freq::Daily => (start, by.days(), 1),
            Freq::Weekly => (week(start, self.week_start), (by * 7).days(), 7),
            Freq::Monthly => (start.first_of_month(), by.try_months()?, 0),
            Freq::Yearly => (start.first_of_year(), by.try_years()?, 0),
        };
        let first = first.checked_add(by).ok()?;
        let days = match self.freq {
            Freq::Monthly => first.days_in_month() as usize,
            Freq::Yearly => first.days_in_year() as usize,
            Freq::Daily | Freq::Weekly => days,
        };
        Some((first, days))
    }

    /// Is this day of a period one?
    fn takes(&self, day: Date) -> bool {
        let among = |list: &[i16], n: i16, of: i16| {
            list.is_empty() || list.iter().any(|at| *at == n || *at == n - of - 1)
        };
        among(&self.by_month, day.month().into(), 12)
            && among(&self.by_month_day, day.day().into(), day.days_in_month().into())
            && among(&self.by_year_day, day.day_of_year(), day.days_in_year())
            && (self.by_week.is_empty() || self.takes_week(day))
            && (self.by_day.is_empty() || self.by_day.iter().any(|by| self.takes_weekday(*by, day)))
    }

    /// Weeks as ISO 8601 counts them, from the rule's own first day.
    fn takes_week(&self, day: Date) -> bool {
        let number = |day: Date| {
            // A week belongs to the year that has most of its days.
            let most = week(day, self.week_start).saturating_add(3.days());
            (most.year(), (most.day_of_year() - 1) / 7 + 1)
        };
        let (year, n) = number(day);
        let (_, last) = number(Date::constant(year, 12, 28));
        self.by_week.iter().any(|at| *at == n || *at == n - last - 1)
    }

    fn takes_weekday(&self, by: ByDay, day: Date) -> bool {
        if by.day != day.weekday() {
            return false;
        }
        let Some(nth) = by.nth else { return true };
        let yearly = self.freq == Freq::Yearly && self.by_month.is_empty();
        let (at, of) = match yearly {
            true => (day.day_of_year(), day.days_in_year()),
            false => (day.day().into(), day.days_in_month().into()),
        };
        nth == (at - 1) / 7 + 1 || nth == -((of - at) / 7 + 1)
    }

    /// Those at the rule's positions among a period's.
    fn placed(&self, days: Vec<Date>) -> Vec<Date> {
        if self.by_position.is_empty() {
            return days;
        }
        let of = days.len() as i16;
        let at = |n: i16| self.by_position.iter().any(|p| *p == n || *p == n - of - 1);
        days.into_iter().zip(1..).filter(|(_, n)| at(*n)).map(|(day, _)| day).collect()
    }
}

/// The first day of a day's week.
fn week(day: Date, start: Weekday) -> Date {
    day.saturating_sub(i64::from(start.until(day.weekday())).days())
}

/// Spans that the calendar has no room for are none.
trait Room {
    fn try_months(self) -> Option<jiff::Span>;
    fn try_years(self) -> Option<jiff::Span>;
}

impl Room for i64 {
    fn try_months(self) -> Option<jiff::Span> {
        jiff::Span::new().try_months(self).ok()
    }
    fn try_years(self) -> Option<jiff::Span> {
        jiff::Span::new().try_years(self).ok()
    }
}
