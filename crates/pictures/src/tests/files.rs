//! Picture files for the tests, made in code, and a textbook resize to compare with.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

pub(super) fn jpeg(
    pixels: &[u8],
    width: u32,
    height: u32,
    setup: impl FnOnce(&mut Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 92);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    setup(&mut encoder);
    encoder.encode(pixels, width as u16, height as u16, ColorType::Rgb).unwrap();
    file
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Side {
    Top,
    Bottom,
    Left,
    Right,
}

/// Four colours in the quarters of a seen picture, stored with its first row and first column at
/// the given sides; with the stored width and height.
pub(super) fn quadrants(
    width: u32,
    height: u32,
    colours: &[[u8; 3]; 4],
    row: Side,
    column: Side,
) -> (u32, u32, Vec<u8>) {
    let swapped = matches!(row, Side::Left | Side::Right);
    let (stored_width, stored_height) = if swapped { (height, width) } else { (width, height) };
    let mut pixels = Vec::new();
    for down in 0..stored_height {
        for right in 0..stored_width {
            let (mut x, mut y) = (0, 0);
            for (side, distance) in [(row, down), (column, right)] {
                match side {
                    Side::Top => y = distance,
                    Side::Bottom => y = height - 1 - distance,
                    Side::Left => x = distance,
                    Side::Right => x = width - 1 - distance,
                }
            }
            let quarter = usize::from(x >= width / 2) + 2 * usize::from(y >= height / 2);
            pixels.extend(colours[quarter]);
        }
    }
    (stored_width, stored_height, pixels)
}

/// Waves, an edge and a little grain.
pub(super) fn photo(width: u32, height: u32) -> Vec<u8> {
    let mut grain = 1_u32;
    let mut pixels = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(grain >> 24) / 32.0 - 4.0;
            let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            let disc = if (u - 0.4).hypot(v - 0.5) < 0.2 { 30.0 } else { 0.0 };
            let wave = (u * 40.0).sin() * 20.0 + (v * 90.0 + u * 20.0).sin() * 10.0;
            for base in [90.0 + u * 80.0, 110.0 + v * 60.0, 150.0 - u * 70.0] {
                pixels.push((base + wave + disc + noise) as u8);
            }
        }
    }
    pixels
}

/// One pixel of a Lanczos3 reduction by `scale`, centred at (x, y) of the source, in floating point.
pub(super) fn lanczos(pixels: &[u8], width: u32, x: f64, y: f64, scale: f64) -> [f64; 3] {
    let stretch = scale.max(1.0);
    let kernel = |t: f64| {
        let sinc = |t: f64| {
            if t == 0.0 {
                1.0
            } else {
                (t * std::f64::consts::PI).sin() / (t * std::f64::consts::PI)
            }
        };
        if t.abs() < 3.0 { sinc(t) * sinc(t / 3.0) } else { 0.0 }
    };
    let height = pixels.len() as i64 / 3 / i64::from(width);
    let reach = (3.0 * stretch).ceil() as i64 + 1;
    let taps = |centre: f64, length: i64| {
        let first = centre as i64;
        (first - reach..=first + reach)
            .filter(move |at| (0..length).contains(at))
            .map(move |at| (at, kernel((at as f64 + 0.5 - centre) / stretch)))
    };
    let (mut sum, mut weight) = ([0.0; 3], 0.0);
    for (row, down) in taps(y, height) {
        for (column, across) in taps(x, width.into()) {
            let pixel = &pixels[((row * i64::from(width) + column) * 3) as usize..][..3];
            for (sum, value) in sum.iter_mut().zip(pixel) {
                *sum += f64::from(*value) * down * across;
            }
            weight += down * across;
        }
    }
    sum.map(|sum| sum / weight)
}

/// Exif with a description, an orientation and a place.
pub(super) fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0\x03\0".to_vec();
    tiff.extend(b"\x0e\x01\x02\0\x0d\0\0\0\x32\0\0\0"); // ImageDescription, 13 bytes at 50
    tiff.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]);
    tiff.extend(b"\x25\x88\x04\0\x01\0\0\0\x40\0\0\0\0\0\0\0"); // GPS directory at 64
    tiff.extend(b"secret place\0\0");
    tiff.extend(b"\x01\0\x01\0\x02\0\x02\0\0\0N\0\0\0\0\0\0\0"); // GPSLatitudeRef
    tiff
}

