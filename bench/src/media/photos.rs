//! Three JPEGs of each photo, as networks take them, quality 82: 1080 × 1350, 1080 × 1920 and
//! 1920 × 1080. Every tool starts as a process, reads files and writes files; the process's start is
//! counted. Tools without a way to make three from one decoding are called as they are.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};
use carillon::media::derive::DERIVATIVES;
use carillon_pictures::{Fit, Limits, Picture};
use serde_json::Value;
use tempfile::TempDir;

use super::{Spent, installed, median, set, timed};

const SIZES: [(u32, u32); 3] = [(1080, 1350), (1080, 1920), (1920, 1080)];

#[derive(Clone, Copy)]
struct Tool {
    name: &'static str,
    run: fn(&[PathBuf], &Path) -> Result<Spent>,
}

const TOOLS: [Tool; 7] = [
    Tool { name: "Carillon, two at once (its default)", run: |files, out| ours(2, files, out) },
    Tool { name: "Carillon, one at a time", run: |files, out| ours(1, files, out) },
    Tool { name: "sharp, decoded once", run: |files, out| sharp("once", files, out) },
    Tool { name: "sharp, as people use it", run: |files, out| sharp("each", files, out) },
    Tool { name: "vipsthumbnail", run: vips },
    Tool { name: "ffmpeg -q:v 2", run: ffmpeg },
    Tool { name: "ffmpeg.wasm -q:v 2", run: wasm },
];

pub(super) fn drive(rounds: usize, quick: bool) -> Result<String> {
    let files = set::photos(if quick { 3 } else { 20 })?;
    let folder = TempDir::new()?;
    let out = |tool: &Tool| folder.path().join(tool.name.replace(',', ""));
    let mut spent = TOOLS.map(|_| Vec::new());
    for round in 0..rounds {
        for turn in 0..TOOLS.len() {
            let number = (round + turn) % TOOLS.len();
            let tool = TOOLS[number];
            std::fs::create_dir_all(out(&tool))?;
            let of = (tool.run)(&files, &out(&tool)).with_context(|| tool.name)?;
            eprintln!("{{\"photos\":{:?},\"round\":{}, {of:?}}}", tool.name, round + 1);
            spent[number].push(of);
        }
    }
    let quality = quality(&files, &TOOLS.map(|tool| out(&tool)))?;
    let count = files.len() as f64;
    let mut text = format!(
        "### Photos\n\n{count} photos of 12 MP (JPEG, two PNG, two WebP), from each three JPEGs of 1080 × 1350, 1080 × 1920 and \
         1920 × 1080 at quality 82 and 4:2:0. PSNR is that to a lossless scaling by sharp.\n\n\
         | tool | photos/s | CPU s a photo | peak MB | MB written | PSNR, dB |\n|---|---|---|---|---|---|\n"
    );
    for ((tool, spent), psnr) in TOOLS.iter().zip(&spent).zip(quality) {
        text.push_str(&format!(
            "| {} | {:.2} | {:.2} | {:.0} | {:.2} | {psnr:.2} |\n",
            tool.name,
            count / median(spent.iter().map(|s| s.wall)),
            median(spent.iter().map(|s| s.cpu)) / count,
            median(spent.iter().map(|s| s.peak)),
            written(&out(tool))? as f64 / 1e6,
        ));
    }
    Ok(text)
}

fn written(folder: &Path) -> Result<u64> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

/// Decibels, a folder each.
fn quality(files: &[PathBuf], folders: &[PathBuf]) -> Result<Vec<f64>> {
    // More say nothing else, and take long.
    let some = files.iter().step_by(files.len().div_ceil(6)).map(|f| f.display().to_string());
    let names: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
    let said = std::process::Command::new("node")
        .arg(peer("quality.mjs"))
        .arg(names.join(","))
        .args(some)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    let said: Value = serde_json::from_slice(&said.stdout).context("quality.mjs said no number")?;
    names.iter().map(|name| said[name].as_f64().context("no PSNR")).collect()
}

fn peer(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/pictures").join(file)
}

fn names(files: &[PathBuf]) -> impl Iterator<Item = String> {
    files.iter().map(|file| file.display().to_string())
}

