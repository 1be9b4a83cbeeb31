//! What comes out: sizes, shapes, colours, bytes. `inputs` tests what goes in; `files` makes every
//! file in code.

mod files;
mod inputs;

use std::collections::BTreeSet;

use jpeg_encoder::SamplingFactor;

use super::*;
use crate::probe::{self, Probe};
use files::{Side, chunk, exif, jpeg, photo, png, profile, quadrants, samples};

const LIMITS: Limits = Limits { max_pixels: 100_000_000, max_side: 30_000 };

fn decode(data: &[u8]) -> Result<Picture, PictureError> {
    Picture::decode(data, &LIMITS)
}

/// Shapes that networks ask for: upright, a story, a landscape.
const SIZES: [(u32, u32); 3] = [(1080, 1350), (1080, 1920), (1920, 1080)];

fn cut(data: &[u8], fit: Fit) -> Vec<Jpeg> {
    decode(data).unwrap().cut(&SIZES, fit).unwrap()
}

/// The colour of the middle of each quarter, reading order.
fn quarters(jpeg: &Jpeg) -> Vec<[u8; 3]> {
    let picture = decode(&jpeg.data).unwrap();
    assert_eq!((picture.width, picture.height), (jpeg.width, jpeg.height));
    let (pixels, _) = picture.pixels.as_chunks::<3>();
    let at = |x: u32, y: u32| pixels[(y * picture.width + x) as usize];
    let (w, h) = (picture.width / 4, picture.height / 4);
    vec![at(w, h), at(3 * w, h), at(w, 3 * h), at(3 * w, 3 * h)]
}

fn assert_close(found: &[[u8; 3]], expected: &[[u8; 3]], tolerance: u8) {
    assert_eq!(found.len(), expected.len());
    let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= tolerance;
    let all = found.as_flattened().iter().zip(expected.as_flattened()).all(near);
    assert!(all, "{found:?} is not near {expected:?}");
}

const QUARTERS: [[u8; 3]; 4] = [[220, 30, 30], [30, 200, 30], [30, 30, 220], [230, 220, 40]];

/// Exif 2.32, tag 0x0112: of 1 to 8 the side of the seen picture at which the stored first row and
/// the first column lie.
const ORIENTATIONS: [(Side, Side); 8] = [
    (Side::Top, Side::Left),
    (Side::Top, Side::Right),
    (Side::Bottom, Side::Right),
    (Side::Bottom, Side::Left),
    (Side::Left, Side::Top),
    (Side::Right, Side::Top),
    (Side::Right, Side::Bottom),
    (Side::Left, Side::Bottom),
];

#[test]
fn every_orientation_is_shown_upright() {
    for (orientation, (row, column)) in (1..).zip(ORIENTATIONS) {
        let (width, height, pixels) = quadrants(64, 48, &QUARTERS, row, column);
        let file = jpeg(&pixels, width, height, |e| {
            e.add_exif_metadata(&exif(orientation)).unwrap();
        });
        let expected =
            Probe { kind: Kind::Jpeg, width: 64, height: 48, orientation, animated: false };
        assert_eq!(probe::probe(&file), Ok(expected));
        let small = thumbnail(&file, 40, &LIMITS).unwrap();
        assert_eq!((small.width, small.height), (40, 30), "orientation {orientation}");
        assert_close(&quarters(&small), &QUARTERS, 12);
        if orientation == 6 {
            for jpeg in cut(&file, Fit::MIDDLE) {
                assert_close(&quarters(&jpeg), &QUARTERS, 12);
            }
        }
    }
}

#[test]
fn png_and_webp_state_their_orientation_too() {
    let (width, height, pixels) = quadrants(64, 48, &QUARTERS, Side::Right, Side::Top);
    let raw = samples(width, height, 8, false, |x, y| {
        pixels[((y * width + x) * 3) as usize..][..3].iter().map(|v| u16::from(*v)).collect()
    });
    let with_exif = png(width, height, 8, 2, false, &[chunk(b"eXIf", &exif(6))], &raw);
    let mut webp = Vec::new();
    let mut encoder = image_webp::WebPEncoder::new(&mut webp);
    encoder.set_exif_metadata(exif(6));
    encoder.encode(&pixels, width, height, image_webp::ColorType::Rgb8).unwrap();
    for file in [with_exif, webp] {
        let found = probe::probe(&file).unwrap();
        assert_eq!((found.width, found.height, found.orientation), (64, 48, 6));
        assert_close(&quarters(&thumbnail(&file, 64, &LIMITS).unwrap()), &QUARTERS, 12);
    }
}

