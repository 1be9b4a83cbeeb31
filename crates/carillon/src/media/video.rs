//! Videos: looked into when they come, and made into what networks take once a post needs it.
//!
//! ffprobe and ffmpeg do the work, as programs with limits (`program`): a file that makes a decoder
//! fail, hang or swell costs that file and nothing else. `inspect` says what a video is, `need`
//! which rendition a placement wants of it, `encode` what ffmpeg is told, `renditions` makes them.

mod cutting;
mod encode;
mod inspect;
mod need;
mod program;
pub mod renditions;

pub(super) use cutting::{cut_anew, under_way};
pub use need::{Misfit, misfit, time};

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_networks::spec::{Choice, Kind as Choosing, Placement};

use super::blobs::{self, BlobError};
use super::scratch::Scratch;
use super::{Unfit, derive};
use crate::App;
use crate::domain::problem::Problem;
use crate::store::media::{Made, Media};
use carillon_pictures::probe::{self, Kind};
use carillon_pictures::{Jpeg, PictureError};
use inspect::{Unread, Video};
use program::{Failed, Limits};

/// The longer side of a poster in pixels, and most of its bytes: what YouTube takes as a thumbnail.
const POSTER_SIDE: u32 = 1_920;
const POSTER_BYTES: u64 = 2 << 20;

/// The types that are taken.
pub const TAKEN: [Kind; 4] = [Kind::Mp4, Kind::Quicktime, Kind::Webm, Kind::Matroska];

/// Looks into a video and makes what is shown of it. `Err` is trouble that passes.
pub(super) async fn prepare(app: &App, mut medium: Media) -> anyhow::Result<()> {
    let scratch = Scratch::new(app).await?;
    let original = blobs::key(&medium.workspace_id, &medium.id, &medium.original());
    let file = match app.blobs.lend(&original, scratch.dir()).await {
        Ok(file) => file,
        Err(BlobError::Missing) => {
            let gone = "The video's file is no longer in the store.";
            return derive::fail(app, medium, never(gone)).await;
        }
        Err(e) => return Err(e.into()),
    };
    let kind = Kind::of(&medium.content_type).unwrap_or(Kind::Mp4);
    let mut video = match inspect::inspect(app, kind, &file, &scratch).await {
        Ok(video) => video,
        Err(Unread::Bad(why)) => return derive::fail(app, medium, broken(&why)).await,
        Err(Unread::Failed(e)) => return derive::fail(app, medium, problem(e)?).await,
    };
    if let (Some(sound), Some(audio)) = (video.sound, &mut video.facts.audio) {
        match inspect::loudness(app, kind, &file, sound, &scratch).await {
            Ok(lufs) => audio.loudness = lufs,
            // Nothing depends on it.
            Err(e) => tracing::info!(error = %e, media = medium.id, "loudness was not measured"),
        }
    }
    let pictures = match poster(app, &medium, &video, (kind, &file), &scratch).await {
        Ok(pictures) => pictures,
        Err(e) => return derive::fail(app, medium, problem(e)?).await,
    };
    let Some(pictures) = pictures else {
        let why = "not one picture of it can be shown";
        return derive::fail(app, medium, broken(why)).await;
    };
    let mut made = Vec::new();
    for (kind, jpeg) in pictures {
        let (width, height) = (i64::from(jpeg.width), i64::from(jpeg.height));
        made.push(Made::ready(kind, width, height, jpeg.data.len() as i64));
        let key = blobs::key(&medium.workspace_id, &medium.id, kind);
        app.blobs.put(&key, jpeg.data.into()).await?;
    }
    (medium.width, medium.height) = (video.width, video.height);
    medium.facts = Some(video.facts);
    derive::finish(app, medium, made).await
}

/// The picture that stands for a video, large and small; `None` where there is none.
async fn poster(
    app: &App,
    medium: &Media,
    video: &Video,
    from: (Kind, &std::path::Path),
    scratch: &Scratch,
) -> Result<Option<Vec<(&'static str, Jpeg)>>, Failed> {
    let file = scratch.file("poster.jpg");
    let tone_map = video.facts.hdr && tone_maps(app, scratch).await?;
    let side = i64::from(POSTER_SIDE);
    let arguments = encode::poster(video, medium.cut, tone_map, side, from, &file);
    let limits = Limits { memory: MEMORY, time: Duration::from_secs(120), file: 64 << 20 };
    match program::run(&app.config.media.ffmpeg, &arguments, limits, scratch, |_| {}).await {
        Ok(_) => {}
        Err(Failed::Refused(words)) => {
            tracing::info!(words, media = medium.id, "a video gave no picture");
            return Ok(None);
        }
        Err(e) => return Err(e),
    }
    let frame = tokio::fs::read(&file).await.unwrap_or_default();
    let limits = derive::limits(app);
    let made = tokio::task::spawn_blocking(move || {
        let poster = carillon_pictures::fit(&frame, POSTER_BYTES, POSTER_SIDE, &limits)?;
        let thumb =
            carillon_pictures::thumbnail(&poster.data, carillon_pictures::THUMBNAIL_SIDE, &limits)?;
        Ok::<_, PictureError>(vec![("poster", poster), ("thumb", thumb)])
    });
    match made.await.map_err(std::io::Error::other)? {
        Ok(made) => Ok(Some(made)),
        Err(e) => {
            tracing::info!(error = %e, media = medium.id, "a video's picture cannot be used");
            Ok(None)
        }
    }
}

