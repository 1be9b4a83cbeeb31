//! What a video is: ffprobe's answer, and what is measured where ffprobe does not know.
//!
//! The reader of the format is named by the file's first bytes, and only files are opened: a
//! playlist in a video's clothes can make nothing read other files or the network.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::program::{self, Failed, Limits, Said};
use crate::App;
use crate::domain::video::{AudioFacts, VideoFacts};
use crate::media::scratch::Scratch;
use carillon_pictures::probe::Kind;

/// Most pixels of a frame: 8K, with some to spare.
const MOST_PIXELS: i64 = 40_000_000;
/// Longest video, in ms: a day.
const LONGEST: i64 = 86_400_000;
/// How much of a video's sound is listened to for its loudness, in seconds.
const LISTEN: u32 = 600;

const LOOK: Limits = Limits { memory: 1 << 30, time: Duration::from_secs(60), file: 1 << 20 };
/// For what reads the whole file without decoding its pictures.
const WALK: Limits = Limits { time: Duration::from_secs(600), ..LOOK };

/// A video that can be worked on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Video {
    /// As it is seen: turned, and with square pixels.
    pub width: i64,
    pub height: i64,
    pub facts: VideoFacts,
    /// Which of the file's streams are the picture and the sound.
    pub picture: u32,
    pub sound: Option<u32>,
}

/// Why a file was not understood.
#[derive(Debug)]
pub(super) enum Unread {
    /// It never will be: what is wrong with it, as the end of a sentence.
    Bad(String),
    Failed(Failed),
}

impl From<Failed> for Unread {
    fn from(e: Failed) -> Self {
        Unread::Failed(e)
    }
}

/// What every run on a file begins with, up to the file itself.
pub(super) fn input(kind: Kind, file: &Path) -> Vec<String> {
    let reader = match kind {
        Kind::Webm | Kind::Matroska => "matroska",
        _ => "mov",
    };
    let file = format!("file:{}", file.display());
    ["-protocol_whitelist", "file", "-f", reader, "-max_pixels", &MOST_PIXELS.to_string()]
        .into_iter()
        .map(str::to_owned)
        .chain(["-i".to_owned(), file])
        .collect()
}

/// What every run of ffmpeg begins with.
pub(super) fn quiet() -> Vec<String> {
    strings(&["-nostdin", "-hide_banner", "-nostats", "-v", "error"])
}

pub(super) fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

/// Looks into a file.
pub(super) async fn inspect(
    app: &App,
    kind: Kind,
    file: &Path,
    scratch: &Scratch,
) -> Result<Video, Unread> {
    let asked = "format=duration,bit_rate,size\
                 :stream=index,codec_type,codec_name,profile,pix_fmt,width,height,\
                 sample_aspect_ratio,avg_frame_rate,r_frame_rate,duration,color_transfer,\
                 channels,sample_rate\
                 :stream_disposition=attached_pic:stream_tags=rotate:stream_side_data=rotation";
    let mut arguments = strings(&["-v", "error", "-show_entries", asked, "-of", "json"]);
    arguments.extend(input(kind, file));
    let said =
        match program::run(&app.config.media.ffprobe, &arguments, LOOK, scratch, |_| {}).await {
            Err(Failed::Refused(words)) => return Err(Unread::Bad(unreadable(&words))),
            // Limits that a video of any use does not reach.
            Err(Failed::TookTooLong(_)) => return Err(Unread::Bad(absurd())),
            other => other?,
        };
    let found: Found = serde_json::from_str(&said.out).map_err(|_| Unread::Bad(absurd()))?;
    let mut video = read(kind, &found).map_err(Unread::Bad)?;
    if video.facts.duration_ms == 0 {
        // A recording that was never finished: its length is known once it was walked through.
        let walked = walk(app, kind, file, &video, scratch).await?;
        video.facts.duration_ms = walked;
        let size = found.format.size.parse::<i64>().unwrap_or_default();
        video.facts.bit_rate = size * 8 * 1_000 / walked.max(1);
        if walked == 0 {
            return Err(Unread::Bad("it has no length".into()));
        }
    }
    if video.facts.duration_ms > LONGEST {
        return Err(Unread::Bad("it is longer than a day".into()));
    }
    Ok(video)
}

/// Length in ms by the times of its pictures.
async fn walk(
    app: &App,
    kind: Kind,
    file: &Path,
    video: &Video,
    scratch: &Scratch,
) -> Result<i64, Unread> {
    let mut arguments = quiet();
    arguments.extend(input(kind, file));
    let picture = format!("0:{}", video.picture);
    arguments.extend(strings(&["-map", &picture, "-c", "copy", "-f", "null", "-"]));
    arguments.extend(strings(&["-progress", "pipe:1"]));
    let mut ms = 0;
    let walked = program::run(&app.config.media.ffmpeg, &arguments, WALK, scratch, |line| {
        ms = at(line).unwrap_or(ms);
    });
    match walked.await {
        Err(Failed::Refused(words)) => Err(Unread::Bad(unreadable(&words))),
        Err(e) => Err(e.into()),
        Ok(_) => Ok(ms),
    }
}