#[test]
fn derivatives_have_their_sizes_and_no_metadata() {
    let (width, height, pixels) = quadrants(300, 200, &QUARTERS, Side::Top, Side::Left);
    let file = jpeg(&pixels, width, height, |e| {
        e.add_exif_metadata(&exif(1)).unwrap();
        e.add_icc_profile(&profile([0.6, 0.3, 0.1])).unwrap();
        e.add_app_segment(1, b"http://ns.adobe.com/xap/1.0/\0<x/>".to_vec()).unwrap();
        e.add_app_segment(13, b"Photoshop 3.0\0secret".to_vec()).unwrap();
    });
    let made = cut(&file, Fit::MIDDLE);
    let found: Vec<_> = made.iter().map(|jpeg| (jpeg.width, jpeg.height)).collect();
    assert_eq!(found, SIZES);
    for jpeg in made.iter().chain(&[thumbnail(&file, 99, &LIMITS).unwrap()]) {
        let picture = decode(&jpeg.data).unwrap();
        assert_eq!((picture.width, picture.height), (jpeg.width, jpeg.height));
        let markers: BTreeSet<u8> = probe::segments(&jpeg.data)
            .take_while(|s| s.marker != 0xDA)
            .inspect(|s| match s.marker {
                0xE0 => assert!(s.body.starts_with(b"JFIF\0") && s.body.len() == 14),
                0xC0 => assert_eq!(s.body[5..], [3, 0, 0x22, 0, 1, 0x11, 1, 2, 0x11, 1], "4:2:0"),
                _ => {}
            })
            .map(|s| s.marker)
            .collect();
        assert_eq!(markers, BTreeSet::from([0xC0, 0xC4, 0xDB, 0xE0]));
        for secret in [&b"Exif"[..], b"secret", b"ICC_PROFILE", b"adobe", b"Photoshop"] {
            assert!(file.windows(secret.len()).any(|w| w == secret));
            assert!(!jpeg.data.windows(secret.len()).any(|w| w == secret));
        }
    }
}

#[test]
fn derivatives_match_a_textbook_resize() {
    let (width, height) = (1600, 1200);
    let pixels = photo(width, height);
    let file = jpeg(&pixels, width, height, |_| {});
    let source = decode(&file).unwrap();
    for jpeg in cut(&file, Fit::MIDDLE) {
        let picture = decode(&jpeg.data).unwrap();
        let scale = (f64::from(width) / f64::from(jpeg.width))
            .min(f64::from(height) / f64::from(jpeg.height));
        let left = (f64::from(width) - f64::from(jpeg.width) * scale) / 2.0;
        let top = (f64::from(height) - f64::from(jpeg.height) * scale) / 2.0;
        let (mut error, mut count) = (0.0, 0.0);
        // A lattice of single pixels, off the grid of blocks, stands for all of them.
        for y in (3..jpeg.height).step_by(29) {
            for x in (5..jpeg.width).step_by(23) {
                let centre = |at: u32, from: f64| from + (f64::from(at) + 0.5) * scale;
                let expected =
                    files::lanczos(&source.pixels, width, centre(x, left), centre(y, top), scale);
                let found = &picture.pixels[((y * jpeg.width + x) * 3) as usize..][..3];
                for (found, expected) in found.iter().zip(expected) {
                    error += (f64::from(*found) - expected).powi(2);
                    count += 1.0;
                }
            }
        }
        let psnr = 10.0 * (255.0 * 255.0 * count / error).log10();
        assert!(psnr >= 37.0, "{} × {}: {psnr:.1} dB", jpeg.width, jpeg.height);
    }
}

#[test]
fn derivatives_of_any_shape_are_made() {
    for (width, height) in [(1, 1), (1, 3000), (3000, 1)] {
        let pixels = [90, 160, 40].repeat((width * height) as usize);
        for jpeg in cut(&jpeg(&pixels, width, height, |_| {}), Fit::MIDDLE) {
            assert_close(&quarters(&jpeg), &[[90, 160, 40]; 4], 4);
        }
    }
}

/// However it is stored, the focus is where people see it.
#[test]
fn the_focus_stays_in_view() {
    let [red, blue] = [[220, 30, 30], [30, 30, 220]];
    for (orientation, (row, column)) in (1..).zip(ORIENTATIONS) {
        let colours = [red, blue, red, blue];
        let (width, height, pixels) = quadrants(640, 160, &colours, row, column);
        let file = jpeg(&pixels, width, height, |e| {
            e.add_exif_metadata(&exif(orientation)).unwrap();
        });
        for (x, colour) in [(0, red), (20, red), (80, blue), (100, blue)] {
            for jpeg in cut(&file, Fit::Around { x, y: 50 }) {
                assert_close(&quarters(&jpeg), &[colour; 4], 6);
            }
        }
    }
}

