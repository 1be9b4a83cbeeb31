//! What of a video goes out, and the moment that stands for it, as its owner asks for them.

use super::need::time;
use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::video::Cut;
use crate::store::media::Media;

/// Start, end and cover in ms: absent ones stay, negative ones are taken away.
pub(in crate::media) type Asked = [Option<i64>; 3];

/// The cut that a change leads to, if it changes anything; refused where it leaves nothing, and
/// where no video is known.
pub(in crate::media) fn cut_anew(medium: &Media, asked: Asked) -> Result<Option<Cut>, Refusal> {
    if asked == [None; 3] {
        return Ok(None);
    }
    let Some(facts) = &medium.facts else {
        let message =
            format!("Only a video that was processed can be cut; {} is none.", medium.name);
        return Err(Refusal::invalid(vec![Wrong::new("startMs", "not_a_video", message)]));
    };
    let of = |asked: Option<i64>, stands| match asked {
        None => stands,
        Some(..0) => None,
        at => at,
    };
    let [start, end, cover] = asked;
    let cut = Cut {
        start_ms: of(start, medium.cut.start_ms),
        end_ms: of(end, medium.cut.end_ms),
        cover_ms: of(cover, medium.cut.cover_ms),
    };
    /// Less is no video.
    const LEAST: i64 = 100;
    let all = time(facts.duration_ms);
    let mut wrong = Vec::new();
    if cut.span(facts).1 < LEAST {
        let message = format!("Nothing is left between start and end: the video has {all}.");
        wrong.push(Wrong::new("endMs", "cut_empty", message));
    }
    if cut.cover_ms.is_some_and(|at| at >= facts.duration_ms) {
        let message = format!("The cover lies behind the end: the video has {all}.");
        wrong.push(Wrong::new("coverMs", "cover_outside", message));
    }
    match wrong.is_empty() {
        true => Ok((cut != medium.cut).then_some(cut)),
        false => Err(Refusal::invalid(wrong)),
    }
}

/// It would change what is half way to a network.
pub(in crate::media) fn under_way() -> Refusal {
    let fix = "Wait until it is out, then change it; or cancel that post first.";
    let says = "It is on its way to a network, and cannot be cut now.";
    Refusal::conflict("media_under_way", says, fix)
}
