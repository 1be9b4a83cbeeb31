//! `carillon media`: upload, cut and look; `library.rs` has what is done to many.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Subcommand;
use futures_util::{Stream, stream};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::AsyncReadExt;

use super::library::Library;
use super::{Here, Out, moving};
use crate::App;
use crate::domain::frame::{Fit, Frame};
use crate::domain::refusal::{Kind, Refusal};
use crate::domain::video::AudioFacts;
use crate::media::intake;
use crate::media::library::{self, Description, MediaView, VideoView};
use crate::media::video::time;
use crate::queue::worker::Worker;
use crate::store::media::MediaState;

pub(super) const EXAMPLES: &str = "Examples:\n  carillon media add pub.jpg --alt 'The bar at dusk'\n  carillon media add opening.mov --wait\n  carillon media cut 0193… --start 1.5 --end 29 --cover 4\n  carillon media frame 0193… --focus 30,70\n  carillon media list --search 'quay dawn' --unused\n  carillon media tag 0193… --add summer\n  carillon media replace 0193… menu-new.jpg\n  carillon media clean --dry-run\n  carillon media show 0193… --json\n  carillon media move --to s3 --dry-run";

#[derive(Debug, Subcommand)]
pub(super) enum Media {
    /// Upload a picture or video and prepare what the networks take
    Add {
        file: PathBuf,
        /// For people who cannot see it
        #[arg(long, default_value = "")]
        alt: String,
        /// Return when it is ready, or when it is clear that it will not be
        #[arg(long)]
        wait: bool,
    },
    #[command(flatten)]
    Library(Library),
    /// Show a medium and what was made of it
    Show { id: String },
    /// Move every medium to the disk or to the S3 store, while servers run
    #[command(after_help = moving::EXAMPLES)]
    Move(moving::Move),
    /// Choose what of a picture is shown where a network wants another shape; without an option it is
    /// the middle again
    Frame {
        id: String,
        /// The point that stays in view: percent from the left and from the top, such as 30,70
        #[arg(long, value_name = "X,Y", value_parser = point)]
        focus: Option<(i64, i64)>,
        /// Show all of it, on a ground of its own colours
        #[arg(long)]
        pad: bool,
    },
    /// Choose what of a video goes out and the moment that stands for it; without an option it is
    /// the whole again
    Cut {
        id: String,
        /// Seconds from the beginning
        #[arg(long, value_name = "SECONDS")]
        start: Option<f64>,
        /// Seconds from the beginning
        #[arg(long, value_name = "SECONDS")]
        end: Option<f64>,
        /// Seconds from the beginning
        #[arg(long, value_name = "SECONDS")]
        cover: Option<f64>,
    },
}

impl Media {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<ExitCode> {
        let (app, ws) = (&here.app, here.workspace.as_str());
        let id = match self {
            Media::Library(library) => return library.run(here, out).await,
            Media::Show { id } => id.clone(),
            Media::Move(all) => return all.run(app, out).await,
            Media::Cut { id, start, end, cover } => {
                let ms = |at: &Option<f64>| Some(at.map_or(-1, |at| (at * 1_000.0).round() as i64));
                let change = Description {
                    start_ms: ms(start),
                    end_ms: ms(end),
                    cover_ms: ms(cover),
                    ..Description::default()
                };
                let cut = library::describe(app, ws, id, change).await?;
                Worker::new(app.clone()).tick().await?;
                cut.id
            }
            Media::Frame { id, focus, pad } => {
                let middle = Frame::default();
                let (x, y) = focus.unwrap_or((middle.focus_x, middle.focus_y));
                let change = Description {
                    fit: Some(if *pad { Fit::Pad } else { Fit::Crop }),
                    focus_x: Some(x),
                    focus_y: Some(y),
                    ..Description::default()
                };
                let framed = library::describe(app, ws, id, change).await?;
                Worker::new(app.clone()).tick().await?;
                framed.id
            }
            Media::Add { file, alt, wait } => {
                let id = add(app, ws, file, alt).await?;
                // Where no server runs, its derivatives are made here; where one does, whoever is
                // first.
                let worker = Worker::new(app.clone());
                worker.tick().await?;
                while *wait && !settled(&library::find(app, ws, &id).await?) {
                    app.clock.sleep(WAIT).await;
                    worker.tick().await?;
                }
                id
            }
        };
        out.show(&library::find(app, ws, &id).await?, text);
        Ok(ExitCode::SUCCESS)
    }
}

/// `30,70`
fn point(text: &str) -> Result<(i64, i64), String> {
    let numbers = text.split_once(',').and_then(|(x, y)| Some((percent(x)?, percent(y)?)));
    numbers.ok_or_else(|| "name two numbers from 0 to 100, such as 30,70".to_owned())
}

