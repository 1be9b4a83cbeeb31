//! The odd files: those that ffmpeg makes, those that are written here byte by byte, and what
//! becomes of each.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use bytes::Bytes;

use crate::support::picture;

/// How it ends with a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum End {
    /// It can be put into posts, and has this width and height as it is seen.
    Ready(i64, i64),
    /// It is taken, and found to be unusable: words of the reason.
    Failed(&'static str),
    /// It is not taken: the code of the refusal.
    Refused(&'static str),
}
use End::{Failed, Ready, Refused};

pub(super) struct Odd {
    pub name: String,
    pub data: Bytes,
    pub end: End,
}

/// Of each the name, what ffmpeg is told with the words of `WORDS`, and the end.
#[rustfmt::skip]
const MADE: &[(&str, &str, End)] = &[
    ("gray.png", "P -frames:v 1 -pix_fmt gray -c:v png -f image2", Ready(64, 48)),
    ("gray-16.png", "P -frames:v 1 -pix_fmt gray16be -c:v png -f image2", Ready(64, 48)),
    ("gray-alpha.png", "P -frames:v 1 -pix_fmt ya8 -c:v png -f image2", Ready(64, 48)),
    ("alpha.png", "P -frames:v 1 -pix_fmt rgba -c:v png -f image2", Ready(64, 48)),
    ("16-bit.png", "P -frames:v 1 -pix_fmt rgb48be -c:v png -f image2", Ready(64, 48)),
    ("16-bit-alpha.png", "P -frames:v 1 -pix_fmt rgba64be -c:v png -f image2", Ready(64, 48)),
    ("palette.png", "P -frames:v 1 -pix_fmt pal8 -c:v png -f image2", Ready(64, 48)),
    ("two-colours.png", "P -frames:v 1 -pix_fmt monob -c:v png -f image2", Ready(64, 48)),
    ("moving.png", "P -c:v apng -f apng", Ready(64, 48)),
    ("long.png", "P -frames:v 1 -vf scale=100000:1 -c:v png -f image2", Refused("media_too_many_pixels")),
    ("thin.png", "P -frames:v 1 -vf scale=1:9000 -c:v png -f image2", Ready(1, 9000)),
    ("444.jpg", "P -frames:v 1 -pix_fmt yuvj444p -c:v mjpeg -f image2", Ready(64, 48)),
    ("422.jpg", "P -frames:v 1 -pix_fmt yuvj422p -c:v mjpeg -f image2", Ready(64, 48)),
    ("lossy.webp", "P -frames:v 1 -c:v libwebp -f webp", Ready(64, 48)),
    ("lossless.webp", "P -frames:v 1 -c:v libwebp -lossless 1 -f webp", Ready(64, 48)),
    ("alpha.webp", "P -frames:v 1 -pix_fmt yuva420p -c:v libwebp -f webp", Ready(64, 48)),
    ("moving.webp", "P -c:v libwebp_anim -loop 0 -f webp", Ready(64, 48)),
    ("still.gif", "P -frames:v 1 -f gif", Ready(64, 48)),
    ("moving.gif", "P -f gif", Ready(64, 48)),
    ("still.avif", "P -frames:v 1 -c:v libaom-av1 -cpu-used 8 -still-picture 1 -f avif", Refused("media_type")),
    ("picture.tiff", "P -frames:v 1 -c:v tiff -f image2", Refused("media_type")),
    ("picture.bmp", "P -frames:v 1 -c:v bmp -f image2", Refused("media_type")),
    ("picture.jp2", "P -frames:v 1 -c:v jpeg2000 -f image2", Refused("media_type")),
    ("picture.jxl", "P -frames:v 1 -c:v libjxl -f image2", Refused("media_type")),
    ("picture.ppm", "P -frames:v 1 -c:v ppm -f image2", Refused("media_type")),
    ("picture.ico", "P -frames:v 1 -c:v bmp -f ico", Refused("media_type")),
    ("index-first.mp4", "V H -movflags +faststart -f mp4", Ready(64, 48)),
    ("pieces.mp4", "V H -movflags frag_keyframe+empty_moov -f mp4", Ready(64, 48)),
    ("apple.m4v", "V H -f ipod", Ready(64, 48)),
    ("old-phone.3gp", "-f lavfi -i testsrc2=size=176x144:rate=10:duration=1 -c:v h263 -f 3gp", Ready(176, 144)),
    ("422.mp4", "V -c:v libx264 -preset ultrafast -pix_fmt yuv422p -f mp4", Ready(64, 48)),
    ("444.mp4", "V -c:v libx264 -preset ultrafast -pix_fmt yuv444p -f mp4", Ready(64, 48)),
    ("10-bit.mp4", "V -c:v libx264 -preset ultrafast -pix_fmt yuv420p10le -f mp4", Ready(64, 48)),
    ("hevc.mp4", "V -c:v libx265 -preset ultrafast -x265-params log-level=error -f mp4", Ready(64, 48)),
    ("hlg.mov", "V -c:v libx265 -preset ultrafast -x265-params log-level=error:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc -pix_fmt yuv420p10le -tag:v hvc1 -f mov", Ready(64, 48)),
    ("mpeg4.mp4", "V -c:v mpeg4 -f mp4", Ready(64, 48)),
    ("mjpeg.mov", "V -c:v mjpeg -pix_fmt yuvj422p -f mov", Ready(64, 48)),
    ("prores.mov", "V -c:v prores_ks -pix_fmt yuva444p10le -f mov", Ready(64, 48)),
    ("animation.mov", "V -c:v qtrle -f mov", Ready(64, 48)),
    ("raw.mov", "V -c:v rawvideo -pix_fmt rgb24 -f mov", Ready(64, 48)),
    ("vp8.webm", "V -c:v libvpx -deadline realtime -cpu-used 8 -f webm", Ready(64, 48)),
    ("vp9-alpha.webm", "V -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuva420p -f webm", Ready(64, 48)),
    ("av1.mkv", "V -c:v libaom-av1 -cpu-used 8 -usage realtime -f matroska", Ready(64, 48)),
    ("theora.mkv", "V -c:v libtheora -f matroska", Ready(64, 48)),
    ("fields.mp4", "V -c:v libx264 -preset ultrafast -flags +ilme+ildct -pix_fmt yuv420p -f mp4", Ready(64, 48)),
    ("wide-pixels.mp4", "V -vf setsar=4/3 H -f mp4", Ready(85, 48)),
    ("odd-sides.mkv", "-f lavfi -i testsrc=size=65x49:rate=10:duration=1 -c:v ffv1 -f matroska", Ready(65, 49)),
    ("smallest.mkv", "-f lavfi -i testsrc=size=2x2:rate=10:duration=1 -c:v ffv1 -f matroska", Ready(2, 2)),
    ("ribbon.mkv", "-f lavfi -i color=size=8000x2:rate=10:duration=1 -c:v ffv1 -f matroska", Ready(8000, 2)),
    ("varying.mp4", "V -vf select=not(mod(n\\,3))+lt(n\\,5) -vsync vfr H -f mp4", Ready(64, 48)),
    ("slow.mp4", "-f lavfi -i testsrc2=size=64x48:rate=1/2:duration=6 H -f mp4", Ready(64, 48)),
    ("fast.mp4", "-f lavfi -i testsrc2=size=64x48:rate=1000:duration=0.2 H -f mp4", Ready(64, 48)),
    ("ntsc.mp4", "-f lavfi -i testsrc2=size=64x48:rate=30000/1001:duration=1 H -f mp4", Ready(64, 48)),
    ("one-picture.mp4", "V -frames:v 1 H -f mp4", Ready(64, 48)),
    ("late.mp4", "-itsoffset 0.7 -f lavfi -i testsrc2=size=64x48:rate=10:duration=1 H -f mp4", Ready(64, 48)),
    ("surround.mp4", "V A -ac 6 -c:a aac H -shortest -f mp4", Ready(64, 48)),
    ("narrow.mp4", "V A -ac 1 -ar 8000 -c:a aac H -shortest -f mp4", Ready(64, 48)),
    ("pcm.mov", "V A -c:a pcm_s16le H -shortest -f mov", Ready(64, 48)),
    ("opus.mp4", "V A -c:a libopus H -shortest -f mp4", Ready(64, 48)),
    ("flac.mkv", "V A -c:a flac H -shortest -f matroska", Ready(64, 48)),
    ("mp3.mp4", "V A -c:a libmp3lame H -shortest -f mp4", Ready(64, 48)),
    ("ac3.mov", "V A -c:a ac3 H -shortest -f mov", Ready(64, 48)),
    ("silence.mp4", "V -f lavfi -i anullsrc -c:a aac H -shortest -f mp4", Ready(64, 48)),
    ("two-pictures.mp4", "V V -map 0 -map 1 H -f mp4", Ready(64, 48)),
    ("sound.mp4", "A -c:a aac -f mp4", Failed("sound and no picture")),
    ("sound-with-cover.mp4", "A P -map 0 -map 1 -frames:v 1 -c:a aac -c:v mjpeg -disposition:v attached_pic -f mp4", Failed("sound and no picture")),
    ("sound.m4a", "A -c:a aac -f ipod", Refused("media_type")),
    ("sound.webm", "A -c:a libopus -f webm", Failed("sound and no picture")),
    ("no-pictures.mp4", "V -frames:v 0 H -f mp4", Failed("")),
    ("film.avi", "V -c:v mpeg4 -f avi", Refused("media_type")),
    ("film.ts", "V H -f mpegts", Refused("media_type")),
    ("film.flv", "V H -f flv", Refused("media_type")),
    ("film.ogv", "V -c:v libtheora -f ogg", Refused("media_type")),
    ("film.wmv", "V -c:v wmv2 -f asf", Refused("media_type")),
    ("film.mpg", "-f lavfi -i testsrc2=size=64x48:rate=25:duration=1 -c:v mpeg2video -f mpeg", Refused("media_type")),
];

/// Sources and a codec that stand in `MADE` by a letter.
const WORDS: [(&str, &str); 4] = [
    ("P", "-f lavfi -i testsrc=size=64x48:rate=5:duration=1"),
    ("V", "-f lavfi -i testsrc2=size=64x48:rate=10:duration=1"),
    ("A", "-f lavfi -i sine=frequency=440:duration=1"),
    ("H", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p"),
];

/// Every file, made once a run.
pub(super) static ALL: LazyLock<Vec<Odd>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let made = MADE.iter().map(|&(name, told, end)| odd(name, made(dir.path(), name, told), end));
    let mut all: Vec<Odd> = made.collect();
    let of = |name: &str| all.iter().find(|f| f.name == name).expect(name).data.to_vec();
    let written = [pictures(of), videos(of), strangers()].concat();
    all.extend(written.into_iter().map(|(name, data, end)| odd(&name, data, end)));
    all
});

