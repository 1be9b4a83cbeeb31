//! What a placement takes of a video: whether it fits at all, and which rendition it needs.
//!
//! A rendition is named after what it has to be and not after where it goes, so that places with the
//! same need share one. The same video and rule always need the same rendition: an upload that was
//! broken off goes on with the bytes that it began with.

use carillon_networks::spec::VideoRule;

use crate::domain::video::VideoFacts;
use crate::store::media::Media;

/// Most bits of picture a second, in kbit/s, and the most pixels of the longer side that are worth
/// showing with them.
const STEPS: [(i64, i64); 9] = [
    (8_000, 1_920),
    (5_000, 1_920),
    (3_500, 1_920),
    (2_500, 1_280),
    (1_800, 1_280),
    (1_200, 960),
    (800, 848),
    (500, 640),
    (300, 480),
];
/// A file may go out as it is up to this many bits a second: what Meta takes at most.
const MOST_PLAIN: i64 = 25_000_000;

/// What a rendition has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// Picture and sound as they are, in an MP4 of its own.
    Plain,
    /// Made anew with this many kbit/s at most; its shorter side has this many pixels at least.
    Made { kbits: i64, least_side: i64 },
}

impl Need {
    /// Its name, as in `derivative.kind`.
    pub(super) fn kind(self) -> String {
        match self {
            Self::Plain => "video".to_owned(),
            Self::Made { kbits, least_side: 0 } => format!("video-{kbits}"),
            Self::Made { kbits, least_side } => format!("video-{kbits}-{least_side}"),
        }
    }

    pub(super) fn named(kind: &str) -> Option<Self> {
        let mut parts = kind.split('-');
        let ("video", kbits) = (parts.next()?, parts.next()) else { return None };
        let Some(kbits) = kbits else { return Some(Self::Plain) };
        let least_side = parts.next().map_or(Some(0), |side| side.parse().ok())?;
        Some(Self::Made { kbits: kbits.parse().ok()?, least_side })
    }

    /// Its width and height, both even, as the video is seen.
    pub(super) fn size(self, width: i64, height: i64) -> (i64, i64) {
        let Self::Made { kbits, least_side } = self else { return (width, height) };
        let (longer, shorter) = (width.max(height).max(1) as f64, width.min(height).max(1) as f64);
        let most = STEPS.iter().find(|(k, _)| *k == kbits).map_or(1_920, |(_, side)| *side) as f64;
        // What a network refuses for being small is made larger.
        let scale = (most / longer).min(1.0).max(least_side as f64 / shorter);
        let even = |side: i64| (((side as f64 * scale) / 2.0).round() as i64 * 2).max(2);
        (even(width), even(height))
    }

    /// Bits of sound a second.
    pub(super) fn sound(self) -> i64 {
        match self {
            Self::Made { kbits: ..600, .. } => 64_000,
            Self::Made { kbits: ..1_200, .. } => 96_000,
            _ => 128_000,
        }
    }

    /// Most bytes that it can come to.
    pub(super) fn most_bytes(self, duration_ms: i64, original: i64) -> i64 {
        match self {
            // The index may be written in another way.
            Self::Plain => original + original / 50 + 65_536,
            Self::Made { kbits, .. } => {
                // The encoder may run ahead by a second; every frame costs the container some bytes.
                let bits = kbits * (duration_ms + 1_000) + self.sound() * duration_ms / 1_000;
                bits / 8 + duration_ms * 3 + 65_536
            }
        }
    }
}

/// Why a placement does not take a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    pub code: &'static str,
    /// One sentence with the numbers.
    pub message: String,
}

/// What is to be made of a video for this rule; an error where nothing can be. `place` begins the
/// sentence: `Facebook (Reel)`. `None` while nothing is known of the video.
pub(super) fn need(place: &str, rule: &VideoRule, medium: &Media) -> Option<Result<Need, Misfit>> {
    Some(judge(place, rule, medium, medium.facts.as_ref()?))
}

