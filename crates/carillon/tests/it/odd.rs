//! Odd files, and odder ones made of them: each can be used, or is refused or fails with a reason.
//! None brings anything down.
//!
//! What is mutated follows from a seed. `make fuzz` tries many of them for as long as it is let:
//! `CARILLON_FUZZ` is how many times the few of an ordinary run, `CARILLON_FUZZ_SEED` where it begins.

mod files;

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use bytes::Bytes;
use carillon::domain::refusal::Refusal;
use carillon::media::intake;
use carillon::media::library::{self, MediaView};
use carillon::store::media::MediaState;
use carillon_pictures::probe;
use carillon_pictures::{Limits, Picture, PictureError};
use futures_util::stream;

use crate::support::{On, TestApp};
use files::{ALL, End};

/// Takes a file in and works on it until nothing is left to be done.
async fn take(t: &TestApp, name: &str, data: Bytes) -> Result<MediaView, Refusal> {
    let pieces: Vec<_> =
        data.chunks(1_000).map(|c| Ok::<_, std::io::Error>(data.slice_ref(c))).collect();
    let medium = intake::upload(&t.app, &t.workspace, name, "", stream::iter(pieces)).await?;
    t.worker.tick().await.expect("a tick");
    library::find(&t.app, &t.workspace, &medium.id).await
}

/// A person is told what is wrong and what to do.
fn explains(view: &MediaView) -> bool {
    view.problem
        .as_ref()
        .is_some_and(|p| p.sentence.ends_with('.') && !p.action_sentence.is_empty())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_odd_file_is_used_or_says_why_not() {
    let t = TestApp::new(On::Sqlite).await;
    assert!(ALL.len() >= 60, "{} files", ALL.len());
    let mut wrong = Vec::new();
    for odd in ALL.iter() {
        let end = match take(&t, &odd.name, odd.data.clone()).await {
            Err(refusal) => match odd.end {
                End::Refused(code) if refusal.code == code && !refusal.fix.is_empty() => continue,
                _ => format!("refused: {} {}", refusal.code, refusal.sentence),
            },
            Ok(view) => match odd.end {
                End::Ready(width, height)
                    if (view.state, view.width, view.height)
                        == (MediaState::Ready, width, height)
                        && view.thumb_url.is_some() =>
                {
                    continue;
                }
                End::Failed(words)
                    if view.state == MediaState::Failed
                        && explains(&view)
                        && view.problem.as_ref().is_some_and(|p| p.sentence.contains(words)) =>
                {
                    continue;
                }
                _ => format!("{} {} × {}: {:?}", view.state, view.width, view.height, view.problem),
            },
        };
        wrong.push(format!("{}, not {:?}, but {end}", odd.name, odd.end));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), ALL.len(), wrong.join("\n"));
}

/// The seeds of this run, of which an ordinary one has `few`.
fn seeds(few: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|n| n.parse::<u64>().expect("a number"));
    let from = number("CARILLON_FUZZ_SEED").unwrap_or(1);
    from..from + few * number("CARILLON_FUZZ").unwrap_or(1)
}

/// Numbers that follow from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % sides.max(1) as u64) as usize
    }
}

/// A file of these with a few places changed: bits, numbers at their limits, parts lost, moved or
/// doubled; and whose it is.
fn mutated(seed: u64, of: impl Fn(&probe::Kind) -> bool) -> (&'static str, Vec<u8>) {
    let mut dice = Dice(seed);
    let usable = |f: &&files::Odd| probe::sniff(&f.data).as_ref().is_some_and(&of);
    let all: Vec<_> = ALL.iter().filter(usable).collect();
    let odd = all[dice.roll(all.len())];
    let mut data = odd.data.to_vec();
    for _ in 0..=dice.roll(8) {
        let at = dice.roll(data.len());
        let length = (1 + dice.roll(64)).min(data.len() - at);
        match dice.roll(6) {
            0 => data[at] ^= 1 << dice.roll(8),
            1 => data[at] = dice.roll(256) as u8,
            2 => {
                let limits = [0_u32, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0xFFFF];
                let number = limits[dice.roll(limits.len())].to_be_bytes();
                let room = number.len().min(data.len() - at);
                data[at..at + room].copy_from_slice(&number[..room]);
            }
            3 => drop(data.drain(at..at + length)),
            4 => {
                let part = data[at..at + length].to_vec();
                let to = dice.roll(data.len());
                data.splice(to..to, part);
            }
            _ => data.truncate(at.max(64).min(data.len())),
        }
        if data.is_empty() {
            break;
        }
    }
    (&odd.name, data)
}

/// Decoders are ours: they neither panic nor swell nor go on for ever.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long a decoder takes is the question")]
fn mutated_pictures_bring_no_decoder_down() {
    let limits = Limits { max_pixels: 1_000_000, max_side: 30_000 };
    let mut used = 0;
    for seed in seeds(400) {
        let (name, data) = mutated(seed, |kind| kind.is_image());
        let begun = Instant::now();
        let ended = catch_unwind(|| Picture::decode(&data, &limits)?.thumbnail(32));
        let ended = ended.unwrap_or_else(|_| panic!("seed {seed}, {name}: a decoder panicked"));
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "seed {seed}, {name}: {:?}",
            begun.elapsed()
        );
        match ended {
            Ok(_) => used += 1,
            Err(PictureError::DoesNotFit { .. }) => {
                panic!("seed {seed}, {name}: that is not asked")
            }
            Err(e) => assert!(!e.to_string().is_empty()),
        }
    }
    assert!(used > 0, "no mutation left a picture whole: do they still mutate?");
}

/// Whatever ffmpeg makes of it, it ends: ready or failed with a reason, and nothing stays behind.
#[tokio::test(flavor = "multi_thread")]
async fn mutated_videos_end_ready_or_failed() {
    let t = TestApp::new(On::Sqlite).await;
    for seed in seeds(20) {
        let (name, data) = mutated(seed, |kind| kind.is_video());
        let Ok(view) = take(&t, name, data.into()).await else { continue };
        match view.state {
            MediaState::Ready => {
                assert!(view.video.is_some() && view.poster_url.is_some(), "seed {seed}, {name}")
            }
            MediaState::Failed => {
                assert!(explains(&view), "seed {seed}, {name}: {:?}", view.problem)
            }
            state => panic!("seed {seed}, {name} is left {state}"),
        }
    }
    let left: Vec<_> = std::fs::read_dir(t.app.config.data.dir.join("scratch"))
        .map(|all| all.filter_map(|e| Some(e.ok()?.file_name())).filter(|n| n != "turn").collect())
        .unwrap_or_default();
    assert_eq!(left, Vec::<std::ffi::OsString>::new());
}
