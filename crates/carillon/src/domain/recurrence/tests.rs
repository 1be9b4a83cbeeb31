use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde::Deserialize;

use super::{Recurrence, Rule};
use crate::domain::when;

fn wall(text: &str) -> DateTime {
    text.parse().unwrap()
}

fn zone(name: &str) -> TimeZone {
    when::zone(name).unwrap()
}

fn rule(text: &str) -> Rule {
    Rule::parse(text, &zone("America/New_York")).unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

/// "1997-09 2,4,9-11; 1997-10 1" as days.
fn days(text: &str) -> Vec<Date> {
    let mut found = Vec::new();
    for month in text.split(';') {
        let (month, days) = month.trim().split_once(' ').unwrap();
        for part in days.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            for day in from.parse::<i8>().unwrap()..=to.parse::<i8>().unwrap() {
                found.push(format!("{month}-{day:02}").parse().unwrap());
            }
        }
    }
    found
}

/// The examples that RFC 5545 publishes in 3.8.5.3, in its order: America/New_York, 09:00. A rule
/// that never ends is held against as many as the text shows.
const PUBLISHED: &[(&str, &str, &str)] = &[
    ("1997-09-02", "DAILY;COUNT=10", "1997-09 2-11"),
    (
        "1997-09-02",
        "DAILY;UNTIL=19971224T000000Z",
        "1997-09 2-30; 1997-10 1-31; 1997-11 1-30; 1997-12 1-23",
    ),
    (
        "1997-09-02",
        "DAILY;INTERVAL=2",
        "1997-09 2,4,6,8,10,12,14,16,18,20,22,24,26,28,30; 1997-10 2,4,6,8,10,12,14,16,18,20,22,24,26,28,30; 1997-11 1,3,5",
    ),
    ("1997-09-02", "DAILY;INTERVAL=10;COUNT=5", "1997-09 2,12,22; 1997-10 2,12"),
    (
        "1998-01-01",
        "YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA",
        "1998-01 1-31; 1999-01 1-31; 2000-01 1-31",
    ),
    (
        "1998-01-01",
        "DAILY;UNTIL=20000131T140000Z;BYMONTH=1",
        "1998-01 1-31; 1999-01 1-31; 2000-01 1-31",
    ),
    ("1997-09-02", "WEEKLY;COUNT=10", "1997-09 2,9,16,23,30; 1997-10 7,14,21,28; 1997-11 4"),
    (
        "1997-09-02",
        "WEEKLY;UNTIL=19971224T000000Z",
        "1997-09 2,9,16,23,30; 1997-10 7,14,21,28; 1997-11 4,11,18,25; 1997-12 2,9,16,23",
    ),
    (
        "1997-09-02",
        "WEEKLY;INTERVAL=2;WKST=SU",
        "1997-09 2,16,30; 1997-10 14,28; 1997-11 11,25; 1997-12 9,23; 1998-01 6,20; 1998-02 3,17",
    ),
    (
        "1997-09-02",
        "WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH",
        "1997-09 2,4,9,11,16,18,23,25,30; 1997-10 2",
    ),
    (
        "1997-09-02",
        "WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH",
        "1997-09 2,4,9,11,16,18,23,25,30; 1997-10 2",
    ),
    (
        "1997-09-01",
        "WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR",
        "1997-09 1,3,5,15,17,19,29; 1997-10 1,3,13,15,17,27,29,31; 1997-11 10,12,14,24,26,28; 1997-12 8,10,12,22",
    ),
    (
        "1997-09-02",
        "WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
        "1997-09 2,4,16,18,30; 1997-10 2,14,16",
    ),
    (
        "1997-09-05",
        "MONTHLY;COUNT=10;BYDAY=1FR",
        "1997-09 5; 1997-10 3; 1997-11 7; 1997-12 5; 1998-01 2; 1998-02 6; 1998-03 6; 1998-04 3; 1998-05 1; 1998-06 5",
    ),
    (
        "1997-09-05",
        "MONTHLY;UNTIL=19971224T000000Z;BYDAY=1FR",
        "1997-09 5; 1997-10 3; 1997-11 7; 1997-12 5",
    ),
    (
        "1997-09-07",
        "MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
        "1997-09 7,28; 1997-11 2,30; 1998-01 4,25; 1998-03 1,29; 1998-05 3,31",
    ),
    (
        "1997-09-22",
        "MONTHLY;COUNT=6;BYDAY=-2MO",
        "1997-09 22; 1997-10 20; 1997-11 17; 1997-12 22; 1998-01 19; 1998-02 16",
    ),
    (
        "1997-09-28",
        "MONTHLY;BYMONTHDAY=-3",
        "1997-09 28; 1997-10 29; 1997-11 28; 1997-12 29; 1998-01 29; 1998-02 26",
    ),
    (
        "1997-09-02",
        "MONTHLY;COUNT=10;BYMONTHDAY=2,15",
        "1997-09 2,15; 1997-10 2,15; 1997-11 2,15; 1997-12 2,15; 1998-01 2,15",
    ),
    (
        "1997-09-30",
        "MONTHLY;COUNT=10;BYMONTHDAY=1,-1",
        "1997-09 30; 1997-10 1,31; 1997-11 1,30; 1997-12 1,31; 1998-01 1,31; 1998-02 1",
    ),
    (
        "1997-09-10",
        "MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15",
        "1997-09 10-15; 1999-03 10-13",
    ),
    (
        "1997-09-02",
        "MONTHLY;INTERVAL=2;BYDAY=TU",
        "1997-09 2,9,16,23,30; 1997-11 4,11,18,25; 1998-01 6,13,20,27; 1998-03 3,10,17,24,31",
    ),
    (
        "1997-06-10",
        "YEARLY;COUNT=10;BYMONTH=6,7",
        "1997-06 10; 1997-07 10; 1998-06 10; 1998-07 10; 1999-06 10; 1999-07 10; 2000-06 10; 2000-07 10; 2001-06 10; 2001-07 10",
    ),
    (
        "1997-03-10",
        "YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3",
        "1997-03 10; 1999-01 10; 1999-02 10; 1999-03 10; 2001-01 10; 2001-02 10; 2001-03 10; 2003-01 10; 2003-02 10; 2003-03 10",
    ),
    (
        "1997-01-01",
        "YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
        "1997-01 1; 1997-04 10; 1997-07 19; 2000-01 1; 2000-04 9; 2000-07 18; 2003-01 1; 2003-04 10; 2003-07 19; 2006-01 1",
    ),
    ("1997-05-19", "YEARLY;BYDAY=20MO", "1997-05 19; 1998-05 18; 1999-05 17"),
    ("1997-05-12", "YEARLY;BYWEEKNO=20;BYDAY=MO", "1997-05 12; 1998-05 11; 1999-05 17"),
    ("1997-05-12", "YEARLY;BYWEEKNO=53;BYDAY=MO", "1998-12 28; 2004-12 27; 2009-12 28"),
    (
        "1997-03-13",
        "YEARLY;BYMONTH=3;BYDAY=TH",
        "1997-03 13,20,27; 1998-03 5,12,19,26; 1999-03 4,11,18,25",
    ),
    (
        "1997-06-05",
        "YEARLY;BYDAY=TH;BYMONTH=6,7,8",
        "1997-06 5,12,19,26; 1997-07 3,10,17,24,31; 1997-08 7,14,21,28; 1998-06 4,11,18,25; 1998-07 2,9,16,23,30; 1998-08 6,13,20,27; 1999-06 3,10,17,24",
    ),
    (
        "1997-09-02",
        "MONTHLY;BYDAY=FR;BYMONTHDAY=13",
        "1998-02 13; 1998-03 13; 1998-11 13; 1999-08 13; 2000-10 13",
    ),
    (
        "1997-09-13",
        "MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13",
        "1997-09 13; 1997-10 11; 1997-11 8; 1997-12 13; 1998-01 10; 1998-02 7; 1998-03 7; 1998-04 11; 1998-05 9; 1998-06 13",
    ),
    (
        "1996-11-05",
        "YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
        "1996-11 5; 2000-11 7; 2004-11 2",
    ),
    ("1997-09-04", "MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-09 4; 1997-10 7; 1997-11 6"),
    (
        "1997-09-29",
        "MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
        "1997-09 29; 1997-10 30; 1997-11 27; 1997-12 30; 1998-01 29; 1998-02 26; 1998-03 30",
    ),
    ("1997-08-05", "WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "1997-08 5,10,19,24"),
    ("1997-08-05", "WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "1997-08 5,17,19,31"),
    ("2007-01-15", "MONTHLY;BYMONTHDAY=15,30;COUNT=5", "2007-01 15,30; 2007-02 15; 2007-03 15,30"),
];

#[test]
fn the_published_examples_come_out_as_published() {
    for (start, text, expected) in PUBLISHED {
        let rule = rule(&format!("FREQ={text}"));
        let start = wall(&format!("{start}T09:00"));
        let expected: Vec<DateTime> = days(expected).iter().map(|day| day.at(9, 0, 0, 0)).collect();
        let ends = text.contains("COUNT") || text.contains("UNTIL");
        let last = *expected.last().unwrap();
        let to = if ends { wall("2030-01-01T00:00") } else { last };
        assert_eq!(rule.walls(start, to), expected, "{text}");
        assert_eq!(super::Rule::parse(&rule.to_string(), &TimeZone::UTC), Ok(rule), "{text}");
    }
}

/// Nothing repeats more often than daily here, and all at one time of day.
#[test]
fn the_published_examples_below_a_day_are_refused() {
    for text in [
        "FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T170000Z",
        "FREQ=MINUTELY;INTERVAL=15;COUNT=6",
        "FREQ=MINUTELY;INTERVAL=90;COUNT=4",
        "FREQ=DAILY;BYHOUR=9,10,11,12,13,14,15,16;BYMINUTE=0,20,40",
        "FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12,13,14,15,16",
    ] {
        let wrong = Rule::parse(text, &TimeZone::UTC).expect_err(text);
        assert!(
            wrong.iter().any(|w| w.contains("once a day") || w.contains("time of day")),
            "{wrong:?}"
        );
    }
}

#[test]
fn everything_wrong_with_a_rule_is_said_at_once() {
    let wrong = Rule::parse(
        "FREQ=WEEKLY;INTERVAL=0;BYDAY=2TU,XX;COUNT=3;UNTIL=soon;COUNT=4",
        &TimeZone::UTC,
    );
    let wrong = wrong.expect_err("five things");
    for part in ["INTERVAL=0", "BYDAY=XX", "UNTIL=SOON", "`COUNT` stands twice", "2TU"] {
        assert!(wrong.iter().any(|w| w.contains(part)), "{part}: {wrong:?}");
    }
    assert!(Rule::parse("BYDAY=MO", &TimeZone::UTC).is_err());
    assert!(Rule::parse("FREQ=DAILY;COUNT=2;UNTIL=20300101", &TimeZone::UTC).is_err());
    assert!(Rule::parse("", &TimeZone::UTC).is_err());
}

#[derive(Deserialize)]
struct Judged {
    start: DateTime,
    rule: String,
    end: DateTime,
    days: Vec<Date>,
}

/// tests/data/recurrence.py made these with python-dateutil.
#[test]
fn another_implementation_agrees() {
    let all: Vec<Judged> =
        serde_json::from_str(include_str!("../../../tests/data/recurrence.json")).unwrap();
    assert!(all.len() >= 400);
    for case in all {
        let ours = rule(&case.rule).walls(case.start, case.end);
        let ours: Vec<Date> = ours.iter().map(|wall| wall.date()).take(12).collect();
        assert_eq!(ours, case.days, "{} from {}", case.rule, case.start);
    }
}

fn instants(start: &str, text: &str, name: &str) -> Vec<String> {
    let zone = zone(name);
    let rule = Rule::parse(text, &zone).unwrap();
    let walls = rule.walls(wall(start), wall("2031-01-01T00:00"));
    walls.into_iter().map(|wall| when::iso(when::moment(wall, &zone))).collect()
}

/// A gap moves on by its length, an overlap means the first; the wall clock stays what it is.
#[test]
fn clocks_change_beneath_a_rule() {
    assert_eq!(
        instants("2026-03-22T07:00", "FREQ=WEEKLY;COUNT=2", "Europe/London"),
        ["2026-03-22T07:00:00Z", "2026-03-29T06:00:00Z"],
        "seven o'clock stays seven o'clock"
    );
    assert_eq!(
        instants("2026-03-28T01:30", "FREQ=DAILY;COUNT=3", "Europe/London"),
        ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"],
        "01:30 does not exist on the 29th: 02:30 BST"
    );
    assert_eq!(
        instants("2026-10-24T01:30", "FREQ=DAILY;COUNT=3", "Europe/London"),
        ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        "the first 01:30 of the 25th"
    );
    assert_eq!(
        instants("2026-11-30T07:00", "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=2", "Asia/Kathmandu"),
        ["2026-11-30T01:15:00Z", "2026-12-31T01:15:00Z"],
        "+05:45"
    );
    // Half an hour: from +10:30 to +11 on 4 October 2026, back on 4 April 2027 at 02:00.
    assert_eq!(
        instants("2026-10-03T02:15", "FREQ=DAILY;COUNT=3", "Australia/Lord_Howe"),
        ["2026-10-02T15:45:00Z", "2026-10-03T15:45:00Z", "2026-10-04T15:15:00Z"],
        "02:15 does not exist on the 4th: 02:45 at +11"
    );
    assert_eq!(
        instants("2027-04-03T01:45", "FREQ=DAILY;COUNT=3", "Australia/Lord_Howe"),
        ["2027-04-02T14:45:00Z", "2027-04-03T14:45:00Z", "2027-04-04T15:15:00Z"],
        "the first 01:45 of the 4th"
    );
}

#[test]
fn what_is_left_out_and_added_by_hand() {
    let mut weekly = Recurrence {
        start: wall("2026-12-01T07:00"),
        rule: rule("FREQ=WEEKLY;COUNT=4"),
        without: [wall("2026-12-08T07:00")].into(),
        also: [wall("2026-12-24T18:00")].into(),
    };
    let days = |r: &Recurrence| -> Vec<String> {
        r.next(r.start, 9).iter().map(|w| w.strftime("%m-%d %H:%M").to_string()).collect()
    };
    assert_eq!(days(&weekly), ["12-01 07:00", "12-15 07:00", "12-22 07:00", "12-24 18:00"]);
    assert!(weekly.has(wall("2026-12-15T07:00")) && !weekly.has(wall("2026-12-08T07:00")));
    weekly.rule = rule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29");
    assert_eq!(days(&weekly)[1..3], ["02-29 07:00", "02-29 07:00"]);
    weekly.rule = rule("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30");
    assert_eq!(days(&weekly), ["12-24 18:00"], "a rule without an instance ends all the same");
}

#[test]
fn a_rule_is_said_in_plain_words() {
    for (text, words) in [
        ("DAILY", "Every day"),
        ("DAILY;INTERVAL=3", "Every third day"),
        ("WEEKLY", "Every Tuesday"),
        ("WEEKLY;INTERVAL=2", "Every second Tuesday"),
        ("WEEKLY;BYDAY=MO,WE,FR", "Every Monday, Wednesday and Friday"),
        ("WEEKLY;BYDAY=MO,TU,WE,TH,FR", "Every weekday"),
        ("WEEKLY;INTERVAL=2;BYDAY=TU,TH", "Every second week on Tuesday and Thursday"),
        ("MONTHLY", "Every month on the 24th"),
        ("MONTHLY;BYMONTHDAY=1,15", "Every month on the 1st and the 15th"),
        ("MONTHLY;BYMONTHDAY=-1", "Every month on the last day"),
        ("MONTHLY;INTERVAL=3;BYDAY=1MO", "Every third month on the first Monday"),
        ("MONTHLY;BYDAY=-1FR", "Every month on the last Friday"),
        ("MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "Every month on the last weekday"),
        ("YEARLY", "Every year on 24 November"),
        ("YEARLY;BYMONTH=12;BYMONTHDAY=24", "Every year on 24 December"),
        ("YEARLY;BYDAY=20MO", "By the rule FREQ=YEARLY;BYDAY=20MO"),
    ] {
        let said = Recurrence {
            start: wall("2026-11-24T07:00"),
            rule: rule(&format!("FREQ={text}")),
            without: Default::default(),
            also: Default::default(),
        };
        assert_eq!(
            said.words("Europe/London"),
            format!("{words} at 07:00 (Europe/London)"),
            "{text}"
        );
    }
    let ends = |text: &str| {
        let (without, also) = Default::default();
        Recurrence { start: wall("2026-11-24T07:00"), rule: rule(text), without, also }.words("UTC")
    };
    assert_eq!(
        ends("FREQ=WEEKLY;INTERVAL=2;COUNT=12"),
        "Every second Tuesday at 07:00 (UTC), 12 times"
    );
    assert_eq!(
        ends("FREQ=DAILY;UNTIL=20261224"),
        "Every day at 07:00 (UTC), until 24 December 2026"
    );
}

proptest! {
    /// Whatever the rule: in order, none twice, none before the start, and a window shows what the
    /// whole shows there.
    #[test]
    fn a_window_shows_what_the_whole_shows(
        freq in prop::sample::select(vec!["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]),
        interval in 1u32..5,
        from in 0i64..900,
        length in 1i64..400,
        count in prop::option::of(1u32..60),
    ) {
        let start = wall("2026-01-31T07:30");
        let end = count.map(|n| format!(";COUNT={n}")).unwrap_or_default();
        let rule = rule(&format!("FREQ={freq};INTERVAL={interval}{end}"));
        let whole = Recurrence { start, rule, without: Default::default(), also: Default::default() };
        let span = |days: i64| start.checked_add(jiff::Span::new().days(days)).unwrap();
        let all = whole.between(start, span(1_400));
        prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(all.iter().all(|wall| *wall >= start));
        let (from, to) = (span(from), span(from + length));
        let shown: Vec<DateTime> =
            all.into_iter().filter(|wall| *wall >= from && *wall <= to).collect();
        prop_assert_eq!(whole.between(from, to), shown);
    }
}
