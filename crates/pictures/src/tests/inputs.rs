//! What goes in: every kind of file that is read, and every lie that is refused.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

use super::files::{self, Side, chunk, exploding_png, gif, jpeg, photo, png, quadrants, samples};
use super::*;

#[test]
fn every_kind_of_png_is_read() {
    for (colour, channels, depths) in [
        (0, 1, &[1, 2, 4, 8, 16][..]),
        (2, 3, &[8, 16]),
        (3, 1, &[1, 2, 4, 8]),
        (4, 2, &[8, 16]),
        (6, 4, &[8, 16]),
    ] {
        for (&depth, interlaced) in depths.iter().flat_map(|d| [(d, false), (d, true)]) {
            let most = u32::from(u16::MAX >> (16 - depth));
            let sample = |x: u32, y: u32, c: u32| (x * 37 + y * 91 + c * 53) * 257 % (most + 1);
            let (width, height) = (13, 9);
            let raw = samples(width, height, depth, interlaced, |x, y| {
                (0..channels).map(|c| sample(x, y, c) as u16).collect()
            });
            let palette = |index: u32| [index, 255 - index, index * 7 % 256].map(|v| v as u8);
            let entries: Vec<u8> = (0..=most.min(255)).flat_map(palette).collect();
            let extra = [chunk(b"PLTE", &entries), chunk(b"tRNS", &[0])];
            let extra = if colour == 3 { &extra[..] } else { &[] };
            let picture =
                decode(&png(width, height, depth, colour, interlaced, extra, &raw)).unwrap();
            let (pixels, _) = picture.pixels.as_chunks::<3>();
            for (at, found) in (0..).zip(pixels) {
                let value = |c| sample(at % width, at / width, c);
                let eight = |c| if depth == 16 { value(c) >> 8 } else { value(c) * 255 / most };
                let over = |c, alpha| {
                    ((eight(c) * eight(alpha) + 255 * (255 - eight(alpha)) + 127) / 255) as u8
                };
                let expected = match colour {
                    0 => [eight(0) as u8; 3],
                    2 => [0, 1, 2].map(|c| eight(c) as u8),
                    3 if value(0) == 0 => [255; 3], // its first entry is transparent
                    3 => palette(value(0)),
                    4 => [over(0, 1); 3],
                    _ => [0, 1, 2].map(|c| over(c, 3)),
                };
                assert_eq!(
                    *found, expected,
                    "pixel {at}, colour {colour}, {depth} bits, {interlaced}"
                );
            }
        }
    }
}

#[test]
fn grey_and_ink_jpegs_are_read() {
    let grey = [120; 32 * 32];
    let mut file = Vec::new();
    Encoder::new(&mut file, 95).encode(&grey, 32, 32, ColorType::Luma).unwrap();
    assert_close(&decode(&file).unwrap().pixels.as_chunks().0[..1], &[[120; 3]], 2);
    // Half of cyan, nothing of magenta, all of yellow, a fifth of black.
    let inks = [128, 0, 255, 51].repeat(32 * 32);
    for colours in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, 95);
        encoder.set_sampling_factor(SamplingFactor::F_1_1);
        encoder.encode(&inks, 32, 32, colours).unwrap();
        assert_close(&decode(&file).unwrap().pixels.as_chunks().0[..1], &[[102, 204, 0]], 4);
    }
}

#[test]
fn jpegs_of_all_samplings_and_codings_are_read() {
    for (width, height) in [(64, 48), (33, 31), (129, 17), (16, 200)] {
        let (_, _, pixels) = quadrants(
            width,
            height,
            &[[90; 3], [110; 3], [130; 3], [150; 3]],
            Side::Top,
            Side::Left,
        );
        for factor in [
            SamplingFactor::F_1_1,
            SamplingFactor::F_2_1,
            SamplingFactor::F_1_2,
            SamplingFactor::F_2_2,
        ] {
            for (progressive, restart) in [(false, 0), (false, 3), (true, 0)] {
                let file = jpeg(&pixels, width, height, |e| {
                    e.set_sampling_factor(factor);
                    e.set_progressive(progressive);
                    e.set_restart_interval(restart);
                });
                let found = decode(&file).unwrap().pixels;
                let off =
                    found.iter().zip(&pixels).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
                assert!(
                    off < pixels.len() as u64 * 2,
                    "{width} {height} {factor:?} {progressive} {restart}"
                );
            }
        }
    }
}