/// What speaks against a video at a place, if anything does.
pub fn misfit(place: &str, rule: &VideoRule, medium: &Media) -> Option<Misfit> {
    need(place, rule, medium)?.err()
}

fn judge(
    place: &str,
    rule: &VideoRule,
    medium: &Media,
    facts: &VideoFacts,
) -> Result<Need, Misfit> {
    let name = &medium.name;
    let (_, length) = medium.cut.span(facts);
    let (least, most) = (i64::from(rule.seconds.0), i64::from(rule.seconds.1));
    if length < least * 1_000 || length > most * 1_000 {
        let (code, advice) = if length < least * 1_000 {
            ("video_too_short", "choose a longer one")
        } else {
            ("video_too_long", "cut it, or choose a shorter one")
        };
        let message = format!(
            "{place} takes videos of {} to {}, {name} has {}: {advice}.",
            time(least * 1_000),
            time(most * 1_000),
            time(length)
        );
        return Err(Misfit { code, message });
    }
    let (width, height) = (medium.width, medium.height);
    let ratio = width as f32 / height.max(1) as f32;
    // A pixel's rounding must not cost a post.
    const SLACK: f32 = 0.01;
    if let Some((narrowest, widest)) = rule.ratio
        && !(narrowest * (1.0 - SLACK)..=widest * (1.0 + SLACK)).contains(&ratio)
    {
        let message = format!(
            "{place} takes videos whose width is {narrowest:.2} to {widest:.2} times their height, \
             {name} has {width} × {height} pixels ({ratio:.2}): crop it, or choose another."
        );
        return Err(Misfit { code: "video_ratio", message });
    }
    let fits = |need: &Need| need.most_bytes(length, medium.bytes) <= rule.max_bytes as i64;
    let (wanted, widest) = rule.side.map_or((0, i64::MAX), |(l, m)| (l.into(), m.into()));
    let small = width.min(height) < wanted;
    let plain = facts.plain
        && !medium.cut.shortens()
        && !small
        && width.max(height) <= widest
        && facts.bit_rate <= MOST_PLAIN;
    if plain && fits(&Need::Plain) {
        return Ok(Need::Plain);
    }
    STEPS
        .iter()
        .map(|(kbits, side)| {
            // Scaling down must not go below it either.
            let shorter = width.min(height) * side.min(&width.max(height)) / width.max(height).max(1);
            let least_side = if shorter < wanted { wanted } else { 0 };
            Need::Made { kbits: *kbits, least_side }
        })
        .find(fits)
        .ok_or_else(|| {
            let message = format!(
                "{place} takes {} MB, too little for the {} of {name} to be worth watching: cut it, \
                 or choose a shorter one.",
                rule.max_bytes / 1_000_000,
                time(length)
            );
            Misfit { code: "video_too_large", message }
        })
}

