//! `carillon media`: upload and look.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use clap::Subcommand;
use futures_util::stream;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::AsyncReadExt;

use super::{Here, Out, moving};
use crate::domain::refusal::{Kind, Refusal};
use crate::media::{intake, library};
use crate::queue::worker::Worker;

pub(super) const EXAMPLES: &str = "Examples:\n  carillon media add pub.jpg --alt 'The bar at dusk'\n  carillon media show 0193… --json\n  carillon media move --to s3 --dry-run";

#[derive(Debug, Subcommand)]
pub(super) enum Media {
    /// Upload a picture and prepare what the networks take
    Add {
        file: PathBuf,
        /// For people who cannot see it
        #[arg(long, default_value = "")]
        alt: String,
    },
    /// Show a medium and its derivatives
    Show { id: String },
    /// Move every medium to the disk or to the S3 store, while servers run
    #[command(after_help = moving::EXAMPLES)]
    Move(moving::Move),
}

impl Media {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<ExitCode> {
        let (app, ws) = (&here.app, here.workspace.as_str());
        let id = match self {
            Media::Show { id } => id.clone(),
            Media::Move(all) => return all.run(app, out).await,
            Media::Add { file, alt } => {
                let source = open(file).await?;
                let bar = bar(source.metadata().await?.len());
                let body = Box::pin(stream::try_unfold(
                    (source, bar.clone()),
                    |(mut f, bar)| async move {
                        let mut chunk = vec![0; 1 << 16];
                        let n = f.read(&mut chunk).await?;
                        bar.inc(n as u64);
                        chunk.truncate(n);
                        Ok::<_, std::io::Error>((n > 0).then(|| (Bytes::from(chunk), (f, bar))))
                    },
                ));
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                let taken = intake::upload(app, ws, &name, alt, body).await?;
                bar.finish_and_clear();
                // Where no server runs, its derivatives are made here; where one does, whoever is
                // first.
                Worker::new(app.clone()).tick().await?;
                taken.id
            }
        };
        let media = library::find(app, ws, &id).await?;
        out.show(&media, |m| {
            let mut text = format!(
                "{}  {}  {}\n{} × {}, {} bytes\n",
                m.id, m.name, m.state, m.width, m.height, m.bytes
            );
            for d in &m.derivatives {
                let made = match (d.width, d.height, d.bytes) {
                    (Some(w), Some(h), Some(bytes)) => format!("{w} × {h}, {bytes} bytes"),
                    _ => "not made yet".to_owned(),
                };
                text.push_str(&format!("  {}: {made}\n", d.kind));
            }
            if let Some(p) = &m.problem {
                text.push_str(&format!("{} {}\n", p.sentence, p.action_sentence));
            }
            text
        });
        Ok(ExitCode::SUCCESS)
    }
}

async fn open(file: &Path) -> Result<tokio::fs::File, Refusal> {
    let unreadable = |why: String| {
        let sentence = format!("{} cannot be read: {why}.", file.display());
        Refusal::new(Kind::Invalid, "unreadable_file", sentence, "Name a picture on this machine.")
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
