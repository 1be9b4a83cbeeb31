//! Twenty photos that nobody took, the same on every machine: noise of several scales, gradients,
//! discs and grain, of 12 MP, upright and across; most are JPEGs, two PNGs, two WebPs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

const LONG: usize = 4000;
const SHORT: usize = 3000;
/// Cells along the long side, and by how much a channel differs between them.
const OCTAVES: [(usize, f32); 4] = [(8, 90.0), (32, 45.0), (128, 22.0), (512, 12.0)];
const DISCS: usize = 25;
const GRAIN: f32 = 5.5;

/// How ffmpeg writes a JPEG of about 3 MB, and one of about 5.
const JPEG: [&str; 4] = ["-q:v", "2", "-pix_fmt", "yuvj420p"];
const LARGE: [&str; 6] = ["-qmin", "1", "-q:v", "1", "-pix_fmt", "yuvj420p"];

/// The first `count` photos; made where they are not yet.
pub(super) fn photos(count: usize) -> Result<Vec<PathBuf>> {
    let folder = folder()?;
    let how = |number| -> (_, &[&str]) {
        match number {
            5 | 12 => ("png", &["-compression_level", "3"]),
            8 | 17 => ("webp", &["-quality", "90"]),
            _ => ("jpg", &JPEG),
        }
    };
    let one = |number| photo(&folder, &format!("p{number:02}"), number, how(number));
    (0..count).map(one).collect()
}

/// One with more bytes than most that people upload.
pub(super) fn large() -> Result<PathBuf> {
    photo(&folder()?, "large", 1, ("jpg", &LARGE))
}

fn folder() -> Result<PathBuf> {
    let cache = std::env::var_os("CARILLON_CACHE").map(PathBuf::from);
    let cache =
        cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/carillon")));
    let folder = cache.context("neither CARILLON_CACHE nor HOME is set")?.join("bench/photos");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn photo(folder: &Path, name: &str, seed: usize, (kind, how): (&str, &[&str])) -> Result<PathBuf> {
    let file = folder.join(format!("{name}.{kind}"));
    if file.exists() {
        return Ok(file);
    }
    let (width, height) = if seed.is_multiple_of(3) { (SHORT, LONG) } else { (LONG, SHORT) };
    let pixels = paint(&mut Random(1_000 + seed as u64), width, height);
    // Under another name first: one that was cut short must not look whole.
    let unfinished = folder.join(format!("new.{kind}"));
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"])
        .args(["-s", &format!("{width}x{height}"), "-i", "-"])
        .args(how)
        .arg(&unfinished)
        .stdin(Stdio::piped())
        .spawn()
        .context("ffmpeg does not start (Debian: ffmpeg)")?;
    ffmpeg.stdin.take().context("no stdin")?.write_all(&pixels)?;
    ensure!(ffmpeg.wait()?.success(), "ffmpeg did not write a photo; its message is above");
    std::fs::rename(unfinished, &file)?;
    Ok(file)
}

fn paint(random: &mut Random, width: usize, height: usize) -> Vec<u8> {
    let mut pixels = vec![0f32; width * height * 3];
    for (row, line) in pixels.chunks_exact_mut(width * 3).enumerate() {
        line.fill(60.0 * row as f32 / height as f32);
    }
    for (cells, strength) in OCTAVES {
        noise(random, &mut pixels, width, LONG / cells, strength);
    }
    for _ in 0..DISCS {
        disc(random, &mut pixels, width, height);
    }
    for pixel in pixels.as_chunks_mut::<3>().0 {
        // Nearly normal: twelve uniform numbers have a variance of one.
        let grain = GRAIN * (0..12).map(|_| random.unit() - 0.5).sum::<f32>();
        pixel.iter_mut().for_each(|channel| *channel += grain);
    }
    pixels.iter().map(|value| value.clamp(0.0, 255.0) as u8).collect()
}

/// Random colours on a grid, and smooth ones between.
fn noise(random: &mut Random, pixels: &mut [f32], width: usize, cell: usize, strength: f32) {
    let height = pixels.len() / 3 / width;
    let (across, down) = (width / cell + 2, height / cell + 2);
    let grid: Vec<f32> = (0..across * down * 3).map(|_| random.unit() * strength).collect();
    let smooth = |at: usize| {
        let part = (at % cell) as f32 / cell as f32;
        part * part * (3.0 - 2.0 * part)
    };
    for y in 0..height {
        let (top, v) = (y / cell * across, smooth(y));
        for x in 0..width {
            let (left, u) = (x / cell, smooth(x));
            for channel in 0..3 {
                let of = |row: usize, column: usize| grid[(row + column) * 3 + channel];
                let above = of(top, left) * (1.0 - u) + of(top, left + 1) * u;
                let below = of(top + across, left) * (1.0 - u) + of(top + across, left + 1) * u;
                pixels[(y * width + x) * 3 + channel] += above * (1.0 - v) + below * v;
            }
        }
    }
}

fn disc(random: &mut Random, pixels: &mut [f32], width: usize, height: usize) {
    let (x, y) = (random.below(width), random.below(height));
    let radius = 40 + random.below(460);
    let colour = [(); 3].map(|()| (random.unit() - 0.5) * 120.0);
    for row in y.saturating_sub(radius)..height.min(y + radius) {
        let reach = (radius.pow(2) - row.abs_diff(y).pow(2)).isqrt();
        for column in x.saturating_sub(reach)..width.min(x + reach) {
            let at = (row * width + column) * 3;
            pixels[at..at + 3].iter_mut().zip(colour).for_each(|(p, c)| *p += c);
        }
    }
}

/// Numbers that follow from a seed (splitmix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.draw() % bound as u64) as usize
    }

    /// 0 to 1.
    pub(super) fn unit(&mut self) -> f32 {
        (self.draw() >> 40) as f32 / (1 << 24) as f32
    }
}