/// `3 s`, `89.6 s`, `2 min`, `4 h 5 min`
pub fn time(ms: i64) -> String {
    let (tenths, seconds) = (ms / 100 % 10, ms / 1_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60);
    match (hours, minutes) {
        (0, 0..2) if tenths > 0 => format!("{seconds}.{tenths} s"),
        (0, 0..2) => format!("{seconds} s"),
        (0, _) if seconds % 60 > 0 => format!("{minutes} min {} s", seconds % 60),
        (0, _) => format!("{minutes} min"),
        _ if minutes % 60 > 0 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use carillon_networks::ALL;

    use super::*;
    use crate::store::media::MediaState;

    /// An MP4 of a hundred MB.
    fn video(width: i64, height: i64, seconds: i64, plain: bool) -> Media {
        Media {
            id: String::new(),
            workspace_id: String::new(),
            name: "film.mp4".into(),
            alt: String::new(),
            content_type: "video/mp4".into(),
            bytes: 100_000_000,
            width,
            height,
            sha256: String::new(),
            state: MediaState::Ready,
            problem: None,
            facts: Some(VideoFacts {
                duration_ms: seconds * 1_000,
                codec: "h264".into(),
                fps: 30.0,
                variable_fps: false,
                rotation: 0,
                hdr: false,
                bit_rate: 100_000_000 * 8 / seconds,
                audio: None,
                plain,
            }),
            cut: Default::default(),
            frame: Default::default(),
            tags: String::new(),
            words: String::new(),
            version: 1,
            created_at: 0,
            deleted_at: None,
        }
    }

    fn rule(max_bytes: u64, side: Option<(u32, u32)>) -> VideoRule {
        let (types, seconds) = (&["video/mp4"][..], (1, 36_000));
        VideoRule { max: 1, types, max_bytes, seconds, ratio: None, side, mixed: false }
    }

    fn kind(rule: &VideoRule, medium: &Media) -> String {
        need("It", rule, medium).expect("known").map_or_else(|m| m.code.to_owned(), Need::kind)
    }

    #[test]
    fn what_fits_goes_out_as_it_is_and_the_rest_with_as_many_bits_as_there_is_room_for() {
        let short = video(1920, 1080, 60, true);
        assert_eq!(kind(&rule(1_000_000_000, None), &short), "video");
        assert_eq!(kind(&rule(99_000_000, None), &short), "video-8000");
        assert_eq!(kind(&rule(50_000_000, None), &short), "video-5000");
        assert_eq!(kind(&rule(8_000_000, None), &short), "video-800");
        assert_eq!(kind(&rule(1_000_000, None), &short), "video_too_large");
        assert_eq!(kind(&rule(1_000_000_000, None), &video(1920, 1080, 60, false)), "video-8000");
        // More bits a second than any network takes.
        assert_eq!(kind(&rule(1_000_000_000, None), &video(1920, 1080, 20, true)), "video-8000");
        let mut cut = video(1920, 1080, 60, true);
        cut.cut.end_ms = Some(30_000);
        assert_eq!(kind(&rule(1_000_000_000, None), &cut), "video-8000");
    }

    #[test]
    fn sides_are_even_and_as_a_place_takes_them() {
        let (small, large) = (video(180, 320, 60, true), video(3840, 2160, 60, true));
        let side = Some((540, 1_920));
        assert_eq!(kind(&rule(1_000_000_000, side), &small), "video-8000-540");
        assert_eq!(kind(&rule(1_000_000_000, side), &large), "video-8000");
        assert_eq!(kind(&rule(1_000_000_000, None), &large), "video");
        // What is made smaller for its bytes keeps the fewest pixels.
        assert_eq!(kind(&rule(5_000_000, side), &video(720, 1280, 60, true)), "video-500-540");
        for (kind, from, to) in [
            ("video-8000-540", (180, 320), (540, 960)),
            ("video-8000", (3840, 2160), (1920, 1080)),
            ("video-8000", (321, 243), (322, 244)),
            ("video-800", (1920, 1080), (848, 478)),
            ("video", (321, 243), (321, 243)),
        ] {
            let need = Need::named(kind).expect(kind);
            assert_eq!(need.kind(), kind);
            assert_eq!(need.size(from.0, from.1), to, "{kind}");
        }
        for other in ["thumb", "video-", "video-x", "poster"] {
            assert_eq!(Need::named(other), None, "{other}");
        }
    }

    #[test]
    fn every_network_that_takes_videos_is_given_mp4() {
        for spec in ALL.iter().map(|n| n.spec()) {
            for video in spec.placements.iter().filter_map(|p| p.media.video) {
                assert!(video.types.contains(&"video/mp4"), "{}", spec.id);
                assert!(video.side.is_none_or(|(least, most)| least < most), "{}", spec.id);
            }
        }
    }

    #[test]
    fn lengths_are_said_as_people_say_them() {
        for (ms, says) in [
            (3_000, "3 s"),
            (89_640, "89.6 s"),
            (120_000, "2 min"),
            (125_000, "2 min 5 s"),
            (14_700_000, "4 h 5 min"),
            (36_000_000, "10 h"),
        ] {
            assert_eq!(time(ms), says);
        }
    }
}
