//! What is known of a video, and what its owner wants of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a video's file says of itself, once it was looked into.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VideoFacts {
    /// Length of the whole file in ms, whatever is cut off.
    pub duration_ms: i64,
    /// As ffmpeg calls it: `h264`, `hevc`, `vp9`
    pub codec: String,
    /// Frames a second; their mean where they vary.
    pub fps: f64,
    pub variable_fps: bool,
    /// Degrees by which it is turned when it is shown: 0, 90, 180 or 270.
    pub rotation: i64,
    /// Has it the brightness of HDR (PQ or HLG)? It is brought to that of ordinary screens.
    pub hdr: bool,
    /// Bits a second, of the whole file.
    pub bit_rate: i64,
    /// `null` where it has no sound.
    pub audio: Option<AudioFacts>,
    /// May its picture and sound go out as they are (H.264 and AAC as every network takes them)?
    pub plain: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AudioFacts {
    /// As ffmpeg calls it: `aac`, `opus`
    pub codec: String,
    pub channels: i64,
    /// Samples a second.
    pub sample_rate: i64,
    /// Integrated loudness by EBU R 128 in LUFS, of the first ten minutes; `null` where it was not
    /// measured.
    pub loudness: Option<f64>,
}

/// The part of a video that goes out, and the moment that stands for it. Times are ms from the
/// beginning of the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cut {
    pub start_ms: Option<i64>,
    pub end_ms: Option<i64>,
    pub cover_ms: Option<i64>,
}

impl Cut {
    /// Does anything of the file fall away?
    pub fn shortens(&self) -> bool {
        self.start_ms.is_some() || self.end_ms.is_some()
    }

    /// Where what goes out begins, and how long it is, in ms.
    pub fn span(&self, facts: &VideoFacts) -> (i64, i64) {
        let start = self.start_ms.unwrap_or(0).clamp(0, facts.duration_ms);
        let end = self.end_ms.unwrap_or(facts.duration_ms).clamp(start, facts.duration_ms);
        (start, end - start)
    }
}