/// Integrated loudness of the first ten minutes, in LUFS.
pub(super) async fn loudness(
    app: &App,
    kind: Kind,
    file: &Path,
    sound: u32,
    scratch: &Scratch,
) -> Result<Option<f64>, Failed> {
    let mut arguments = strings(&["-nostdin", "-hide_banner", "-nostats", "-v", "info"]);
    arguments.extend(strings(&["-t", &LISTEN.to_string()]));
    arguments.extend(input(kind, file));
    let sound = format!("0:{sound}");
    let listen = "aresample=48000,ebur128=framelog=verbose";
    arguments.extend(strings(&["-map", &sound, "-af", listen, "-f", "null", "-"]));
    let limits = Limits { time: Duration::from_secs(120), ..LOOK };
    let said = program::run(&app.config.media.ffmpeg, &arguments, limits, scratch, |_| {}).await?;
    Ok(integrated(&said))
}

/// `I:         -21.8 LUFS` of the summary; silence has none.
fn integrated(said: &Said) -> Option<f64> {
    let (_, summary) = said.err.rsplit_once("Integrated loudness:")?;
    let (_, rest) = summary.split_once("I:")?;
    let lufs: f64 = rest.split_whitespace().next()?.parse().ok()?;
    (lufs > -70.0 && lufs < 0.0).then_some(lufs)
}