fn percent(text: &str) -> Option<i64> {
    text.trim().parse().ok().filter(|n| (0..=100).contains(n))
}

/// How often somebody who waits looks.
const WAIT: Duration = Duration::from_millis(500);

async fn add(app: &App, workspace: &str, file: &Path, alt: &str) -> anyhow::Result<String> {
    let (body, bar) = body(file).await?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let taken = intake::upload(app, workspace, &name, alt, body).await?;
    bar.finish_and_clear();
    Ok(taken.id)
}

/// A file piece by piece, and how far it has been read.
pub(super) async fn body(
    file: &Path,
) -> anyhow::Result<(impl Stream<Item = std::io::Result<Bytes>> + Unpin, ProgressBar)> {
    let source = open(file).await?;
    let bar = bar(source.metadata().await?.len());
    let read = |(mut file, bar): (tokio::fs::File, ProgressBar)| async move {
        let mut chunk = vec![0; 1 << 16];
        let n = file.read(&mut chunk).await?;
        bar.inc(n as u64);
        chunk.truncate(n);
        Ok::<_, std::io::Error>((n > 0).then(|| (Bytes::from(chunk), (file, bar))))
    };
    Ok((Box::pin(stream::try_unfold((source, bar.clone()), read)), bar))
}

/// Is there nothing more to come of it by itself?
fn settled(media: &MediaView) -> bool {
    let over = |state| matches!(state, MediaState::Ready | MediaState::Failed);
    over(media.state) && media.derivatives.iter().all(|d| over(d.state))
}

/// A medium for people.
fn text(m: &MediaView) -> String {
    let mut text = format!("{}  {}  {}\n", m.id, m.name, m.state);
    if m.width > 0 {
        text.push_str(&format!("{} × {}, ", m.width, m.height));
    }
    if let Some(VideoView { facts, start_ms, end_ms, cover_ms }) = &m.video {
        text.push_str(&format!(
            "{}, {} at {} fps, ",
            time(facts.duration_ms),
            facts.codec,
            facts.fps
        ));
        text.push_str(&match &facts.audio {
            Some(AudioFacts { codec, loudness: Some(lufs), .. }) => {
                format!("{codec} at {lufs} LUFS, ")
            }
            Some(AudioFacts { codec, .. }) => format!("{codec}, "),
            None => "no sound, ".to_owned(),
        });
        text.push_str(&format!("{} bytes\n", m.bytes));
        for (what, at) in [("starts", start_ms), ("ends", end_ms), ("cover", cover_ms)] {
            if let Some(at) = at {
                text.push_str(&format!("  {what} at {} s\n", *at as f64 / 1_000.0));
            }
        }
    } else {
        text.push_str(&format!("{} bytes\n", m.bytes));
    }
    if !m.tags.is_empty() {
        text.push_str(&format!("  tags: {}\n", m.tags.join(", ")));
    }
    match m.frame {
        Some(Frame { fit: Fit::Pad, .. }) => text.push_str("  all of it is shown in every shape\n"),
        Some(frame) if frame != Frame::default() => {
            text.push_str(&format!("  focus at {} %, {} %\n", frame.focus_x, frame.focus_y));
        }
        _ => {}
    }
    for d in &m.derivatives {
        let made = match (d.state, d.width, d.height, d.bytes) {
            (MediaState::Ready, Some(w), Some(h), Some(bytes)) => {
                format!("{w} × {h}, {bytes} bytes")
            }
            (MediaState::Processing, ..) if m.video.is_some() => format!("{} %", d.progress),
            (MediaState::Failed, ..) => "failed".to_owned(),
            _ => "not made yet".to_owned(),
        };
        text.push_str(&format!("  {}: {made}\n", d.kind));
        if let Some(p) = &d.problem {
            text.push_str(&format!("    {} {}\n", p.sentence, p.action_sentence));
        }
    }
    if m.video.is_some() && m.derivatives.is_empty() {
        text.push_str("  what networks are sent is made when a post needs it\n");
    }
    if let Some(p) = &m.problem {
        text.push_str(&format!("{} {}\n", p.sentence, p.action_sentence));
    }
    text
}

async fn open(file: &Path) -> Result<tokio::fs::File, Refusal> {
    let unreadable = |why: String| {
        let sentence = format!("{} cannot be read: {why}.", file.display());
        Refusal::new(
            Kind::Invalid,
            "unreadable_file",
            sentence,
            "Name a picture or video on this machine.",
        )
    };
    let source = tokio::fs::File::open(file).await.map_err(|e| unreadable(e.to_string()))?;
    match source.metadata().await {
        Ok(about) if about.is_file() => Ok(source),
        Ok(_) => Err(unreadable("it is no file".into())),
        Err(e) => Err(unreadable(e.to_string())),
    }
}

/// Progress on a terminal; nothing where output is not one.
pub(super) fn bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
