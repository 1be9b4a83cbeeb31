//! From what a person writes ("2026-03-29T01:30" in Europe/London) to a moment.
//!
//! The rule at clock changes: a wall time that does not exist (spring) moves on by the length of
//! the gap; one that exists twice (autumn) means the first.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Disambiguation, TimeZone};

/// Why a time was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("`{0}` is no IANA time zone: write one such as `Europe/London`")]
    Zone(String),
    #[error("`{0}` is no time: write it as `2026-11-23T09:00`, or with an offset or `Z`")]
    Time(String),
    #[error("{local} ({zone}) is in the past: choose a later time, or publish now")]
    Past { local: String, zone: String },
}

/// The zone of this name.
pub fn zone(name: &str) -> Result<TimeZone, Refused> {
    // jiff also takes POSIX strings; people mean IANA names only.
    TimeZone::get(name).map_err(|_| Refused::Zone(name.to_owned()))
}

/// A wall time in `zone`, or an instant when it carries an offset or `Z`: ms UTC.
pub fn parse(text: &str, zone_name: &str) -> Result<i64, Refused> {
    let zone = zone(zone_name)?;
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant.as_millisecond());
    }
    let wall: DateTime = text.parse().map_err(|_| Refused::Time(text.to_owned()))?;
    let moment = zone
        .to_ambiguous_zoned(wall)
        .disambiguate(Disambiguation::Compatible)
        .map_err(|_| Refused::Time(text.to_owned()))?;
    Ok(moment.timestamp().as_millisecond())
}

/// The moment of a wall time in a zone.
pub fn moment(wall: DateTime, zone: &TimeZone) -> i64 {
    zone.to_ambiguous_zoned(wall)
        .disambiguate(Disambiguation::Compatible)
        .map_or_else(|_| end_of_time(wall), |moment| moment.timestamp().as_millisecond())
}

/// Beyond what can be zoned: as good as never.
fn end_of_time(wall: DateTime) -> i64 {
    let end = if wall.year() > 0 { Timestamp::MAX } else { Timestamp::MIN };
    end.as_millisecond()
}

/// What clocks in this zone show at a moment.
pub fn wall(at: i64, zone: &TimeZone) -> DateTime {
    zone.to_datetime(Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Refuses what lies more than a minute back: the minute is for slow hands and slow networks.
pub fn not_past(at: i64, now: i64, zone_name: &str) -> Result<(), Refused> {
    if at >= now - 60_000 {
        return Ok(());
    }
    Err(Refused::Past { local: local(at, zone_name), zone: zone_name.to_owned() })
}

/// `2026-11-23 09:00` in this zone; UTC where the zone is unknown.
pub fn local(at: i64, zone_name: &str) -> String {
    let zone = TimeZone::get(zone_name).unwrap_or(TimeZone::UTC);
    let moment = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string()
}

/// `Monday 23 November 2026, 09:00` in this zone; UTC where the zone is unknown.
pub fn long(at: i64, zone_name: &str) -> String {
    let zone = TimeZone::get(zone_name).unwrap_or(TimeZone::UTC);
    let moment = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.to_zoned(zone).strftime("%A %-d %B %Y, %H:%M").to_string()
}

/// `2026-11-23T09:00:00Z`, with ms where there are any.
pub fn iso(at: i64) -> String {
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_move_on_and_overlaps_mean_the_first() {
        let london = |t| iso(parse(t, "Europe/London").expect(t));
        assert_eq!(london("2026-03-29T00:59"), "2026-03-29T00:59:00Z");
        assert_eq!(
            london("2026-03-29T01:30"),
            "2026-03-29T01:30:00Z",
            "01:30 does not exist: 02:30 BST"
        );
        assert_eq!(london("2026-10-25T01:30"), "2026-10-25T00:30:00Z", "the first 01:30, BST");
        assert_eq!(london("2026-10-25T02:00"), "2026-10-25T02:00:00Z");
        let new_york = |t| iso(parse(t, "America/New_York").expect(t));
        assert_eq!(new_york("2026-11-01T01:30"), "2026-11-01T05:30:00Z", "the first, EDT");
        assert_eq!(new_york("2026-06-01T09:00:00+02:00"), "2026-06-01T07:00:00Z");
    }

    #[test]
    fn what_is_no_time_or_no_zone_is_refused() {
        assert!(matches!(parse("tomorrow", "UTC"), Err(Refused::Time(_))));
        assert!(matches!(parse("2026-13-01T00:00", "UTC"), Err(Refused::Time(_))));
        assert!(matches!(parse("2026-01-01T00:00", "Mars/Base"), Err(Refused::Zone(_))));
        assert!(matches!(not_past(0, 61_000, "UTC"), Err(Refused::Past { .. })));
        assert!(not_past(1, 60_001, "UTC").is_ok());
    }
}