fn ours(threads: usize, files: &[PathBuf], out: &Path) -> Result<Spent> {
    let mut arguments = vec!["photos".to_owned(), threads.to_string(), out.display().to_string()];
    arguments.extend(names(files));
    timed(&std::env::current_exe()?, &arguments)
}

/// What `ours` starts: the product's own function, as many pictures at once as there are threads.
pub(crate) fn make(threads: usize, out: &Path, files: &[PathBuf]) -> Result<()> {
    let left = Mutex::new(files.iter());
    let one = || -> Result<()> {
        loop {
            // Nobody panics while it is held.
            let next = left.lock().map_or_else(|e| e.into_inner().next(), |mut files| files.next());
            let Some(file) = next else { return Ok(()) };
            let data = std::fs::read(file)?;
            let name = file.file_name().context("a file has no name")?.to_string_lossy();
            let picture = Picture::decode(&data, &Limits::default())?;
            drop(data);
            for jpeg in picture.cut(&DERIVATIVES.map(|(_, size)| size), Fit::MIDDLE)? {
                let to = format!("{name}-{}x{}.jpg", jpeg.width, jpeg.height);
                std::fs::write(out.join(to), jpeg.data)?;
            }
        }
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        all.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(_) => anyhow::bail!("a thread panicked; its message is above"),
        })
    })
}

fn sharp(how: &str, files: &[PathBuf], out: &Path) -> Result<Spent> {
    let mut arguments =
        vec![peer("sharp.mjs").display().to_string(), how.to_owned(), out.display().to_string()];
    arguments.extend(names(files));
    timed(&installed("node", "nodejs")?, &arguments)
}

fn wasm(files: &[PathBuf], out: &Path) -> Result<Spent> {
    let mut arguments =
        vec![peer("wasm.mjs").display().to_string(), out.display().to_string(), filter()];
    arguments.extend(names(files));
    timed(&installed("node", "nodejs")?, &arguments)
}

/// A call for each JPEG: it makes one.
fn vips(files: &[PathBuf], out: &Path) -> Result<Spent> {
    let program = installed("vipsthumbnail", "libvips-tools")?;
    let mut spent = Spent::default();
    for file in files {
        for (width, height) in SIZES {
            let size = format!("{width}x{height}");
            let arguments = [
                file.display().to_string(),
                "--size".into(),
                size.clone(),
                "--smartcrop".into(),
                "centre".into(),
                "-o".into(),
                format!("{}[Q=82]", target(file, out, &size)),
            ];
            spent += timed(&program, &arguments)?;
        }
    }
    Ok(spent)
}

/// A call for each photo. Its JPEG encoder knows qualities of its own: 2 is the best.
fn ffmpeg(files: &[PathBuf], out: &Path) -> Result<Spent> {
    let program = installed("ffmpeg", "ffmpeg")?;
    let mut spent = Spent::default();
    for file in files {
        let mut arguments: Vec<String> = ["-v", "error", "-y", "-i"].map(str::to_owned).to_vec();
        arguments.extend([file.display().to_string(), "-filter_complex".into(), filter()]);
        for (number, (width, height)) in SIZES.iter().enumerate() {
            arguments.extend(["-map".into(), format!("[o{number}]")]);
            arguments.extend(["-q:v", "2", "-pix_fmt", "yuvj420p"].map(str::to_owned));
            arguments.push(target(file, out, &format!("{width}x{height}")));
        }
        spent += timed(&program, &arguments)?;
    }
    Ok(spent)
}

fn target(file: &Path, out: &Path, size: &str) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    out.join(format!("{name}-{size}.jpg")).display().to_string()
}

/// One decoding, three outputs.
fn filter() -> String {
    let mut all = vec!["[0:v]split=3[i0][i1][i2]".to_owned()];
    for (number, (width, height)) in SIZES.iter().enumerate() {
        all.push(format!(
            "[i{number}]scale={width}:{height}:force_original_aspect_ratio=increase:flags=lanczos,\
             crop={width}:{height}[o{number}]"
        ));
    }
    all.join(";")
}
