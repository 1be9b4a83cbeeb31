//! When tokens are renewed: those of an hour five to ten minutes before their end, those of days
//! and months after 60 to 75 % of their life. Connections that were made together are spread.

use std::time::Duration;

use carillon_networks::Spec;
use carillon_networks::oauth::{Life, Tokens};

use crate::store::tokens::TokenLife;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Up to here a token counts as one of hours.
const SHORT: i64 = 6 * HOUR;
/// What renews is used for the last time so long before its own end.
const LAST: i64 = 6 * HOUR;
/// A token entered by hand that is issued anew has to be a day old first.
const OLD_ENOUGH: i64 = 25 * HOUR;
/// So many failures in a row are worth a warning, should the end be near.
pub(super) const WORRY: i64 = 6;
/// Nothing lasts longer than a network can be believed.
const LONGEST: i64 = 10 * 366 * DAY;

/// How long tokens last that were issued now, to this connection. `before`: what was known of those
/// that they replace; `None` after a consent.
pub(in crate::publishing) fn issued(
    spec: &Spec,
    id: &str,
    tokens: &Tokens,
    holds_refresh: bool,
    before: Option<&TokenLife>,
    now: i64,
) -> TokenLife {
    // A renewal that names none grants what was granted before.
    let scopes = tokens.scopes.clone().or_else(|| before.and_then(|b| b.scopes.clone()));
    let blank = TokenLife { refreshed_at: Some(now), scopes, ..TokenLife::default() };
    if spec.life == Life::Endless {
        return blank;
    }
    let at = |life: Duration| {
        now + i64::try_from(life.as_millis()).map_or(LONGEST, |life| life.min(LONGEST))
    };
    let rotating = spec.life == Life::Rotating;
    let expires_at = tokens.expires_in.map(at);
    let refresh_expires_at = match (tokens.refresh_expires_in, &tokens.refresh) {
        _ if !rotating => None,
        (Some(life), _) => Some(at(life)),
        (None, None) => before.and_then(|b| b.refresh_expires_at),
        // A new one whose end is not told: the old one's says nothing of it.
        (None, Some(_)) => None,
    };
    let able = match spec.life {
        Life::Extending => true,
        Life::Rotating => holds_refresh,
        Life::Endless | Life::Fixed => false,
    };
    let life = TokenLife { expires_at, refresh_expires_at, ..blank };
    let renew_at = if able { next(id, now, expires_at, refresh_expires_at) } else { None };
    let ends_at = match before {
        _ if !rotating || !holds_refresh => expires_at,
        // Whether what renews is itself renewed shows the first time.
        None => None,
        Some(before) if goes_on(before, refresh_expires_at, now) => None,
        Some(_) => end(&life),
    };
    let told = before.filter(|b| near(b.ends_at, ends_at)).and_then(|b| b.told_days);
    TokenLife { renew_at, ends_at, told_days: told, ..life }
}

/// Did the end of what renews move on with the last renewal?
fn goes_on(before: &TokenLife, refresh_expires_at: Option<i64>, now: i64) -> bool {
    let Some((then, end)) = before.refresh_expires_at.zip(refresh_expires_at) else {
        return refresh_expires_at.is_none();
    };
    let since = before.refreshed_at.map_or(0, |at| now - at);
    end - then > since / 2
}

fn near(one: Option<i64>, other: Option<i64>) -> bool {
    one.zip(other).is_some_and(|(one, other)| (one - other).abs() < DAY)
}

/// The end of all that is held: of the last token that can still be had.
pub(super) fn end(life: &TokenLife) -> Option<i64> {
    match (life.expires_at, life.refresh_expires_at) {
        (Some(access), Some(refresh)) => Some(access.max(refresh)),
        (access, refresh) => refresh.or(access),
    }
}

