//! A rule as a person says it: "Every second Tuesday at 07:00 (Europe/London), 12 times".

use jiff::civil::{Date, Time, Weekday};

use super::{ByDay, End, Freq, Recurrence, Rule};

impl Recurrence {
    /// One sentence without its full stop.
    pub fn words(&self, zone: &str) -> String {
        let how_often = self.rule.words(self.start.date());
        let end = match self.rule.end {
            End::Never => String::new(),
            End::Count(1) => ", once".to_owned(),
            End::Count(n) => format!(", {n} times"),
            End::Until(wall) => format!(", until {}", day(wall.date())),
        };
        format!("{how_often} at {} ({zone}){end}", time(self.start.time()))
    }
}

impl Rule {
    fn words(&self, start: Date) -> String {
        self.simple(start)
            .unwrap_or_else(|| format!("By the rule {}", Rule { end: End::Never, ..self.clone() }))
    }

    /// `None` where a rule says more than people do.
    fn simple(&self, start: Date) -> Option<String> {
        let n = self.interval;
        let plain: Option<Vec<Weekday>> =
            self.by_day.iter().map(|by| by.nth.is_none().then_some(by.day)).collect();
        let bare = self.by_week.is_empty() && self.by_year_day.is_empty();
        let months = self.by_month.is_empty();
        let unplaced = self.by_position.is_empty();
        match self.freq {
            Freq::Daily
                if bare
                    && months
                    && unplaced
                    && self.by_day.is_empty()
                    && self.by_month_day.is_empty() =>
            {
                Some(if n == 1 {
                    "Every day".to_owned()
                } else {
                    format!("Every {} day", ordinal(n))
                })
            }
            Freq::Weekly if bare && months && unplaced => {
                let days = plain?;
                let days = if days.is_empty() { vec![start.weekday()] } else { days };
                Some(match (n, days.as_slice()) {
                    (1, days) if is_working_week(days) => "Every weekday".to_owned(),
                    (1, days) => format!("Every {}", list(days, name)),
                    (n, [one]) => format!("Every {} {}", ordinal(n), name(one)),
                    (n, days) => format!("Every {} week on {}", ordinal(n), list(days, name)),
                })
            }
            Freq::Monthly if bare && months => {
                let every = if n == 1 {
                    "Every month".to_owned()
                } else {
                    format!("Every {} month", ordinal(n))
                };
                Some(format!("{every} on {}", self.of_month(start, plain.as_deref())?))
            }
            Freq::Yearly if bare && unplaced && self.by_day.is_empty() => {
                let [month_day] = self.by_month_day.as_slice() else {
                    return (self.by_month_day.is_empty() && months)
                        .then(|| yearly(n, start.day().into(), start.month().into()));
                };
                match self.by_month.as_slice() {
                    [month] if *month_day > 0 => Some(yearly(n, *month_day, *month)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// "the 15th", "the last Friday", "the last weekday"
    fn of_month(&self, start: Date, plain: Option<&[Weekday]>) -> Option<String> {
        let working = plain.is_some_and(is_working_week);
        match (self.by_day.as_slice(), self.by_month_day.as_slice(), self.by_position.as_slice()) {
            ([], [], []) => Some(format!("the {}", numbered(start.day().into()))),
            ([], days, []) => Some(list(days, |n| match n {
                -1 => "the last day".to_owned(),
                n if *n < 0 => format!("the {} day from the end", numbered(-n)),
                n => format!("the {}", numbered(*n)),
            })),
            (days, [], []) => {
                let all: Option<Vec<String>> = days
                    .iter()
                    .map(|ByDay { nth, day }| Some(format!("the {} {}", place((*nth)?), name(day))))
                    .collect();
                Some(list(&all?, String::clone))
            }
            (_, [], [nth]) if working => Some(format!("the {} weekday", place(*nth))),
            _ => None,
        }
    }
}

fn yearly(n: u32, day: i16, month: i16) -> String {
    let every = if n == 1 { "Every year".to_owned() } else { format!("Every {} year", ordinal(n)) };
    format!("{every} on {day} {}", MONTHS[(month as usize - 1) % 12])
}

fn is_working_week(days: &[Weekday]) -> bool {
    use Weekday::{Friday, Monday, Thursday, Tuesday, Wednesday};
    days.len() == 5
        && [Monday, Tuesday, Wednesday, Thursday, Friday].iter().all(|d| days.contains(d))
}

/// "a", "a and b", "a, b and c"
fn list<T>(all: &[T], word: impl Fn(&T) -> String) -> String {
    let words: Vec<String> = all.iter().map(word).collect();
    match words.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        words => words.concat(),
    }
}

fn name(day: &Weekday) -> String {
    format!("{day:?}")
}

/// 2: "second", 3: "third", 4: "4th"
fn ordinal(n: u32) -> String {
    match n {
        2 => "second".into(),
        3 => "third".into(),
        n => numbered(n.min(10_000) as i16),
    }
}

/// The place of a weekday in its month.
fn place(nth: i16) -> String {
    match nth {
        1 => "first".into(),
        -1 => "last".into(),
        -2 => "second last".into(),
        n if n > 0 => ordinal(n as u32),
        n => format!("{} last", numbered(-n)),
    }
}

fn numbered(n: i16) -> String {
    let end = match (n % 100, n % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{n}{end}")
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// 24 December 2026
fn day(day: Date) -> String {
    format!("{} {} {}", day.day(), MONTHS[(day.month() as usize - 1) % 12], day.year())
}

fn time(time: Time) -> String {
    time.strftime("%H:%M").to_string()
}
