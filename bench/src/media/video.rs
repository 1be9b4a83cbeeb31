//! A video made into what a network takes: by Carillon from the job's claim until the rendition is in
//! the store, and by ffmpeg alone with the very arguments that Carillon gave it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use carillon::media::{intake, library};
use carillon::queue::worker::Worker;
use carillon::store::media::MediaState;

use super::{Spent, installed, median, timed};
use crate::shipped::{self, Shipped};

/// What `convert` is told.
const ORDER: &str = "order.json";

pub(super) fn drive(rounds: usize, quick: bool) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let seconds = if quick { 3 } else { 30 };
    let clip = folder.path().join("clip.mp4");
    film(&clip, seconds)?;
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let (a, b) = both(&clip, folder.path())?;
        eprintln!("{{\"video\":\"Carillon\",\"round\":{round}, {a:?}}}");
        eprintln!("{{\"video\":\"ffmpeg\",\"round\":{round}, {b:?}}}");
        ours.push(a);
        plain.push(b);
    }
    let mut text = format!(
        "### Videos\n\n{seconds} s of 1920 × 1080 at 30 frames a second with sound (MPEG-4, {:.0} MB), made into what Mastodon takes: H.264 at CRF 21, AAC. \
         Carillon's part is its process from its start until the rendition is in the store: reading and looking into the file before and after, progress in the \
         database. ffmpeg was given the same arguments.\n\n| | wall s | CPU s | overhead, wall / CPU |\n|---|---|---|---|\n",
        std::fs::metadata(&clip)?.len() as f64 / 1e6
    );
    let of = |all: &[Spent], value: fn(&Spent) -> f64| median(all.iter().map(value));
    let base = (of(&plain, |s| s.wall), of(&plain, |s| s.cpu));
    for (name, all) in [("Carillon", &ours), ("ffmpeg alone", &plain)] {
        let (wall, cpu) = (of(all, |s| s.wall), of(all, |s| s.cpu));
        let over = |value: f64, base: f64| format!("{:+.1} %", (value / base - 1.0) * 100.0);
        let over = match name {
            "Carillon" => format!("{} / {}", over(wall, base.0), over(cpu, base.1)),
            _ => "–".to_owned(),
        };
        text.push_str(&format!("| {name} | {wall:.2} | {cpu:.2} | {over} |\n"));
    }
    Ok(text)
}

/// A film that moves everywhere, in a codec that no network takes.
fn film(to: &Path, seconds: u32) -> Result<()> {
    let ended = Command::new(installed("ffmpeg", "ffmpeg")?)
        .args(["-v", "error", "-f", "lavfi", "-i"])
        .arg(format!(
            "testsrc2=size=1920x1080:rate=30:duration={seconds},noise=alls=6:allf=t:all_seed=1"
        ))
        .args(["-f", "lavfi", "-i"])
        .arg(format!("sine=frequency=440:duration={seconds}"))
        .args(["-c:v", "mpeg4", "-q:v", "4", "-c:a", "aac", "-shortest", "-y"])
        .arg(to)
        .status()?;
    ensure!(ended.success(), "ffmpeg made no film; its message is above");
    Ok(())
}

fn both(clip: &Path, folder: &Path) -> Result<(Spent, Spent)> {
    let ffmpeg = installed("ffmpeg", "ffmpeg")?;
    let told = folder.join("told");
    let recorder = folder.join("ffmpeg");
    // Writes down what it is told before it becomes ffmpeg.
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *rendition.mp4) printf '%s\\0' \"$@\" >'{}' ;; esac\nexec '{}' \"$@\"\n",
        told.display(),
        ffmpeg.display()
    );
    std::fs::write(&recorder, script)?;
    std::fs::set_permissions(&recorder, std::fs::Permissions::from_mode(0o755))?;
    let (ours, bytes) = ours(clip, &recorder)?;
    let told = std::fs::read_to_string(&told).context("Carillon did not call ffmpeg")?;
    let mut arguments: Vec<String> = told.split_terminator('\0').map(str::to_owned).collect();
    let input = arguments.iter().position(|a| a == "-i").context("no input")? + 1;
    arguments[input] = format!("file:{}", clip.display());
    let to = folder.join("plain.mp4");
    *arguments.last_mut().context("no output")? = format!("file:{}", to.display());
    let plain = timed(&ffmpeg, &arguments)?;
    // x264 with a bound of bits, on several threads, writes other bytes each time.
    let alone = std::fs::metadata(to)?.len();
    ensure!(
        alone.abs_diff(bytes) < bytes / 20,
        "ffmpeg alone wrote {alone} bytes, Carillon {bytes}"
    );
    Ok((ours, plain))
}

/// What Carillon's process used, and the bytes of what it made.
#[tokio::main]
async fn ours(clip: &Path, recorder: &Path) -> Result<(Spent, u64)> {
    let binary = std::env::current_exe()?.with_file_name("carillon");
    let mut shipped = Shipped::open(&binary, 0, None, &[]).await?;
    let data = std::fs::read(clip)?;
    let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>(data.into())]);
    let medium =
        intake::upload(&shipped.app, &shipped.workspace, "clip.mp4", "A clip", pieces).await?;
    Worker::new(shipped.app.clone()).tick().await?;
    let targets = shipped.connect(1).await?;
    shipped.post(shipped.now() + 86_400_000, &targets, vec![medium.id.clone()]).await?;
    shipped.settings.insert("CARILLON_FFMPEG".into(), recorder.display().to_string());
    let order = shipped.folder().join(ORDER);
    std::fs::write(&order, serde_json::to_vec(&shipped.settings)?)?;
    let spent = timed(&std::env::current_exe()?, &["convert".into(), order.display().to_string()])?;
    let made = library::find(&shipped.app, &shipped.workspace, &medium.id).await?;
    let [one] = made.derivatives.as_slice() else {
        anyhow::bail!("one rendition is asked for, not {}", made.derivatives.len());
    };
    ensure!(one.state == MediaState::Ready, "the rendition is {}: {:?}", one.state, one.problem);
    Ok((spent, one.bytes.context("a rendition without a size")? as u64))
}

/// What `ours` starts: a worker that does the one job there is.
#[tokio::main]
pub(crate) async fn convert(order: &Path) -> Result<()> {
    let settings: BTreeMap<String, String> = serde_json::from_slice(&std::fs::read(order)?)?;
    let app = shipped::open(&settings).await?;
    ensure!(Worker::new(app).tick().await? > 0, "there is no job");
    Ok(())
}
