//! What of a picture is shown where it has another shape than it should.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::words;

words! {
    pub enum Fit {
        /// As much as has the shape, around the focus.
        Crop = "crop",
        /// All of it, on a ground made of its own colours.
        Pad = "pad",
    }
}

/// How its owner wants a picture brought to another shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Frame {
    pub fit: Fit,
    /// The point that stays in view, in percent of the width from the left and of the height from
    /// the top, as it is seen.
    pub focus_x: i64,
    pub focus_y: i64,
}

impl Default for Frame {
    fn default() -> Self {
        Self { fit: Fit::Crop, focus_x: 50, focus_y: 50 }
    }
}