/// A profile with sRGB's curve and the given red part (X) of each primary; the rest is P3's or
/// sRGB's, whichever is nearer.
pub(super) fn profile(red_part: [f32; 3]) -> Vec<u8> {
    let wide = red_part[0] > 0.45;
    let p3 = [
        [0.515_12, 0.2412, -0.001_05],
        [0.291_98, 0.692_25, 0.041_89],
        [0.1571, 0.066_57, 0.784_07],
    ];
    let srgb = [
        [0.436_07, 0.222_49, 0.013_92],
        [0.385_15, 0.716_87, 0.097_08],
        [0.143_07, 0.060_61, 0.7141],
    ];
    let mut primaries: [[f32; 3]; 3] = if wide { p3 } else { srgb };
    for (primary, x) in primaries.iter_mut().zip(red_part) {
        primary[0] = x;
    }
    let fixed = |value: f32| ((value * 65536.0).round() as i32).to_be_bytes();
    let mut icc = vec![0; 128];
    icc[16..24].copy_from_slice(b"RGB XYZ ");
    icc.extend(6_u32.to_be_bytes());
    let data = 128 + 4 + 6 * 12;
    for (at, name) in (0..).zip([b"rXYZ", b"gXYZ", b"bXYZ"]) {
        icc.extend(name);
        icc.extend([data + at * 20, 20].map(u32::to_be_bytes).concat());
    }
    for name in [b"rTRC", b"gTRC", b"bTRC"] {
        icc.extend(name);
        icc.extend([data + 60, 32].map(u32::to_be_bytes).concat());
    }
    for primary in primaries {
        icc.extend(b"XYZ \0\0\0\0");
        icc.extend(primary.map(fixed).concat());
    }
    icc.extend(b"para\0\0\0\0\0\x03\0\0");
    icc.extend([2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045].map(fixed).concat());
    icc
}

pub(super) fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let named = [&name[..], body].concat();
    [&(body.len() as u32).to_be_bytes()[..], &named, &crc(&named).to_be_bytes()].concat()
}

/// A PNG around scan lines as `samples` makes them; `extra` are whole chunks before the pixels.
pub(super) fn png(
    width: u32,
    height: u32,
    depth: u8,
    colour: u8,
    interlaced: bool,
    extra: &[Vec<u8>],
    raw: &[u8],
) -> Vec<u8> {
    let mut zlib = vec![0x78, 0x01];
    let mut blocks = raw.chunks(60_000).peekable();
    while let Some(block) = blocks.next() {
        zlib.push(u8::from(blocks.peek().is_none()));
        let length = block.len() as u16;
        zlib.extend([length, !length].map(u16::to_le_bytes).concat());
        zlib.extend(block);
    }
    zlib.extend(adler(raw).to_be_bytes());
    png_around(width, height, [depth, colour, u8::from(interlaced)], extra, &zlib)
}

/// 16 × 16 pixels whose data unpack to `length` zeros.
pub(super) fn exploding_png(length: usize) -> Vec<u8> {
    let (mut bytes, mut bits, mut held) = (vec![0x78, 0x01], 0_u64, 0);
    let mut put = |value: u64, count: u32| {
        bits |= value << held;
        held += count;
        while held >= 8 {
            bytes.push(bits as u8);
            bits >>= 8;
            held -= 8;
        }
    };
    put(0b011, 3); // the last block, with the fixed codes
    put(0b0000_1100, 8); // a zero (codes are sent from their first bit)
    for _ in 0..length / 258 {
        put(0b1010_0011, 8); // 258 bytes more ...
        put(0, 5); // ... of the one before
    }
    put(0, 7 + 7); // the end of the block, and padding
    bytes.extend(adler(&[]).to_be_bytes());
    png_around(16, 16, [8, 2, 0], &[], &bytes)
}

fn png_around(width: u32, height: u32, rest: [u8; 3], extra: &[Vec<u8>], zlib: &[u8]) -> Vec<u8> {
    let [depth, colour, interlace] = rest;
    let mut header = [width, height].map(u32::to_be_bytes).concat();
    header.extend([depth, colour, 0, 0, interlace]);
    let (header, pixels, end) =
        (chunk(b"IHDR", &header), chunk(b"IDAT", zlib), chunk(b"IEND", b""));
    [&b"\x89PNG\r\n\x1a\n"[..], &header, &extra.concat(), &pixels, &end].concat()
}