fn odd(name: &str, data: Vec<u8>, end: End) -> Odd {
    Odd { name: name.to_owned(), data: data.into(), end }
}

fn made(dir: &Path, name: &str, told: &str) -> Vec<u8> {
    let all = told.split(' ').flat_map(|word| {
        let known = WORDS.iter().find(|(w, _)| *w == word);
        known.map_or(word, |(_, all)| all).split(' ')
    });
    let file = dir.join(name);
    let said = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "error", "-y"])
        .args(all)
        .arg(&file)
        .output()
        .expect("ffmpeg runs: scripts/install video");
    assert!(said.status.success(), "{name}: {}", String::from_utf8_lossy(&said.stderr));
    std::fs::read(file).unwrap()
}

type Written = Vec<(String, Vec<u8>, End)>;

fn pictures(of: impl Fn(&str) -> Vec<u8>) -> Written {
    let photo = picture(64, 48);
    let half = |data: &[u8]| data[..data.len() / 2].to_vec();
    // As it is seen: the orientations from 5 on lie on their side.
    let turned = (1..=8).map(|o| {
        let end = if o >= 5 { Ready(48, 64) } else { Ready(64, 48) };
        (format!("turned-{o}.jpg"), turned(&photo, o), end)
    });
    let png = of("alpha.png");
    let mut spoilt = png.clone();
    let middle = spoilt.len() / 2;
    spoilt[middle] ^= 0xFF;
    let sized = |data: &[u8], at: usize, size: &[u8]| {
        let mut data = data.to_vec();
        data[at..at + size.len()].copy_from_slice(size);
        data
    };
    let gif = of("still.gif");
    let webp = of("lossless.webp");
    let mut all: Written = turned.collect();
    all.extend(
        [
            ("inks.jpg", coded(jpeg_encoder::ColorType::Cmyk, 4, false), Ready(40, 30)),
            ("grey.jpg", coded(jpeg_encoder::ColorType::Luma, 1, false), Ready(40, 30)),
            ("progressive.jpg", coded(jpeg_encoder::ColorType::Rgb, 3, true), Ready(40, 30)),
            ("smallest.jpg", picture(1, 1), Ready(1, 1)),
            ("tail.jpg", [&photo[..], b"<?php system($_GET['c']); ?>"].concat(), Ready(64, 48)),
            ("half.jpg", half(&photo), Failed("ends before the picture does")),
            ("half.png", half(&png), Failed("cannot be read")),
            ("half.webp", half(&webp), Refused("media_broken")),
            ("half.gif", half(&gif), Failed("cannot be read")),
            ("spoilt.png", spoilt, Failed("cannot be read")),
            ("claims-all.jpg", claims(&photo, 65_500), Refused("media_too_many_pixels")),
            ("claims-more.jpg", claims(&photo, 9_000), Failed("ends before the picture does")),
            ("claims-all.gif", sized(&gif, 6, &[0xFF; 4]), Refused("media_too_many_pixels")),
            ("folded.png", folded(&png), Failed("cannot be read")),
            ("signature.png", png[..8].to_vec(), Refused("media_broken")),
            ("signature.gif", gif[..6].to_vec(), Refused("media_broken")),
            ("signature.webp", webp[..12].to_vec(), Refused("media_broken")),
        ]
        .map(|(name, data, end)| (name.to_owned(), data, end)),
    );
    all
}

