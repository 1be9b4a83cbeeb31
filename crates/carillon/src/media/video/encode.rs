//! What ffmpeg is told: one rendition in an MP4, or one picture of a video.
//!
//! Renditions are H.264 High with 4:2:0 and AAC, turned upright, with square pixels and even sides, a
//! steady rate of 24 to 60 frames a second, closed groups of two seconds, its index first, without
//! edit lists (Instagram takes none), and with nothing of what the file says about place, time or
//! camera. Quality is constant up to a bound of bits a second, so that what they come to at most is
//! known before.

use std::path::Path;

use super::inspect::{Video, input, quiet, strings};
use super::need::Need;
use crate::domain::video::Cut;
use carillon_pictures::probe::Kind;

/// Constant quality of x264: 18 is hard to tell from the original, 23 is its default.
const QUALITY: &str = "21";
/// PQ and HLG to what ordinary screens show.
const TONE_MAP: &str = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,\
                        tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv";
/// How many pictures are compared to find one that stands for all.
const CANDIDATES: u32 = 40;

/// A rendition of what is left of a video after its cut.
pub(super) fn rendition(
    need: Need,
    video: &Video,
    cut: Cut,
    tone_map: bool,
    (kind, from): (Kind, &Path),
    to: &Path,
) -> Vec<String> {
    let (start, length) = cut.span(&video.facts);
    let mut all = quiet();
    if cut.shortens() {
        all.extend(["-ss".to_owned(), seconds(start), "-t".to_owned(), seconds(length)]);
    }
    all.extend(input(kind, from));
    all.extend(["-map".to_owned(), format!("0:{}", video.picture)]);
    if let Some(sound) = video.sound {
        all.extend(["-map".to_owned(), format!("0:{sound}")]);
    }
    match need {
        Need::Plain => all.extend(strings(&["-c", "copy"])),
        Need::Made { kbits, .. } => {
            let size = need.size(video.width, video.height);
            let fps = frames(video);
            let bits = format!("{kbits}k");
            let group = (fps.unwrap_or(video.facts.fps) * 2.0).round().max(1.0).to_string();
            let filter = filter(video, tone_map, size, fps);
            let sound = need.sound().to_string();
            all.extend(strings(&["-vf", &filter, "-c:v", "libx264", "-profile:v", "high"]));
            all.extend(strings(&["-preset", "fast", "-crf", QUALITY]));
            all.extend(strings(&["-maxrate", &bits, "-bufsize", &bits, "-g", &group]));
            all.extend(strings(&["-flags", "+cgop", "-sc_threshold", "0"]));
            all.extend(strings(&["-c:a", "aac", "-b:a", &sound, "-ar", "48000", "-ac", "2"]));
        }
    }
    all.extend(strings(&["-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact"]));
    all.extend(strings(&["-movflags", "+faststart", "-use_editlist", "0", "-f", "mp4"]));
    all.extend(strings(&["-progress", "pipe:1", "-stats_period", "1", "-y", &place(to)]));
    all
}

/// One picture as a JPEG, at most `side` pixels on its longer side.
pub(super) fn poster(
    video: &Video,
    cut: Cut,
    tone_map: bool,
    side: i64,
    (kind, from): (Kind, &Path),
    to: &Path,
) -> Vec<String> {
    let (start, length) = cut.span(&video.facts);
    let moment = cut.cover_ms.map(|at| at.clamp(0, video.facts.duration_ms.max(1) - 1));
    // The first moment is black all too often.
    let early = start + (length / 10).min(3_000);
    let scale = (side as f64 / video.width.max(video.height) as f64).min(1.0);
    let even = |side: i64| (((side as f64 * scale) / 2.0).round() as i64 * 2).max(2);
    let size = (even(video.width), even(video.height));
    let choose = if moment.is_some() { String::new() } else { format!("thumbnail={CANDIDATES},") };
    let filter = format!("{choose}{}", filter(video, tone_map, size, None));
    let mut all = quiet();
    // ffmpeg begins with the picture after a time; wanted is the one that is still shown then.
    let shown = (1_000.0 / video.facts.fps.max(0.1)) as i64 - 1;
    all.extend(["-ss".to_owned(), seconds((moment.unwrap_or(early) - shown).max(0))]);
    all.extend(input(kind, from));
    all.extend(["-map".to_owned(), format!("0:{}", video.picture)]);
    all.extend(strings(&["-frames:v", "1", "-vf", &filter, "-q:v", "2", "-map_metadata", "-1"]));
    all.extend(strings(&["-f", "mjpeg", "-y", &place(to)]));
    all
}

/// ffmpeg turns by itself what says that it is to be turned.
fn filter(video: &Video, tone_map: bool, size: (i64, i64), fps: Option<f64>) -> String {
    let mut steps = Vec::new();
    if video.facts.hdr && tone_map {
        steps.push(TONE_MAP.to_owned());
    }
    steps.push(format!("scale={}:{}", size.0, size.1));
    steps.push("setsar=1".to_owned());
    steps.extend(fps.map(|fps| format!("fps={fps}")));
    steps.push("format=yuv420p".to_owned());
    steps.join(",")
}

/// The rate to bring it to; `None` where its own will do.
fn frames(video: &Video) -> Option<f64> {
    let fps = video.facts.fps;
    let steady = !video.facts.variable_fps && (23.0..=60.5).contains(&fps);
    (!steady).then(|| fps.round().clamp(24.0, 60.0))
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

fn place(file: &Path) -> String {
    format!("file:{}", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::video::VideoFacts;

    fn video(fps: f64, hdr: bool) -> Video {
        Video {
            width: 1080,
            height: 1920,
            facts: VideoFacts {
                duration_ms: 10_000,
                codec: "hevc".into(),
                fps,
                variable_fps: false,
                rotation: 90,
                hdr,
                bit_rate: 0,
                audio: None,
                plain: false,
            },
            picture: 2,
            sound: None,
        }
    }

    #[test]
    fn rates_are_steady_and_in_bounds() {
        for (fps, to) in [(29.97, None), (15.0, Some(24.0)), (120.0, Some(60.0)), (0.0, Some(24.0))]
        {
            assert_eq!(frames(&video(fps, false)), to, "{fps}");
        }
    }

    #[test]
    fn colours_are_mapped_where_they_need_it_and_can_be() {
        let of = |hdr, can| filter(&video(30.0, hdr), can, (1080, 1920), None);
        assert_eq!(of(false, true), "scale=1080:1920,setsar=1,format=yuv420p");
        assert!(of(true, true).starts_with("zscale="));
        assert_eq!(of(true, false), of(false, true));
    }

    #[test]
    fn a_cut_is_sought_before_the_file_is_opened() {
        let cut = Cut { start_ms: Some(1_500), end_ms: Some(4_000), cover_ms: None };
        let (from, to) = (Path::new("/in"), Path::new("/out"));
        let need = Need::Made { kbits: 8_000, least_side: 0 };
        let all = rendition(need, &video(30.0, false), cut, true, (Kind::Mp4, from), to).join(" ");
        assert!(all.contains("-ss 1.500 -t 2.500 -protocol_whitelist file -f mov"), "{all}");
        assert!(all.contains("-map 0:2 ") && !all.contains("-map 0:1"), "{all}");
    }
}