/// Unfiltered PNG scan lines, in seven passes if interlaced.
pub(super) fn samples(
    width: u32,
    height: u32,
    depth: u8,
    interlaced: bool,
    pixel: impl Fn(u32, u32) -> Vec<u16>,
) -> Vec<u8> {
    const PASSES: [(u32, u32, usize, usize); 7] = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ];
    let mut raw = Vec::new();
    for &(left, top, across, down) in if interlaced { &PASSES[..] } else { &[(0, 0, 1, 1)] } {
        if left >= width {
            continue;
        }
        for y in (top..height).step_by(down) {
            raw.push(0);
            let (mut bits, mut held) = (0_u32, 0);
            for value in (left..width).step_by(across).flat_map(|x| pixel(x, y)) {
                bits = bits << depth | u32::from(value);
                held += depth;
                while held >= 8 {
                    held -= 8;
                    raw.push((bits >> held) as u8);
                }
            }
            if held > 0 {
                raw.push((bits << (8 - held)) as u8);
            }
        }
    }
    raw
}

/// Frames of 8 × 8 at the given places, columns of a colour and of nothing in turn: red, then blue.
pub(super) fn gif(width: u16, height: u16, places: &[(u16, u16)]) -> Vec<u8> {
    let mut file = Vec::new();
    let palette = [255, 0, 0, 0, 0, 255, 0, 255, 0];
    let mut encoder = gif::Encoder::new(&mut file, width, height, &palette).unwrap();
    for (colour, (left, top)) in (0..).zip(places) {
        let mut frame = gif::Frame::from_indexed_pixels(8, 8, [colour, 2].repeat(32), Some(2));
        (frame.left, frame.top) = (*left, *top);
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    file
}

/// 16 × 16 of about (200, 60, 20).
pub(super) const LOSSY_WEBP: &[u8] = b"RIFF\x36\0\0\0WEBPVP8 \x2a\0\0\0\x90\x01\0\x9d\x01\x2a\x10\0\x10\0\x02\xc0\x4c\x25\xa0\x02\
    \x74\xba\0\x03\x98\0\xfe\xe8\x38\xbf\xc5\xb4\x8e\x85\x4e\xaf\xfe\x59\xff\xbe\x4f\x7c\x9c\x20\0\0";

pub(super) fn one_of_each() -> Vec<(&'static str, Vec<u8>)> {
    let (width, height) = (40, 30);
    let pixels = photo(width, height);
    let at = |x: u32, y: u32| &pixels[((y * width + x) * 3) as usize..][..3];
    let rgb =
        samples(width, height, 8, false, |x, y| at(x, y).iter().map(|v| u16::from(*v)).collect());
    let indices = samples(width, height, 4, true, |x, y| vec![u16::from(at(x, y)[0] / 16)]);
    let palette = [chunk(b"PLTE", &photo(16, 1)), chunk(b"tRNS", &[9, 99])];
    let mut webp = Vec::new();
    let encoder = image_webp::WebPEncoder::new(&mut webp);
    encoder.encode(&pixels, width, height, image_webp::ColorType::Rgb8).unwrap();
    let mut inks = Vec::new();
    Encoder::new(&mut inks, 95).encode(&pixels, 30, 30, ColorType::CmykAsYcck).unwrap();
    vec![
        ("jpeg", jpeg(&pixels, width, height, |e| e.add_exif_metadata(&exif(5)).unwrap())),
        ("jpeg", jpeg(&pixels, width, height, |e| e.set_progressive(true))),
        ("jpeg", jpeg(&pixels, width, height, |e| e.set_restart_interval(2))),
        ("jpeg", inks),
        ("png", png(width, height, 8, 2, false, &[chunk(b"eXIf", &exif(3))], &rgb)),
        ("png", png(width, height, 4, 3, true, &palette, &indices)),
        ("webp", webp),
        ("webp", LOSSY_WEBP.to_vec()),
        ("gif", gif(20, 12, &[(4, 2)])),
    ]
}

pub(super) fn mend_checksums(png: &mut [u8]) {
    let mut start = 8;
    while let Some(length) =
        png.get(start..start + 4).map(|b| u32::from_be_bytes(b.try_into().unwrap()))
    {
        let end = start + 8 + length as usize;
        if end + 4 > png.len() {
            break;
        }
        let sum = crc(&png[start + 4..end]);
        png[end..end + 4].copy_from_slice(&sum.to_be_bytes());
        start = end + 4;
    }
}

fn crc(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |c, _| if c & 1 == 1 { c >> 1 ^ 0xEDB8_8320 } else { c >> 1 },
        )
    })
}

fn adler(data: &[u8]) -> u32 {
    let (a, b) = data.iter().fold((1, 0), |(a, b): (u32, u32), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}