#[test]
fn files_that_the_decoder_misreads_are_refused() {
    let pixels = photo(64, 64);
    let separate = jpeg(&pixels, 64, 64, |e| e.set_optimized_huffman_tables(true));
    let mut inks = Vec::new();
    let mut encoder = Encoder::new(&mut inks, 80);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode(&[90; 64 * 64 * 4], 64, 64, ColorType::Cmyk).unwrap();
    for file in [separate, inks] {
        let error = thumbnail(&file, 64, &LIMITS).unwrap_err();
        assert!(matches!(error, PictureError::Damaged(ref why) if why.contains("rare")), "{error}");
    }
}

#[test]
fn webp_and_gif_show_their_first_frame_on_white() {
    let clear = [10, 200, 30, 0].repeat(32 * 32);
    let half = [0, 0, 0, 128].repeat(32 * 32);
    for (pixels, expected) in [(clear, 255), (half, 127)] {
        let mut file = Vec::new();
        let encoder = image_webp::WebPEncoder::new(&mut file);
        encoder.encode(&pixels, 32, 32, image_webp::ColorType::Rgba8).unwrap();
        assert!(decode(&file).unwrap().pixels.iter().all(|v| *v == expected));
    }
    let lossy = decode(files::LOSSY_WEBP).unwrap();
    assert_eq!((lossy.width, lossy.height), (16, 16));
    assert_close(&lossy.pixels.as_chunks().0[100..101], &[[200, 60, 20]], 6);

    // Red and see-through columns of 8 × 8 at (4, 2); the second frame is blue.
    let file = gif(20, 12, &[(4, 2), (0, 0)]);
    assert!(probe::probe(&file).unwrap().animated);
    let picture = decode(&file).unwrap();
    let (pixels, _) = picture.pixels.as_chunks::<3>();
    for (at, pixel) in (0..).zip(pixels) {
        let (x, y) = (at % 20, at / 20);
        let red = (4..12).contains(&x) && (2..10).contains(&y) && x % 2 == 0;
        assert_eq!(*pixel, if red { [255, 0, 0] } else { [255; 3] }, "{x} {y}");
    }
    assert!(!probe::probe(&gif(20, 12, &[(4, 2)])).unwrap().animated);
    assert!(matches!(decode(&gif(20, 12, &[(15, 2)])), Err(PictureError::Damaged(_))));
}

