//! Decoding: JPEG, PNG, WebP and the first frame of a GIF, to RGB on white.
//!
//! Sizes are checked against the limits, and against what the file's bytes could ever hold, before
//! any pixel has memory. Of a JPEG and a PNG the decoder gets only the parts that make pixels: its
//! readers of metadata, some of which decompress without a bound, never see an upload. Damage is an
//! error: a picture that is half grey must not be published.

use std::collections::VecDeque;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

use flate2::bufread::ZlibDecoder;
use gif::{ColorOutput, DecodeOptions};
use image_webp::WebPDecoder;
use png::Transformations;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::colour::ToSrgb;
use super::{Limits, Picture, PictureError};
use crate::probe::{self, Header, Kind, cut_short, damaged};

/// A profile of more bytes is not one of a camera or screen, and not worth reading.
const LARGEST_PROFILE: usize = 1 << 16;

impl Picture {
    /// Decodes a JPEG, PNG, WebP or GIF (of an animation the first frame) within the limits.
    pub fn decode(data: &[u8], limits: &Limits) -> Result<Picture, PictureError> {
        let header = probe::header(data)?;
        let Header { width, height, orientation, .. } = header;
        limits.admit(&header)?;
        let (pixels, colour) = match header.kind {
            Kind::Jpeg => jpeg(data, &header)?,
            Kind::Png => png(data, &header)?,
            Kind::Webp => webp(data, &header)?,
            Kind::Gif => (gif(data, &header)?, None),
            other => return Err(PictureError::Unsupported(other)),
        };
        if pixels.len() != area(&header) * 3 {
            return Err(damaged("it has another size than its header says"));
        }
        Ok(Picture { pixels, width, height, orientation, colour })
    }
}

type Decoded = (Vec<u8>, Option<ToSrgb>);

fn area(header: &Header) -> usize {
    header.width as usize * header.height as usize
}

/// Greyscale and CMYK come out as RGB; inks are mixed without their profile, as browsers do
/// without colour management.
fn jpeg(data: &[u8], header: &Header) -> Result<Decoded, PictureError> {
    // Each block of 8 × 8 takes at least one bit: what holds fewer is no picture but a bomb.
    if area(header) / 512 > data.len() {
        return Err(cut_short());
    }
    let mut lean = vec![0xFF, 0xD8];
    let mut profile = Vec::new();
    let mut frame: &[u8] = &[];
    let mut scan: &[u8] = &[];
    let mut ycck = false;
    for segment in probe::segments(data) {
        match segment.marker {
            0xDA => {
                scan = segment.body;
                lean.extend_from_slice(segment.whole);
                let coded = &data[segment.end..];
                // Inside coded data 0xFF is followed by 0, so this is the picture's own end mark.
                let end = [0xFF, 0xD9];
                if !coded.ends_with(&end) && !coded.windows(2).any(|pair| pair == end) {
                    return Err(cut_short());
                }
                lean.extend_from_slice(coded);
                break;
            }
            0xE2 => match segment.body.strip_prefix(b"ICC_PROFILE\0") {
                Some([_, _, part @ ..]) if profile.len() + part.len() <= LARGEST_PROFILE => {
                    profile.extend_from_slice(part);
                }
                _ => {}
            },
            0xC0..=0xC2 => {
                frame = segment.body;
                lean.extend_from_slice(segment.whole);
            }
            // Tables, restart interval, and Adobe's segment, which says how colours are coded.
            0xC4 | 0xDB | 0xDD | 0xEE => {
                ycck |= segment.body.starts_with(b"Adobe") && segment.body.get(11) == Some(&2);
                lean.extend_from_slice(segment.whole);
            }
            _ => {}
        }
    }
    refuse_what_is_misread(frame, scan, ycck, header)?;
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(header.width as usize)
        .set_max_height(header.height as usize)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(lean), options);
    let pixels = decoder.decode().map_err(spoilt)?;
    Ok((pixels, ToSrgb::from_profile(&profile)))
}