/// A JPEG with an Exif block that says how it is to be turned.
fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let entry = [0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
    let exif = [&b"Exif\0\0MM\0*\0\0\0\x08"[..], &entry].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, &exif, &jpeg[2..]].concat()
}

fn coded(colours: jpeg_encoder::ColorType, channels: usize, progressive: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, 90);
    encoder.set_progressive(progressive);
    let pixels: Vec<u8> = (0..40 * 30 * channels).map(|i| (i * 7) as u8).collect();
    encoder.encode(&pixels, 40, 30, colours).expect("a JPEG");
    file
}

/// A JPEG whose frame says that it has this width and height.
fn claims(jpeg: &[u8], side: u16) -> Vec<u8> {
    let mut file = jpeg.to_vec();
    let frame = file.windows(2).position(|w| w == [0xFF, 0xC0]).expect("a frame");
    let side = side.to_be_bytes();
    file[frame + 5..frame + 9].copy_from_slice(&[side, side].concat());
    file
}

/// A PNG of a few pixels by its header, with the check sum right, that unfolds to many more.
fn folded(png: &[u8]) -> Vec<u8> {
    let mut file = png.to_vec();
    file[16..24].copy_from_slice(&[0, 0, 0, 3, 0, 0, 0, 3]);
    let sum = crc(&file[12..29]).to_be_bytes();
    file[29..33].copy_from_slice(&sum);
    file
}

