//! From a campaign's form to the days and times of its posts: pure, so that a page can show them
//! while somebody types.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::series::wall;
use crate::domain::campaign::CampaignKind as Kind;
use crate::domain::recurrence::{short, weekday};
use crate::domain::refusal::Wrong;
use crate::domain::when;

/// A countdown's days before its event.
const COUNTDOWN: [i64; 4] = [7, 3, 1, 0];
/// Most weeks of a cadence that ends, most posts of one campaign.
const MOST_WEEKS: i64 = 52;
pub const MOST_POSTS: usize = 200;
/// So many weeks are shown of a cadence without end.
const SHOWN_WEEKS: i64 = 4;

/// When a campaign's posts go out, as a person says it. Times are wall-clock times of its zone.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(as = CampaignDates)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Dates {
    /// Time of day of every post; 07:00 when not given.
    #[schema(example = "07:00")]
    pub time: Option<String>,
    /// Of an event: its day, with or without a time.
    #[schema(example = "2026-12-24T19:30")]
    pub event: Option<String>,
    /// Of an event: so many days before it; 7, 3, 1 and 0 when not given.
    pub days_before: Option<Vec<i64>>,
    /// The first day: of a promotion, or of a weekly cadence (today when not given).
    #[schema(example = "2026-12-01")]
    pub from: Option<String>,
    /// The last day of a promotion.
    #[schema(example = "2026-12-20")]
    pub to: Option<String>,
    /// Of a weekly cadence: `MO`, `TU`, …; the weekday of its first day when not given.
    pub weekdays: Vec<String>,
    /// Of a weekly cadence: how many; without end when not given.
    pub weeks: Option<i64>,
    /// Struck out by hand: wall-clock times, or days.
    pub without: Vec<String>,
    /// Added by hand: wall-clock times, or days at the usual time.
    pub also: Vec<String>,
}

/// One time of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub wall: DateTime,
    pub label: String,
    /// By hand.
    pub added: bool,
    pub struck: bool,
}

/// The slots of a form in order, struck ones too; or everything that is wrong with it.
pub fn slots(
    kind: Kind,
    dates: &Dates,
    zone: &TimeZone,
    now: i64,
) -> Result<Vec<Slot>, Vec<Wrong>> {
    let mut asked = Asked { dates, wrong: Vec::new(), now: when::wall(now, zone) };
    let time = asked.time();
    let mut found = match kind {
        Kind::Instant => vec![(asked.now, "Now".to_owned())],
        Kind::Event => asked.countdown(time),
        Kind::Promotion => asked.promotion(time),
        Kind::Weekly => asked.weekly(time),
    };
    let usual = Date::constant(2000, 1, 1).to_datetime(time);
    let also = asked.by_hand("also", &dates.also, zone, usual);
    let without = asked.by_hand("without", &dates.without, zone, usual);
    let (without, also): (BTreeSet<_>, BTreeSet<_>) =
        (without.into_iter().collect(), also.into_iter().collect());
    found.retain(|(wall, _)| !also.contains(wall));
    let made =
        found.into_iter().map(|(wall, label)| Slot { wall, label, added: false, struck: false });
    let added = also.into_iter().map(|wall| Slot {
        wall,
        label: "Added".into(),
        added: true,
        struck: false,
    });
    let mut all: Vec<Slot> = made.chain(added).collect();
    for slot in &mut all {
        slot.struck = without.contains(&slot.wall);
    }
    all.sort_by_key(|slot| slot.wall);
    all.dedup_by_key(|slot| slot.wall);
    if all.len() > MOST_POSTS {
        let message =
            format!("That would be {} posts; a campaign has at most {MOST_POSTS}.", all.len());
        asked.wrong.push(Wrong::new("dates", "too_many", message));
    }
    if asked.wrong.is_empty() { Ok(all) } else { Err(asked.wrong) }
}

/// Does it go on without end, as a series?
pub fn endless(kind: Kind, dates: &Dates) -> bool {
    kind == Kind::Weekly && dates.weeks.is_none()
}

/// The rule of a cadence without end.
pub fn rule(slots: &[Slot]) -> String {
    let mut days: Vec<_> = slots.iter().filter(|s| !s.added).map(|s| s.wall.weekday()).collect();
    days.sort_by_key(|day| day.to_monday_zero_offset());
    days.dedup();
    let days: Vec<&str> = days.into_iter().map(short).collect();
    format!("FREQ=WEEKLY;BYDAY={}", days.join(","))
}

impl Dates {
    /// The same so many days later.
    pub fn shifted(&self, days: i64) -> Self {
        let one = |text: &Option<String>| text.as_deref().map(|t| later(t, days));
        let all = |list: &[String]| list.iter().map(|t| later(t, days)).collect();
        Self {
            event: one(&self.event),
            from: one(&self.from),
            to: one(&self.to),
            without: all(&self.without),
            also: all(&self.also),
            ..self.clone()
        }
    }
}