/// Tokens entered by hand: nobody knows how old they are, so those that can be are renewed soon.
pub(in crate::publishing) fn by_hand(spec: &Spec, holds_refresh: bool, now: i64) -> TokenLife {
    let renew_at = match spec.life {
        Life::Extending => Some(now + OLD_ENOUGH),
        Life::Rotating if holds_refresh => Some(now),
        _ => None,
    };
    TokenLife { renew_at, ..TokenLife::default() }
}

fn next(id: &str, now: i64, access: Option<i64>, refresh: Option<i64>) -> Option<i64> {
    let for_access = access.map(|end| early(id, now, end));
    let for_refresh = refresh.filter(|end| *end - now >= 2 * DAY).map(|end| early(id, now, end));
    let at = match (for_access, for_refresh) {
        (Some(one), Some(other)) => one.min(other),
        (one, other) => one.or(other)?,
    };
    match refresh {
        // Too late by then: once more shortly before its end, unless that is now.
        Some(end) if at > end - LAST => (end - LAST > now + LAST).then_some(end - LAST),
        _ => Some(at),
    }
}

/// When what was issued now and ends then is renewed.
fn early(id: &str, now: i64, end: i64) -> i64 {
    let (life, share) = (end - now, spread(id));
    if life <= SHORT {
        let before = 5 * MINUTE + 5 * MINUTE * share / 1000;
        end - before.min(life / 3)
    } else {
        now + life / 1000 * (600 + 150 * share / 1000)
    }
}

/// A number below 1000 that is always the same for a connection.
fn spread(id: &str) -> i64 {
    let hash = id.bytes().fold(7u64, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
    (hash % 1000) as i64
}

/// How long after so many failures the next try comes: half a minute, a minute … an hour, but not
/// before the network wants it.
pub(super) fn wait(id: &str, tries: i64, asked: Option<Duration>) -> i64 {
    let wait = (30_000 << tries.clamp(1, 8).wrapping_sub(1)).min(HOUR) + 5 * spread(id);
    let asked = asked.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(DAY).min(DAY));
    wait.max(asked)
}

#[cfg(test)]
mod tests {
    use carillon_networks::Secret;
    use carillon_networks::spec::{Placement, SendClass};

    use super::*;

    const NOW: i64 = 1_795_420_800_000;
    static PLACES: [Placement; 1] = [Placement::bare(SendClass::Blind)];

    fn spec(life: Life) -> Spec {
        Spec { life, ..Spec::bare("x", &PLACES) }
    }

    fn tokens(access: i64, refresh: Option<i64>) -> Tokens {
        let of = |ms: i64| Duration::from_millis(ms as u64);
        Tokens {
            access: Secret::new("access-token"),
            refresh: refresh.map(|_| Secret::new("refresh-token")),
            expires_in: Some(of(access)),
            refresh_expires_in: refresh.map(of),
            scopes: None,
        }
    }

    fn first(life: Life, access: i64, refresh: Option<i64>) -> TokenLife {
        issued(&spec(life), "id", &tokens(access, refresh), refresh.is_some(), None, NOW)
    }

    #[test]
    fn hours_are_renewed_minutes_before_and_months_after_most_of_them() {
        for id in ["a", "b", "connection-3"] {
            for life in [42 * MINUTE, HOUR, 2 * HOUR] {
                let before = NOW + life - early(id, NOW, NOW + life);
                assert!((5 * MINUTE..=10 * MINUTE).contains(&before), "{id} {life}: {before}");
            }
            for life in [DAY, 30 * DAY, 60 * DAY] {
                let after = early(id, NOW, NOW + life) - NOW;
                assert!(after * 2 >= life && after * 5 <= life * 4, "{id} {life}: {after}");
            }
        }
        assert_eq!(early("a", NOW, NOW + 9 * MINUTE), NOW + 6 * MINUTE, "a very short one");
    }

