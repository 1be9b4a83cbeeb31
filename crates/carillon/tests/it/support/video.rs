//! Videos made by ffmpeg's own sources, each once a run of the tests.

use std::collections::HashMap;
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use bytes::Bytes;

/// What can be asked for, and what ffmpeg is told to make it of.
const SCENE: [&str; 4] = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30:duration=2"];
const UPRIGHT: [&str; 4] = ["-f", "lavfi", "-i", "testsrc2=size=180x320:rate=30:duration=3"];
const TONE: [&str; 5] = ["-f", "lavfi", "-i", "sine=frequency=440:duration=3", "-shortest"];
const H264: [&str; 6] = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"];
/// What must not leave the house.
pub const SECRET: &str = "51.5074";

fn arguments(name: &str) -> (Vec<&'static str>, &'static str) {
    let place = ["-metadata", "location=+51.5074-000.1278/", "-metadata", "title=51.5074"];
    let hdr = [
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
        "-pix_fmt",
        "yuv420p10le",
        "-t",
        "1",
    ];
    let vp9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"];
    let opus = ["-c:a", "libopus", "-t", "1"];
    let varying = ["-vf", "select='not(mod(n,3))+lt(n,20)'", "-vsync", "vfr"];
    match name {
        "plain.mp4" => ([&SCENE[..], &TONE, &H264, &place].concat(), "mp4"),
        // Three seconds, as reels want them at least, and smaller than any reel may be.
        "upright.mp4" => ([&UPRIGHT[..], &TONE, &H264, &place].concat(), "mp4"),
        "silent.mov" => ([&SCENE[..], &H264].concat(), "mov"),
        "film.mkv" => ([&SCENE[..], &TONE, &H264].concat(), "matroska"),
        "film.webm" => ([&SCENE[..], &TONE, &vp9, &opus].concat(), "webm"),
        "hdr.mp4" => ([&SCENE[..], &hdr].concat(), "mp4"),
        "varying.mp4" => ([&SCENE[..], &varying, &H264].concat(), "mp4"),
        "turned.mp4" => ([&SCENE[..], &H264].concat(), "mp4"),
        "odd.mkv" => (
            vec!["-f", "lavfi", "-i", "testsrc=size=321x243:rate=12:duration=1", "-c:v", "ffv1"],
            "matroska",
        ),
        "sound.mp4" => (vec!["-f", "lavfi", "-i", TONE[3], "-c:a", "aac", "-t", "1"], "mp4"),
        // So much noise that it has to go up in pieces.
        "noise.mp4" => (
            vec![
                "-f",
                "lavfi",
                "-i",
                "testsrc2=size=640x360:rate=30:duration=5,noise=alls=100:allf=t",
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-pix_fmt",
                "yuv420p",
                "-b:v",
                "20M",
                "-maxrate",
                "20M",
                "-bufsize",
                "2M",
            ],
            "mp4",
        ),
        _ => panic!("no video is called {name}"),
    }
}

/// The bytes of a video; its name says which.
pub fn video(name: &'static str) -> Bytes {
    type Once = Arc<OnceLock<Bytes>>;
    static MADE: LazyLock<Mutex<HashMap<&str, Once>>> = LazyLock::new(Mutex::default);
    let cell = MADE.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().clone();
    cell.get_or_init(|| make(name)).clone()
}

fn make(name: &str) -> Bytes {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("video");
    let (arguments, format) = arguments(name);
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "error"])
        .args(arguments)
        .args(["-f", format])
        .arg(&file)
        .output()
        .expect("ffmpeg runs: scripts/install video");
    assert!(made.status.success(), "{name}: {}", String::from_utf8_lossy(&made.stderr));
    let mut data = std::fs::read(file).unwrap();
    if name == "turned.mp4" {
        turn(&mut data);
    }
    data.into()
}

/// Writes a quarter turn into the header of an MP4's first track, as a telephone does; no version of
/// ffmpeg does it as another.
fn turn(mp4: &mut [u8]) {
    let matrix = |m: [i32; 9]| m.into_iter().flat_map(i32::to_be_bytes).collect::<Vec<u8>>();
    let upright = matrix([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30]);
    let quarter = matrix([0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]);
    // The first one is the whole movie's.
    let places = mp4.windows(upright.len()).enumerate().filter(|(_, w)| **w == upright[..]);
    let at = places.map(|(at, _)| at).nth(1).expect("the first track's matrix");
    mp4[at..at + quarter.len()].copy_from_slice(&quarter);
}

/// What ffprobe says of a file, as JSON.
pub fn probe(data: &[u8]) -> serde_json::Value {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, data).unwrap();
    let said = Command::new("ffprobe")
        .args(["-v", "error", "-show_format", "-show_streams", "-of", "json"])
        .arg(file.path())
        .output()
        .expect("ffprobe runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    serde_json::from_slice(&said.stdout).unwrap()
}