/// Two rare kinds of valid files that zune-jpeg 0.5.15 decodes to wrong colours without an error:
/// baseline with a scan for each colour (its issue 422, mended in 0.5.16), and plain CMYK in which
/// the inks have fewer samples than black.
fn refuse_what_is_misread(
    frame: &[u8],
    scan: &[u8],
    ycck: bool,
    header: &Header,
) -> Result<(), PictureError> {
    let ([_, _, _, _, _, components, sampling @ ..], [in_scan, ..]) = (frame, scan) else {
        return Err(cut_short());
    };
    let mut sampling = sampling.chunks_exact(3).map(|component| component[1]);
    let first = sampling.next();
    let subsampled = sampling.any(|factors| Some(factors) != first);
    let progressive = header.heavy;
    let separate = !progressive && in_scan < components;
    let inks = *components == 4 && !ycck;
    if separate || (inks && subsampled) {
        return Err(damaged("it stores its colours in a way that is rare in a JPEG"));
    }
    Ok(())
}

/// Row by row: beside the file only the pixels have memory.
fn png(data: &[u8], header: &Header) -> Result<Decoded, PictureError> {
    let (signature, _) = data.split_at_checked(8).ok_or_else(cut_short)?;
    let mut lean = vec![signature];
    let mut rows = Vec::new();
    let (mut bits, mut colour, mut coded, mut palette, mut woven) = (0, 0, 0, false, false);
    for chunk in probe::chunks(data) {
        let wanted = match (chunk.name, chunk.body) {
            (b"IHDR", [.., depth, kind, _, _, interlaced]) => {
                (colour, woven) = (*kind, *interlaced == 1);
                let channels = [1, 0, 3, 1, 2, 0, 4].get(usize::from(colour)).copied();
                bits = usize::from(*depth) * channels.unwrap_or(0);
                true
            }
            (b"PLTE", _) => {
                palette = colour == 3;
                palette
            }
            (b"tRNS", _) => matches!(colour, 0 | 2 | 3),
            (b"iCCP", profile) => profile.len() <= LARGEST_PROFILE / 8,
            (b"IDAT", body) => {
                coded += body.len();
                rows.push(body);
                true
            }
            (b"IEND", _) => break,
            _ => false,
        };
        if wanted {
            lean.push(chunk.whole);
        }
    }
    lean.push(b"\0\0\0\0IEND\xAE\x42\x60\x82");
    // Deflate makes at most 1032 bytes of one: what holds less is no picture but a bomb.
    let row = (header.width as usize * bits).div_ceil(8) + 1;
    if row * header.height as usize / 1032 > coded || (colour == 3 && !palette) {
        return Err(cut_short());
    }
    refuse_what_unfolds_otherwise(rows, header, bits, woven)?;
    let mut decoder = png::Decoder::new(Parts(lean.into()));
    // Rows, and what a profile unfolds to.
    decoder.set_limits(png::Limits { bytes: LARGEST_PROFILE + row * 16 });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(spoilt)?;
    let channels = reader.output_color_type().0.samples();
    let mut pixels = Vec::with_capacity(area(header) * 3);
    if reader.info().interlaced {
        let mut whole = vec![0; area(header) * channels];
        reader.next_frame(&mut whole).map_err(spoilt)?;
        lay_on_white(&whole, channels, &mut pixels);
    } else {
        while let Some(row) = reader.next_row().map_err(spoilt)? {
            lay_on_white(row.data(), channels, &mut pixels);
        }
    }
    // The last chunk's check sum stands at its end.
    reader.finish().map_err(spoilt)?;
    let profile = reader.info().icc_profile.as_deref();
    Ok((pixels, ToSrgb::from_profile(profile.unwrap_or_default())))
}

/// The decoder stops behind the last row of a PNG: whatever more it unfolds to is found here, a bomb
/// without being held, and so are wrong check sums.
fn refuse_what_unfolds_otherwise(
    coded: Vec<&[u8]>,
    header: &Header,
    bits: usize,
    woven: bool,
) -> Result<(), PictureError> {
    let (width, height) = (header.width as usize, header.height as usize);
    let size = |width: usize, height: usize| match width {
        0 => 0,
        _ => ((width * bits).div_ceil(8) + 1) * height,
    };
    // Interlaced: seven pictures of every so many-th column and row (Adam7).
    const WOVEN: [[usize; 4]; 7] = [
        [0, 8, 0, 8],
        [4, 8, 0, 8],
        [0, 4, 4, 8],
        [2, 4, 0, 4],
        [0, 2, 2, 4],
        [1, 2, 0, 2],
        [0, 1, 1, 2],
    ];
    let part = |[x, right, y, down]: [usize; 4]| {
        let of = |all: usize, from, step| all.saturating_sub(from).div_ceil(step);
        size(of(width, x, right), of(height, y, down))
    };
    let due = if woven { WOVEN.map(part).iter().sum() } else { size(width, height) } as u64;
    let mut unfolded = ZlibDecoder::new(Parts(coded.into())).take(due + 1);
    match io::copy(&mut unfolded, &mut io::sink()) {
        Ok(n) if n == due => Ok(()),
        Ok(n) if n < due => Err(cut_short()),
        Ok(_) => Err(damaged("it holds more than its header says")),
        Err(e) => Err(spoilt(e)),
    }
}