/// A day or a wall-clock time, so many days later; anything else as it is.
pub fn later(text: &str, days: i64) -> String {
    let by = days.days();
    if !text.contains('T') {
        return moved(text.parse::<Date>().ok().and_then(|day| day.checked_add(by).ok()), text);
    }
    moved(text.parse::<DateTime>().ok().and_then(|wall| wall.checked_add(by).ok()), text)
}

fn moved<T: std::fmt::Display>(to: Option<T>, text: &str) -> String {
    to.map_or_else(|| text.to_owned(), |to| to.to_string())
}

struct Asked<'a> {
    dates: &'a Dates,
    wrong: Vec<Wrong>,
    /// What clocks show in the campaign's zone.
    now: DateTime,
}

type Found = Vec<(DateTime, String)>;

impl Asked<'_> {
    fn say(&mut self, field: &str, code: &str, message: impl Into<String>) {
        self.wrong.push(Wrong::new(format!("dates.{field}"), code, message));
    }

    fn time(&mut self) -> Time {
        let seven = Time::constant(7, 0, 0, 0);
        let Some(text) = self.dates.time.as_deref().filter(|t| !t.trim().is_empty()) else {
            return seven;
        };
        text.trim().parse().unwrap_or_else(|_| {
            self.say(
                "time",
                "invalid_time",
                format!("`{text}` is no time of day: write it as 07:00."),
            );
            seven
        })
    }

    fn day(&mut self, field: &str, text: Option<&str>) -> Option<Date> {
        let text = text.map(str::trim).filter(|t| !t.is_empty())?;
        // An event has a time of day, which its posts do not need.
        let day = text.split('T').next().unwrap_or(text).parse().ok();
        if day.is_none() {
            self.say(field, "invalid_time", format!("`{text}` is no day: write it as 2026-12-24."));
        }
        day
    }

    /// A day that the form cannot do without.
    fn needed(&mut self, field: &str, text: Option<&str>, what: &str) -> Option<Date> {
        if text.is_none_or(|t| t.trim().is_empty()) {
            self.say(field, "day_needed", what);
            return None;
        }
        self.day(field, text)
    }

    fn countdown(&mut self, time: Time) -> Found {
        let event = self.dates.event.clone();
        let day = self.needed("event", event.as_deref(), "Say on which day the event is.");
        let before = self.dates.days_before.clone().unwrap_or_else(|| COUNTDOWN.to_vec());
        if before.iter().any(|n| !(-365..=365).contains(n)) {
            self.say(
                "daysBefore",
                "out_of_range",
                "A countdown's days are at most 365 from its event.",
            );
            return Found::new();
        }
        let Some(day) = day else { return Found::new() };
        let slot = |n: &i64| {
            let label = if *n < 0 { format!("D+{}", -n) } else { format!("D-{n}") };
            let label = if *n == 0 { "D 0".to_owned() } else { label };
            (day.saturating_sub(n.days()).to_datetime(time), label)
        };
        before.iter().map(slot).collect()
    }

    fn promotion(&mut self, time: Time) -> Found {
        let (from, to) = (self.dates.from.clone(), self.dates.to.clone());
        let from = self.needed("from", from.as_deref(), "Say on which day the promotion begins.");
        let to = self.needed("to", to.as_deref(), "Say which day is its last.");
        let (Some(from), Some(to)) = (from, to) else { return Found::new() };
        if to < from {
            self.say("to", "ends_before_start", "The promotion ends before it begins.");
            return Found::new();
        }
        let days = from.duration_until(to).as_hours() / 24;
        let at = |n: i64| from.saturating_add(n.days()).to_datetime(time);
        let all = [(0, "Launch"), (days / 2, "Middle"), (days, "Last chance")];
        let mut found: Found =
            all.into_iter().map(|(n, label)| (at(n), label.to_owned())).collect();
        // Of a day or two there is no middle, or no end of its own.
        if days < 2 {
            found.remove(1);
        }
        if days == 0 {
            found.truncate(1);
        }
        found
    }

    fn weekly(&mut self, time: Time) -> Found {
        let from = self.dates.from.clone();
        let from = self.day("from", from.as_deref()).unwrap_or(self.now.date());
        let mut days = BTreeSet::new();
        for (i, word) in self.dates.weekdays.clone().iter().enumerate() {
            match weekday(&word.to_ascii_uppercase()) {
                Some(day) => _ = days.insert(day.to_monday_zero_offset()),
                None => {
                    let message =
                        format!("`{word}` is no weekday: they are MO, TU, WE, TH, FR, SA, SU.");
                    self.say(&format!("weekdays[{i}]"), "unknown_weekday", message);
                }
            }
        }
        if days.is_empty() {
            days.insert(from.weekday().to_monday_zero_offset());
        }
        let weeks = self.dates.weeks.unwrap_or(SHOWN_WEEKS);
        if !(1..=MOST_WEEKS).contains(&weeks) {
            self.say(
                "weeks",
                "out_of_range",
                format!("A cadence has 1 to {MOST_WEEKS} weeks, or no end."),
            );
            return Found::new();
        }
        let all = from.series(Span::new().days(1)).take(weeks as usize * 7).enumerate();
        all.filter(|(_, day)| days.contains(&day.weekday().to_monday_zero_offset()))
            .map(|(n, day)| (day.to_datetime(time), format!("Week {}", n / 7 + 1)))
            .collect()
    }

    fn by_hand(
        &mut self,
        name: &str,
        list: &[String],
        zone: &TimeZone,
        usual: DateTime,
    ) -> Vec<DateTime> {
        let mut found = Vec::new();
        for (i, text) in list.iter().enumerate() {
            match wall(text, zone, Some(usual)) {
                Ok(wall) => found.push(wall),
                Err(e) => self.say(&format!("{name}[{i}]"), "invalid_time", format!("{e}.")),
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Kind, dates: Dates) -> Vec<String> {
        let zone = when::zone("Europe/London").unwrap();
        let now = when::parse("2026-11-23T08:00", "UTC").unwrap();
        let found = slots(kind, &dates, &zone, now).unwrap();
        let shown = |s: Slot| {
            let mark = if s.struck { " struck" } else { "" };
            format!("{} {}{mark}", s.wall.strftime("%m-%d %H:%M"), s.label)
        };
        found.into_iter().map(shown).collect()
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_countdown_is_counted_from_its_event() {
        let dates = Dates { event: text("2026-12-24T19:30"), ..Dates::default() };
        let all = ["12-17 07:00 D-7", "12-21 07:00 D-3", "12-23 07:00 D-1", "12-24 07:00 D 0"];
        assert_eq!(of(Kind::Event, dates.clone()), all);
        let by_hand = Dates {
            time: text("18:15"),
            without: vec!["2026-12-21".into()],
            also: vec!["2026-12-22T12:00".into()],
            ..dates.shifted(1)
        };
        assert_eq!(
            of(Kind::Event, by_hand),
            [
                "12-18 18:15 D-7",
                "12-22 12:00 Added",
                "12-22 18:15 D-3",
                "12-24 18:15 D-1",
                "12-25 18:15 D 0"
            ],
            "it moves with its event, and a day that has no slot strikes none"
        );
        let struck = Dates { without: vec!["2026-12-21".into()], ..dates };
        assert_eq!(of(Kind::Event, struck)[1], "12-21 07:00 D-3 struck");
    }

    #[test]
    fn a_promotion_is_launched_and_closed() {
        let dates =
            |from: &str, to: &str| Dates { from: text(from), to: text(to), ..Dates::default() };
        assert_eq!(
            of(Kind::Promotion, dates("2026-12-01", "2026-12-20")),
            ["12-01 07:00 Launch", "12-10 07:00 Middle", "12-20 07:00 Last chance"]
        );
        assert_eq!(of(Kind::Promotion, dates("2026-12-01", "2026-12-02")).len(), 2);
        assert_eq!(of(Kind::Promotion, dates("2026-12-01", "2026-12-01")), ["12-01 07:00 Launch"]);
    }

    #[test]
    fn a_cadence_has_its_weekdays() {
        let dates = Dates {
            from: text("2026-11-25"),
            weekdays: vec!["TU".into(), "th".into()],
            weeks: Some(2),
            ..Dates::default()
        };
        let all = [
            "11-26 07:00 Week 1",
            "12-01 07:00 Week 1",
            "12-03 07:00 Week 2",
            "12-08 07:00 Week 2",
        ];
        assert_eq!(of(Kind::Weekly, dates), all);
        assert_eq!(
            of(Kind::Weekly, Dates::default()).len(),
            4,
            "without end: four weeks are shown"
        );
    }

    #[test]
    fn everything_wrong_with_a_form_is_said_at_once() {
        let zone = TimeZone::UTC;
        let dates = Dates {
            time: text("seven"),
            from: text("soon"),
            weekdays: vec!["XX".into()],
            weeks: Some(99),
            also: vec!["never".into()],
            ..Dates::default()
        };
        let wrong = slots(Kind::Weekly, &dates, &zone, 0).unwrap_err();
        let fields: Vec<&str> = wrong.iter().map(|w| w.field.as_str()).collect();
        assert_eq!(
            fields,
            ["dates.time", "dates.from", "dates.weekdays[0]", "dates.weeks", "dates.also[0]"]
        );
    }
}