#[test]
fn bombs_are_refused_by_their_header() {
    let sized = |mut file: Vec<u8>, at: usize, bytes: &[u8]| {
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let frame = |file: &[u8]| file.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    let small = jpeg(&[7; 48], 4, 4, |_| {});
    let at = frame(&small) + 5;
    let webp = |body: &[u8]| {
        let mut file = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0".to_vec();
        file.extend_from_slice(body);
        let (all, chunk) = (file.len() as u32 - 8, body.len() as u32);
        let file = sized(file, 4, &all.to_le_bytes());
        sized(file, 16, &chunk.to_le_bytes())
    };
    let too_large = [
        png(60_000, 60_000, 8, 2, false, &[], &[0; 4000]),
        png(9_000, 9_000, 16, 2, false, &[], &[0; 4000]), // 81 million, but they count double
        png(30_001, 1, 8, 0, false, &[], &[0; 4000]),
        sized(small.clone(), at, &[0xFF; 4]),
        sized(gif(20, 12, &[(0, 0)]), 6, &[0xFF; 4]),
        webp(&[0x2F, 0xFF, 0xFF, 0xFF, 0x0F, 0, 0, 0, 0, 0]),
    ];
    for file in too_large {
        let error = decode(&file).err().expect("it is refused");
        assert!(matches!(error, PictureError::TooManyPixels { .. }), "{error}");
    }
    // Small enough in pixels, but the file could never hold them.
    let hollow = [
        png(9_000, 9_000, 8, 2, false, &[], &[0; 4000]),
        sized(small, at, &9_000_u16.to_be_bytes().repeat(2)),
        exploding_png(64 << 20),
    ];
    for file in hollow {
        let error = decode(&file).err().expect("it is refused");
        assert!(matches!(error, PictureError::Damaged(_)), "{error}");
    }
}

#[test]
fn a_png_whose_sums_are_wrong_is_damaged() {
    let whole = png(4, 4, 8, 2, false, &[], &[0; (3 * 4 + 1) * 4]);
    assert!(decode(&whole).is_ok());
    let broken = |back: usize| {
        let mut file = whole.clone();
        let at = file.len() - back;
        file[at] ^= 1;
        file
    };
    // Behind them lie a chunk of twelve bytes and, of the first, the second.
    let (chunk, mut rows) = (broken(12 + 1), broken(12 + 4 + 1));
    files::mend_checksums(&mut rows);
    for file in [chunk, rows] {
        let error = decode(&file).err().expect("it is refused");
        assert!(matches!(error, PictureError::Damaged(_)), "{error}");
    }
}

#[test]
fn a_webp_frame_cannot_be_larger_than_it_says() {
    // A canvas of 16 × 16 around a frame that claims 16,383 × 16,383.
    let mut file = b"RIFF\x38\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x0f\0\0\x0f\0\0".to_vec();
    file.extend_from_slice(b"VP8 \x1a\0\0\0\x90\x01\0\x9d\x01\x2a\xff\x3f\xff\x3f");
    file.resize(64, 0);
    assert_eq!(decode(&file).err(), Some(damaged("its headers give its frame two sizes")));

    // Animated: a sound second frame must not vouch for the first, which is the one decoded.
    let frame = |colours: &[u8]| {
        let place = b"\0\0\0\0\0\0\x0f\0\0\x0f\0\0\x64\0\0\0";
        let length = (place.len() + colours.len()) as u32;
        [b"ANMF", &length.to_le_bytes()[..], place, colours].concat()
    };
    let animation = |frames: &[u8]| {
        let head = b"WEBPVP8X\x0a\0\0\0\x02\0\0\0\x0f\0\0\x0f\0\0ANIM\x06\0\0\0\0\0\0\0\0\0";
        let body = [head, frames].concat();
        [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
    };
    let sound = frame(&files::LOSSY_WEBP[12..]);
    let twice = animation(&[&sound[..], &sound].concat());
    assert!(probe::probe(&twice).unwrap().animated);
    assert_close(&decode(&twice).unwrap().pixels.as_chunks().0[..1], &[[200, 60, 20]], 6);
    let odd = frame(b"JUNK\x04\0\0\0\0\0\0\0");
    assert!(decode(&animation(&[&odd[..], &sound].concat())).is_err());
}

#[test]
fn liars_and_fragments_are_refused() {
    let html = b"<!doctype html><title>cat.png</title>".to_vec();
    let film = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42".to_vec();
    for file in [&b""[..], b"\xFF\xD8", &html, &film, &[0; 500]] {
        assert_eq!(thumbnail(file, 99, &LIMITS), Err(PictureError::NotAPicture));
    }
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    assert_eq!(thumbnail(heic, 99, &LIMITS), Err(PictureError::Unsupported(Kind::Heic)));

    let whole = jpeg(&photo(256, 256), 256, 256, |_| {});
    let scan = whole.windows(2).position(|w| w == [0xFF, 0xDA]).unwrap() + 14;
    let mut state = 1_u32;
    let rubbish: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(whole.len())
    .collect();
    let garbage = [&whole[..scan], &rubbish, &[0xFF, 0xD9]].concat();
    assert!(matches!(thumbnail(&garbage, 99, &LIMITS), Err(PictureError::Damaged(_))));
    assert_eq!(thumbnail(&rubbish, 99, &LIMITS), Err(PictureError::NotAPicture));
}

#[test]
fn a_picture_cut_anywhere_is_refused() {
    for (name, whole) in files::one_of_each() {
        assert!(thumbnail(&whole, 16, &LIMITS).is_ok(), "{name} is whole");
        // What follows the pixels (an end mark, padding) may be missing, except a JPEG's.
        let spare = match name {
            "png" => 12,
            "gif" => 2,
            "webp" => 1,
            _ => 0,
        };
        for length in (0..whole.len() - spare).step_by(3) {
            let found = thumbnail(&whole[..length], 16, &LIMITS);
            assert!(found.is_err(), "{name} cut to {length} of {}", whole.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn random_bytes_never_panic(kind in 0..6usize, tail in proptest::collection::vec(any::<u8>(), 0..600)) {
        let heads = [&b""[..], b"\xFF\xD8\xFF", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x20\0\0\0WEBPVP8X", b"RIFF\x20\0\0\0WEBPVP8 "];
        let data = [heads[kind], &tail].concat();
        let limits = Limits { max_pixels: 1 << 20, ..LIMITS };
        if let Ok(jpeg) = thumbnail(&data, 16, &limits) {
            prop_assert!(jpeg.width.max(jpeg.height) <= 16);
        }
    }

    #[test]
    fn damage_never_panics(
        which in 0..100usize,
        edits in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..8),
        kept in 1..=64usize,
    ) {
        let all = files::one_of_each();
        let (name, mut data) = all[which % all.len()].clone();
        for (at, value) in edits {
            let length = data.len();
            data[usize::from(at) % length] = value;
        }
        data.truncate(if kept > 32 { data.len() } else { data.len() * kept / 32 });
        if name == "png" {
            files::mend_checksums(&mut data); // so that the damage reaches the decoder
        }
        let limits = Limits { max_pixels: 1 << 20, ..LIMITS };
        if let Ok(jpeg) = thumbnail(&data, 16, &limits) {
            prop_assert!(jpeg.width.max(jpeg.height) <= 16);
        }
    }
}