/// Parts of a file, read one after the other without being copied.
struct Parts<'a>(VecDeque<&'a [u8]>);

impl Read for Parts<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Parts<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.0.front().is_some_and(|part| part.is_empty()) {
            self.0.pop_front();
        }
        Ok(self.0.front().copied().unwrap_or_default())
    }

    fn consume(&mut self, read: usize) {
        if let Some(part) = self.0.front_mut() {
            *part = part.get(read..).unwrap_or_default();
        }
    }
}

/// Asked for by the decoder's type, and never by the decoder.
impl Seek for Parts<'_> {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Animated: its first frame.
fn webp(data: &[u8], header: &Header) -> Result<Decoded, PictureError> {
    let mut decoder = WebPDecoder::new(Cursor::new(data)).map_err(spoilt)?;
    if decoder.dimensions() != (header.width, header.height) {
        return Err(damaged("its headers give it two sizes"));
    }
    decoder.set_memory_limit(LARGEST_PROFILE); // of metadata; frames are bounded by the header
    let alpha = decoder.has_alpha();
    let mut pixels = vec![0; area(header) * if alpha { 4 } else { 3 }];
    decoder.read_image(&mut pixels).map_err(spoilt)?;
    if alpha {
        pixels = on_white(pixels);
    }
    let profile = decoder.icc_profile().ok().flatten().unwrap_or_default();
    Ok((pixels, ToSrgb::from_profile(&profile)))
}

/// Animated: its first frame, where it lies on the screen.
fn gif(data: &[u8], header: &Header) -> Result<Vec<u8>, PictureError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.check_frame_consistency(true); // a frame larger than the screen would escape the limits
    let mut decoder = options.read_info(Cursor::new(data)).map_err(spoilt)?;
    let frame = decoder.next_frame_info().map_err(spoilt)?.ok_or_else(cut_short)?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (width, transparent) = (usize::from(frame.width), frame.transparent);
    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices).map_err(spoilt)?;
    let palette = decoder.palette().map_err(spoilt)?;
    let (colours, _) = palette.as_chunks::<3>();

    let mut canvas = vec![[255; 3]; area(header)];
    let rows = canvas.chunks_exact_mut(header.width as usize).skip(top);
    for (row, indices) in rows.zip(indices.chunks_exact(width.max(1))) {
        for (pixel, index) in row.iter_mut().skip(left).zip(indices) {
            if Some(*index) != transparent
                && let Some(colour) = colours.get(usize::from(*index))
            {
                *pixel = *colour;
            }
        }
    }
    Ok(canvas.into_flattened())
}

/// What a decoder found, in its words, which may run over lines.
fn spoilt(error: impl ToString) -> PictureError {
    let words = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    damaged(format!("its contents are damaged ({})", words.trim_end_matches('.')))
}

fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

/// Adds pixels of one to four channels (grey, grey and alpha, RGB, RGBA) as RGB.
fn lay_on_white(row: &[u8], channels: usize, pixels: &mut Vec<u8>) {
    match channels {
        1 => pixels.extend(row.iter().flat_map(|grey| [*grey; 3])),
        2 => pixels.extend(
            row.as_chunks().0.iter().flat_map(|&[grey, alpha]| [over_white(grey, alpha); 3]),
        ),
        4 => pixels.extend(row.as_chunks().0.iter().flat_map(|&[red, green, blue, alpha]| {
            [red, green, blue].map(|channel| over_white(channel, alpha))
        })),
        _ => pixels.extend_from_slice(row),
    }
}

/// RGBA as RGB, in place: a second buffer would be the largest of all.
fn on_white(mut pixels: Vec<u8>) -> Vec<u8> {
    let count = pixels.len() / 4;
    for at in 0..count {
        let alpha = pixels[at * 4 + 3];
        for channel in 0..3 {
            pixels[at * 3 + channel] = over_white(pixels[at * 4 + channel], alpha);
        }
    }
    pixels.truncate(count * 3);
    pixels.shrink_to_fit();
    pixels
}