/// How far a run is, in ms, from a line of `-progress`.
pub(super) fn at(line: &str) -> Option<i64> {
    line.strip_prefix("out_time_us=")?.trim().parse::<i64>().ok().map(|us| us.max(0) / 1_000)
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Format {
    duration: String,
    bit_rate: String,
    size: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Stream {
    index: u32,
    codec_type: String,
    codec_name: String,
    profile: String,
    pix_fmt: String,
    width: i64,
    height: i64,
    sample_aspect_ratio: String,
    avg_frame_rate: String,
    r_frame_rate: String,
    duration: String,
    color_transfer: String,
    channels: i64,
    sample_rate: String,
    disposition: Disposition,
    tags: Tags,
    side_data_list: Vec<SideData>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Disposition {
    attached_pic: u8,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tags {
    rotate: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SideData {
    rotation: Option<f64>,
}

/// The facts of what ffprobe found; else what is wrong, as the end of a sentence.
fn read(kind: Kind, found: &Found) -> Result<Video, String> {
    let of = |what: &'static str| found.streams.iter().filter(move |s| s.codec_type == what);
    // A cover that a file carries is a video to ffprobe.
    let Some(picture) = of("video").find(|s| s.disposition.attached_pic == 0) else {
        return Err(match of("audio").next() {
            Some(_) => "it has sound and no picture".into(),
            None => "there is no video in it".into(),
        });
    };
    if picture.codec_name.is_empty() || picture.codec_name == "unknown" {
        return Err("it is coded in a way that is not known here".into());
    }
    let (width, height) = (picture.width, picture.height);
    if width < 2 || height < 2 {
        return Err("it has no width or no height".into());
    }
    if width.saturating_mul(height) > MOST_PIXELS {
        return Err(format!("it has {width} × {height} pixels, more than 8K has"));
    }
    let turned = picture.side_data_list.iter().find_map(|s| s.rotation);
    let turned = turned.or_else(|| picture.tags.rotate.parse().ok()).unwrap_or(0.0);
    let rotation = ((-turned / 90.0).round() as i64).rem_euclid(4) * 90;
    let square = ratio(&picture.sample_aspect_ratio, ':').filter(|r| (0.1..=10.0).contains(r));
    let wide = ((width as f64) * square.unwrap_or(1.0)).round() as i64;
    let (width, height) = if rotation % 180 == 0 { (wide, height) } else { (height, wide) };
    let usual = ratio(&picture.r_frame_rate, '/').unwrap_or(0.0);
    let mean = ratio(&picture.avg_frame_rate, '/').unwrap_or(usual);
    let seconds = |text: &str| text.parse::<f64>().ok().filter(|s| s.is_finite() && *s > 0.0);
    let length = seconds(&found.format.duration).or_else(|| seconds(&picture.duration));
    let duration_ms = (length.unwrap_or(0.0) * 1_000.0).round() as i64;
    let hdr = matches!(picture.color_transfer.as_str(), "smpte2084" | "arib-std-b67");
    let sound = of("audio").find(|s| s.channels > 0);
    let variable_fps = usual > 0.0 && (mean / usual - 1.0).abs() > 0.01;
    let plain = picture.codec_name == "h264"
        && matches!(picture.profile.as_str(), "High" | "Main" | "Constrained Baseline")
        && picture.pix_fmt == "yuv420p"
        && rotation == 0
        && square.is_none_or(|r| (r - 1.0).abs() < 0.001)
        && !hdr
        && !variable_fps
        && (23.0..=60.5).contains(&mean)
        && matches!(kind, Kind::Mp4 | Kind::Quicktime)
        && sound.is_none_or(|s| s.codec_name == "aac" && s.profile == "LC" && s.channels <= 2);
    Ok(Video {
        width,
        height,
        facts: VideoFacts {
            duration_ms,
            codec: picture.codec_name.clone(),
            fps: (mean * 1_000.0).round() / 1_000.0,
            variable_fps,
            rotation,
            hdr,
            bit_rate: found.format.bit_rate.parse().unwrap_or_default(),
            audio: sound.map(|s| AudioFacts {
                codec: s.codec_name.clone(),
                channels: s.channels,
                sample_rate: s.sample_rate.parse().unwrap_or_default(),
                loudness: None,
            }),
            plain,
        },
        picture: picture.index,
        sound: sound.map(|s| s.index),
    })
}

/// `30000/1001`, `4:3`
fn ratio(text: &str, by: char) -> Option<f64> {
    let (over, under) = text.split_once(by)?;
    let (over, under): (f64, f64) = (over.parse().ok()?, under.parse().ok()?);
    let ratio = over / under;
    (ratio.is_finite() && ratio > 0.0).then_some(ratio)
}

fn unreadable(words: &str) -> String {
    tracing::info!(words, "a video was not read");
    match words {
        w if w.contains("moov atom not found") => {
            "it is cut short, its index is missing: the recording or the upload was not finished"
        }
        w if w.contains("EBML header") || w.contains("Invalid data") => "it is damaged",
        w if w.contains("too large") || w.contains("max_pixels") => "its pictures are too large",
        _ => "it cannot be read",
    }
    .to_owned()
}

fn absurd() -> String {
    "it is built so that reading it takes more time or memory than any video needs".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Result<Video, String> {
        read(Kind::Mp4, &serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_video_is_seen_turned_and_with_square_pixels() {
        let video = of(r#"{"streams":[
            {"index":0,"codec_type":"video","codec_name":"mjpeg","width":600,"height":600,"disposition":{"attached_pic":1}},
            {"index":1,"codec_type":"audio","codec_name":"aac","profile":"LC","channels":2,"sample_rate":"48000"},
            {"index":2,"codec_type":"video","codec_name":"h264","profile":"High","pix_fmt":"yuv420p","width":1440,"height":1080,
             "sample_aspect_ratio":"4:3","avg_frame_rate":"30000/1001","r_frame_rate":"30000/1001",
             "side_data_list":[{"rotation":-90}]}],
            "format":{"duration":"12.345678","bit_rate":"800000","size":"1234567"}}"#)
        .unwrap();
        assert_eq!((video.width, video.height), (1080, 1920));
        assert_eq!((video.picture, video.sound), (2, Some(1)));
        let facts = video.facts;
        assert_eq!((facts.duration_ms, facts.rotation, facts.fps), (12_346, 90, 29.97));
        assert!(!facts.plain && !facts.variable_fps && !facts.hdr);
    }

    #[test]
    fn what_varies_or_shines_is_not_plain() {
        let with = |codec: &str, mean: &str, transfer: &str| {
            of(&format!(
                r#"{{"streams":[{{"codec_type":"video","codec_name":"{codec}","profile":"High","pix_fmt":"yuv420p","width":320,
                "height":240,"avg_frame_rate":"{mean}","r_frame_rate":"30/1","color_transfer":"{transfer}"}}],"format":{{"duration":"1"}}}}"#
            ))
            .unwrap()
            .facts
        };
        assert!(with("h264", "30/1", "bt709").plain);
        assert!(!with("hevc", "30/1", "bt709").plain);
        let varies = with("h264", "55/3", "bt709");
        assert!(varies.variable_fps && !varies.plain);
        let hdr = with("h264", "30/1", "smpte2084");
        assert!(hdr.hdr && !hdr.plain);
    }

    #[test]
    fn what_is_no_video_says_why() {
        for (json, says) in [
            (r#"{}"#, "no video"),
            (r#"{"streams":[{"codec_type":"audio","codec_name":"aac"}]}"#, "sound and no picture"),
            (r#"{"streams":[{"codec_type":"video","codec_name":"h264"}]}"#, "no width"),
            (r#"{"streams":[{"codec_type":"video","width":100,"height":100}]}"#, "not known here"),
            (
                r#"{"streams":[{"codec_type":"video","codec_name":"h264","width":16384,"height":16384}]}"#,
                "16384 × 16384",
            ),
        ] {
            let why = of(json).unwrap_err();
            assert!(why.contains(says), "{why}");
        }
    }

    #[test]
    fn loudness_is_read_from_the_summary_and_silence_has_none() {
        let said = |lufs: &str| Said {
            out: String::new(),
            err: format!(
                "[x] Summary:\n\n  Integrated loudness:\n    I:   {lufs} LUFS\n    Threshold: -31.8 LUFS\n"
            ),
        };
        assert_eq!(integrated(&said("-21.8")), Some(-21.8));
        assert_eq!(integrated(&said("-70.0")), None);
        assert_eq!(integrated(&Said::default()), None);
        assert_eq!(at("out_time_us=2020136"), Some(2_020));
        assert_eq!(at("out_time_us=N/A"), None);
        assert_eq!(at("speed=2x"), None);
    }
}