#[test]
fn a_padded_picture_is_all_there_on_a_ground_of_its_colours() {
    let (width, height) = (600, 300);
    let pixels = [90, 160, 40].repeat((width * height) as usize);
    let file = jpeg(&pixels, width, height, |_| {});
    for (made, size) in cut(&file, Fit::Pad).into_iter().zip(SIZES) {
        assert_eq!((made.width, made.height), size);
        assert_close(&quarters(&made), &[[90, 160, 40]; 4], 4);
    }
    // What a crop would cut off is there: the left and right end of a wide picture.
    let (wide, high, pixels) = quadrants(600, 300, &QUARTERS, Side::Top, Side::Left);
    let file = jpeg(&pixels, wide, high, |_| {});
    let [_, story, _] = &cut(&file, Fit::Pad)[..] else { panic!("one of each") };
    let picture = decode(&story.data).unwrap();
    let at = |x: u32, y: u32| {
        let at = ((y * story.width + x) * 3) as usize;
        <[u8; 3]>::try_from(&picture.pixels[at..at + 3]).unwrap()
    };
    let (middle, ends) = (story.height / 2, [20, story.width - 20]);
    let found = [
        at(ends[0], middle - 100),
        at(ends[1], middle - 100),
        at(ends[0], middle + 100),
        at(ends[1], middle + 100),
    ];
    assert_close(&found, &QUARTERS, 6);
}

#[test]
fn wide_colours_are_brought_to_srgb() {
    let p3 = [0.515_12, 0.291_98, 0.1571];
    for (from, to) in
        [([200, 100, 50], [215, 93, 31]), ([60, 180, 220], [0, 183, 225]), ([128; 3], [128; 3])]
    {
        let pixels = from.repeat(32 * 32);
        let file = jpeg(&pixels, 32, 32, |e| e.add_icc_profile(&profile(p3)).unwrap());
        assert_close(&quarters(&thumbnail(&file, 32, &LIMITS).unwrap()), &[to; 4], 4);
    }
    let srgb = [0.436_07, 0.385_15, 0.143_07];
    assert!(colour::ToSrgb::from_profile(&profile(srgb)).is_none(), "sRGB needs no conversion");
    let whole = profile(p3);
    assert!(colour::ToSrgb::from_profile(&whole).is_some());
    for length in 0..whole.len() {
        assert!(colour::ToSrgb::from_profile(&whole[..length]).is_none(), "cut at {length}");
    }
}

#[test]
fn fit_gives_up_quality_then_size() {
    let file = jpeg(&photo(900, 600), 900, 600, |e| e.add_exif_metadata(&exif(6)).unwrap());
    let free = fit(&file, u64::MAX, 5000, &LIMITS).unwrap();
    assert_eq!((free.width, free.height), (600, 900), "turned, never enlarged");
    let narrow = fit(&file, u64::MAX, 450, &LIMITS).unwrap();
    assert_eq!((narrow.width, narrow.height), (300, 450));

    let half = free.data.len() as u64 * 2 / 3;
    let squeezed = fit(&file, half, 5000, &LIMITS).unwrap();
    assert!(squeezed.data.len() as u64 <= half);
    assert_eq!((squeezed.width, squeezed.height), (600, 900), "quality was enough");

    let tight = fit(&file, 5000, 5000, &LIMITS).unwrap();
    assert!((2500..=5000).contains(&tight.data.len()), "{} bytes", tight.data.len());
    let ratio = f64::from(tight.width) / f64::from(tight.height);
    assert!((ratio - 2.0 / 3.0).abs() < 0.02, "the shape stays");
    assert_eq!(fit(&file, 100, 5000, &LIMITS), Err(PictureError::DoesNotFit { max_bytes: 100 }));
}

#[test]
fn the_whole_picture_stays_whole_in_any_shape() {
    let pixels = [[200, 40, 40].repeat(1500), [40, 40, 200].repeat(1500)].concat().repeat(3);
    let file = jpeg(&pixels, 3000, 3, |e| e.set_sampling_factor(SamplingFactor::F_1_1));
    for jpeg in [thumbnail(&file, 90, &LIMITS), fit(&file, u64::MAX, 90, &LIMITS)] {
        let jpeg = jpeg.unwrap();
        assert_eq!((jpeg.width, jpeg.height), (90, 1));
        let pixels = decode(&jpeg.data).unwrap().pixels;
        assert_close(&[[pixels[60], pixels[61], pixels[62]]], &[[200, 40, 40]], 12);
        assert_close(&[[pixels[210], pixels[211], pixels[212]]], &[[40, 40, 200]], 12);
    }
}

#[test]
fn errors_say_what_to_do() {
    let errors = [
        PictureError::NotAPicture,
        PictureError::Unsupported(Kind::Heic),
        PictureError::TooManyPixels { width: 9, height: 8, max: 7, max_side: 6 },
        damaged("the file ends before the picture does"),
        PictureError::DoesNotFit { max_bytes: 5 },
    ];
    let sentences: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        sentences,
        [
            "The file is not a picture. Upload a JPEG, PNG, WebP or GIF file.",
            "Pictures of the type `image/heic` cannot be read. Save it as JPEG or PNG and upload that.",
            "The picture has 9 × 8 pixels. At most 7 in all and 6 on a side can be used for its type. \
             Make it smaller and upload it again.",
            "The picture cannot be read: the file ends before the picture does. Export it again and \
             upload the new file.",
            "The picture cannot be brought below 5 bytes. Use a simpler picture.",
        ]
    );
}