fn crc(data: &[u8]) -> u32 {
    !data.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 }
        })
    })
}

fn videos(of: impl Fn(&str) -> Vec<u8>) -> Written {
    let whole = of("index-first.mp4");
    let late = of("pcm.mov");
    let half = |data: &[u8]| data[..data.len() / 2].to_vec();
    let among = |data: &[u8], fill: fn(usize) -> u8| {
        let mut data = data.to_vec();
        let (from, to) = (data.len() / 3, data.len() * 2 / 3);
        data[from..to].iter_mut().enumerate().for_each(|(i, b)| *b = fill(i));
        data
    };
    let noise = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 24) as u8;
    let head = whole[..32].to_vec();
    let playlist =
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n";
    let script = b"ffconcat version 1.0\nfile /etc/passwd\nduration 1\n";
    let behind = |list: &[u8]| [&head[..], list].concat();
    let atom = |size: u64, name: &[u8; 4]| {
        [&head[..], &[0, 0, 0, 1], &name[..], &size.to_be_bytes(), &[0; 64]].concat()
    };
    [
        ("half-index-last.mov", half(&late), Failed("cut short")),
        ("half-index-first.mp4", half(&whole), Failed("cannot be used")),
        ("half.webm", half(&of("vp8.webm")), Failed("not one picture")),
        ("half.mkv", half(&of("flac.mkv")), Ready(64, 48)),
        ("zeros-within.mov", among(&of("raw.mov"), |_| 0), Ready(64, 48)),
        ("noise-within.mov", among(&of("prores.mov"), noise), Ready(64, 48)),
        ("noise-within.webm", among(&of("vp9-alpha.webm"), noise), Ready(64, 48)),
        ("beginning.mp4", head.clone(), Failed("cut short")),
        ("playlist.mp4", playlist.to_vec(), Refused("media_type")),
        ("playlist-behind.mp4", behind(playlist), Failed("cannot be used")),
        ("script.mkv", script.to_vec(), Refused("media_type")),
        ("script-behind.mp4", behind(script), Failed("cannot be used")),
        ("endless-index.mp4", atom(u64::MAX / 2, b"moov"), Failed("cannot be used")),
        ("endless-data.mp4", atom(u64::MAX / 2, b"mdat"), Failed("cannot be used")),
        (
            "signature.webm",
            b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm".to_vec(),
            Failed("cannot be used"),
        ),
    ]
    .map(|(name, data, end)| (name.to_owned(), data, end))
    .into()
}

/// What is neither.
fn strangers() -> Written {
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>";
    [
        ("empty.jpg", Vec::new(), Refused("media_empty")),
        ("one-byte.png", vec![0x89], Refused("media_type")),
        ("page.jpg", b"<!doctype html><script>alert(1)</script>".to_vec(), Refused("media_type")),
        ("drawing.svg", svg.to_vec(), Refused("media_type")),
        ("paper.pdf", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n".to_vec(), Refused("media_type")),
        ("folder.zip", b"PK\x03\x04\x14\0\0\0\0\0".to_vec(), Refused("media_type")),
        ("program.png", [&b"\x7fELF\x02\x01\x01\0"[..], &[0; 120]].concat(), Refused("media_type")),
        ("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(), Refused("media_type")),
        ("zeros.mp4", vec![0; 4_096], Refused("media_type")),
    ]
    .map(|(name, data, end)| (name.to_owned(), data, end))
    .into()
}