    #[test]
    fn what_was_granted_stays_so_unless_the_network_says_otherwise() {
        let scopes = |of: &[&str]| Some(of.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        for life in [Life::Rotating, Life::Endless] {
            let granted = Tokens { scopes: scopes(&["read", "write"]), ..tokens(3_600, None) };
            let first = issued(&spec(life), "id", &granted, true, None, NOW);
            assert_eq!(first.scopes, granted.scopes);
            let silent = issued(&spec(life), "id", &tokens(3_600, None), true, Some(&first), NOW);
            assert_eq!(silent.scopes, granted.scopes);
            let fewer = Tokens { scopes: scopes(&["read"]), ..tokens(3_600, None) };
            let fewer = issued(&spec(life), "id", &fewer, true, Some(&silent), NOW);
            assert_eq!(fewer.scopes, scopes(&["read"]));
        }
    }

    #[test]
    fn who_cannot_renew_ends_and_who_can_does_not() {
        let fixed = first(Life::Fixed, 60 * DAY, None);
        assert_eq!((fixed.renew_at, fixed.ends_at), (None, Some(NOW + 60 * DAY)));
        let poor = first(Life::Rotating, HOUR, None);
        assert_eq!(
            (poor.renew_at, poor.ends_at),
            (None, Some(NOW + HOUR)),
            "no refresh token came"
        );
        let endless = first(Life::Endless, HOUR, Some(DAY));
        assert_eq!((endless.renew_at, endless.ends_at, endless.expires_at), (None, None, None));
        let extending = first(Life::Extending, 60 * DAY, None);
        assert!(extending.renew_at.is_some() && extending.ends_at == Some(NOW + 60 * DAY));
        let rotating = first(Life::Rotating, HOUR, Some(14 * DAY));
        assert!(rotating.renew_at.is_some() && rotating.ends_at.is_none(), "not known yet");
    }

    /// Renews as it says until it no longer can; when that is and what the last end was.
    fn live(access: i64, refresh: impl Fn(i64) -> i64) -> (i64, Option<i64>, usize) {
        let mut held = first(Life::Rotating, access, Some(refresh(NOW) - NOW));
        let (mut now, mut times) = (NOW, 0);
        while let Some(at) = held.renew_at.filter(|at| *at < NOW + 500 * DAY) {
            assert!(at > now, "time goes on");
            assert!(held.refresh_expires_at.is_some_and(|end| at < end), "while it can be");
            assert!(held.expires_at.is_some_and(|end| at < end), "never without a token");
            (now, times) = (at, times + 1);
            let new = tokens(access, Some(refresh(now) - now));
            held = issued(&spec(Life::Rotating), "id", &new, true, Some(&held), now);
        }
        (now, held.ends_at, times)
    }

    #[test]
    fn what_renews_and_ends_on_a_date_is_used_to_the_last() {
        // LinkedIn: 60 days, renewed for a year.
        let (last, end, times) = live(60 * DAY, |_| NOW + 365 * DAY);
        assert!(last > NOW + 363 * DAY, "{}", (last - NOW) / DAY);
        assert_eq!(end, Some(last + 60 * DAY));
        assert!(times < 30, "{times}");
    }

    #[test]
    fn what_is_renewed_with_it_goes_on_for_ever() {
        // Pinterest: 30 days, and 60 more each time; Bluesky: an hour, and a fortnight each time.
        for (access, refresh) in [(30 * DAY, 60 * DAY), (HOUR, 14 * DAY)] {
            let (last, end, _) = live(access, |now| now + refresh);
            assert!(last > NOW + 400 * DAY);
            assert_eq!(end, None);
        }
    }

    #[test]
    fn tries_come_ever_more_rarely_and_not_before_the_network_wants_them() {
        let waits: Vec<i64> = (1..12).map(|tries| wait("id", tries, None)).collect();
        assert!(waits.is_sorted() && waits[0] >= 30_000 && waits[10] <= HOUR + MINUTE, "{waits:?}");
        assert_eq!(wait("id", 1, Some(Duration::from_secs(7200))), 2 * HOUR);
    }
}