/// The poster of a video whose owner chose the moment for it, where the placement takes a picture
/// for that and none was named; with the option that it answers.
pub async fn cover(
    app: &App,
    medium: &Media,
    placement: &Placement,
    answers: &BTreeMap<String, String>,
) -> Result<Option<(&'static str, carillon_networks::Media)>, Unfit> {
    let picture = |o: &&Choice| matches!(o.kind, Choosing::Picture { max_bytes } if max_bytes >= POSTER_BYTES);
    let Some(option) = placement.options.iter().find(picture) else { return Ok(None) };
    let answered = answers.get(option.key).is_some_and(|a| !a.trim().is_empty());
    if answered || !medium.is_video() || medium.cut.cover_ms.is_none() {
        return Ok(None);
    }
    let data = derive::blob(app, medium, "poster").await?;
    let Ok(header) = probe::probe(&data) else { return Ok(None) };
    let cover = carillon_networks::Media {
        id: format!("{}-poster", medium.id),
        content_type: header.kind.content_type().to_owned(),
        width: header.width,
        height: header.height,
        alt: String::new(),
        file_name: "poster.jpg".to_owned(),
        data,
        source: None,
        duration: None,
        cover: None,
        url: String::new(),
    };
    Ok(Some((option.key, cover)))
}

/// Address space of what decodes and encodes, in bytes: 8K frames fit, a flood of them does not.
const MEMORY: u64 = 6 << 30;

/// Can this ffmpeg bring HDR to ordinary screens?
async fn tone_maps(app: &App, scratch: &Scratch) -> Result<bool, Failed> {
    let arguments = inspect::strings(&["-hide_banner", "-v", "error", "-filters"]);
    let limits = Limits { memory: 1 << 30, time: Duration::from_secs(30), file: 0 };
    let said = program::run(&app.config.media.ffmpeg, &arguments, limits, scratch, |_| {}).await?;
    Ok(said.out.contains(" zscale ") && said.out.contains(" tonemap "))
}

/// What `doctor` has to say of the programs: all is well, or not, and what to know.
pub async fn programs(app: &App) -> Result<String, String> {
    let scratch = Scratch::new(app).await.map_err(|e| e.to_string())?;
    let limits = Limits { memory: 1 << 30, time: Duration::from_secs(30), file: 0 };
    let config = &app.config.media;
    let ask = |program: &'static str, word: &'static str| {
        let scratch = &scratch;
        async move {
            let path = if program == "ffmpeg" { &config.ffmpeg } else { &config.ffprobe };
            let arguments = inspect::strings(&["-hide_banner", word]);
            let said = program::run(path, &arguments, limits, scratch, |_| {}).await;
            said.map(|said| said.out).map_err(|e| e.to_string())
        }
    };
    ask("ffprobe", "-version").await?;
    let version = ask("ffmpeg", "-version").await?;
    let encoders = ask("ffmpeg", "-encoders").await?;
    for needed in ["libx264", "aac"] {
        if !encoders.contains(&format!(" {needed} ")) {
            return Err(format!("this ffmpeg has no encoder `{needed}`"));
        }
    }
    let version = version.split_whitespace().nth(2).unwrap_or("of an unknown version");
    let hdr = match tone_maps(app, &scratch).await.map_err(|e| e.to_string())? {
        true => "",
        false => "; without zscale, so HDR videos go out with pale colours",
    };
    Ok(format!("ffmpeg {version}{hdr}"))
}

/// What a failed run means for a video; `Err` where another try may do.
fn problem(e: Failed) -> anyhow::Result<Problem> {
    tracing::info!(error = %e, "work on a video failed");
    Ok(match e {
        e if e.passes() => return Err(e.into()),
        Failed::Missing(program) => {
            let says =
                format!("Videos cannot be worked on here: the program `{program}` is missing.");
            let next = "Ask whoever runs this installation to install ffmpeg (`carillon doctor` \
                        looks for it), then process the video again.";
            Problem::new("config", says, "ask_operator", next)
        }
        Failed::TookTooLong(limit) => {
            let limit = time(limit.as_millis() as i64);
            broken(&format!(
                "working on it took longer than {limit}, which is the most it may take"
            ))
        }
        Failed::Killed(_) => broken("it takes more memory than a video may"),
        Failed::Refused(_) | Failed::Io(_) | Failed::Starved(..) => {
            broken("it cannot be read to its end")
        }
    })
}

fn broken(why: &str) -> Problem {
    never(&format!("The video cannot be used: {why}."))
}

pub(super) fn never(sentence: &str) -> Problem {
    let next = "Export it anew, as MP4 if you can, upload that and put it in its place.";
    Problem::new("media", sentence, "edit_post", next)
}
