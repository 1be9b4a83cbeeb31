//! What of a picture is shown where it has another shape, as its owner asks for it.

use crate::domain::frame::{Fit, Frame};
use crate::domain::refusal::{Refusal, Wrong};
use crate::store::media::Media;

/// The frame that a change leads to, if it changes anything; refused of what is no picture.
pub(super) fn framed_anew(
    medium: &Media,
    (fit, x, y): (Option<Fit>, Option<i64>, Option<i64>),
) -> Result<Option<Frame>, Refusal> {
    if (fit, x, y) == (None, None, None) {
        return Ok(None);
    }
    if medium.is_video() {
        let message = format!("Only a picture has a frame; {} is a video.", medium.name);
        return Err(Refusal::invalid(vec![Wrong::new("fit", "not_a_picture", message)]));
    }
    let stands = medium.frame;
    let frame = Frame {
        fit: fit.unwrap_or(stands.fit),
        focus_x: x.unwrap_or(stands.focus_x),
        focus_y: y.unwrap_or(stands.focus_y),
    };
    let outside = |at: &(&'static str, i64)| !(0..=100).contains(&at.1);
    let wrong: Vec<_> = [("focusX", frame.focus_x), ("focusY", frame.focus_y)]
        .into_iter()
        .filter(outside)
        .map(|(field, at)| {
            let message =
                format!("The focus lies outside the picture: {at} is not 0 to 100 percent.");
            Wrong::new(field, "focus_outside", message)
        })
        .collect();
    match wrong.is_empty() {
        true => Ok((frame != stands).then_some(frame)),
        false => Err(Refusal::invalid(wrong)),
    }
}
