//! Decoding: JPEG, PNG, WebP and the first frame of a GIF, to RGB on white.
//!
//! Sizes are checked against the limits, and against what the file's bytes could ever hold, before
//! any pixel has memory. Of a JPEG and a PNG the decoder gets only the parts that make pixels: its
//! readers of metadata, some of which decompress without a bound, never see an upload. Damage is an
//! error: a picture that is half grey must not be published.

use std::io::Cursor;

use gif::{ColorOutput, DecodeOptions};
use image_webp::WebPDecoder;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;
use zune_png::PngDecoder;

use super::colour::ToSrgb;
use super::{Limits, Picture, PictureError};
use crate::media::probe::{self, Header, Kind, cut_short, damaged};

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

fn png(data: &[u8], header: &Header) -> Result<Decoded, PictureError> {
    let (signature, _) = data.split_at_checked(8).ok_or_else(cut_short)?;
    let mut lean = signature.to_vec();
    let (mut bits, mut colour, mut coded, mut palette) = (0, 0, 0, false);
    for chunk in probe::chunks(data) {
        let wanted = match (chunk.name, chunk.body) {
            (b"IHDR", [.., depth, kind, _, _, _]) => {
                colour = *kind;
                let channels = [1, 0, 3, 1, 2, 0, 4].get(usize::from(colour)).copied();
                bits = usize::from(*depth) * channels.unwrap_or(0);
                true
            }
            (b"PLTE", _) => {
                palette = colour == 3;
                palette
            }
            (b"tRNS", _) => matches!(colour, 0 | 2 | 3),
            // Bounded here, because the decoder inflates a profile without a bound.
            (b"iCCP", profile) => profile.len() <= LARGEST_PROFILE / 8,
            (b"IDAT", body) => {
                coded += body.len();
                true
            }
            (b"IEND", _) => break,
            _ => false,
        };
        if wanted {
            lean.extend_from_slice(chunk.whole);
        }
    }
    lean.extend_from_slice(b"\0\0\0\0IEND\xAE\x42\x60\x82");
    // Deflate makes at most 1032 bytes of one: what holds less is no picture but a bomb.
    let row = (header.width as usize * bits).div_ceil(8) + 1;
    if row * header.height as usize / 1032 > coded || (colour == 3 && !palette) {
        return Err(cut_short());
    }
    let options = DecoderOptions::default()
        .set_max_width(header.width as usize)
        .set_max_height(header.height as usize)
        .png_set_confirm_crc(true)
        .inflate_set_confirm_adler(true)
        .png_set_strip_to_8bit(true);
    let mut decoder = PngDecoder::new_with_options(ZCursor::new(lean), options);
    let pixels = decoder.decode_raw().map_err(spoilt)?;
    let channels = decoder.colorspace().map_or(0, |space| space.num_components());
    let profile = decoder.info().and_then(|info| info.icc_profile.as_deref());
    Ok((on_white(pixels, channels), ToSrgb::from_profile(profile.unwrap_or_default())))
}

/// Animated: its first frame.
fn webp(data: &[u8], header: &Header) -> Result<Decoded, PictureError> {
    let mut decoder = WebPDecoder::new(Cursor::new(data)).map_err(spoilt)?;
    if decoder.dimensions() != (header.width, header.height) {
        return Err(damaged("its headers give it two sizes"));
    }
    decoder.set_memory_limit(LARGEST_PROFILE); // of metadata; frames are bounded by the header
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let mut pixels = vec![0; area(header) * channels];
    decoder.read_image(&mut pixels).map_err(spoilt)?;
    let profile = decoder.icc_profile().ok().flatten().unwrap_or_default();
    Ok((on_white(pixels, channels), ToSrgb::from_profile(&profile)))
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

/// One to four channels (grey, grey and alpha, RGB, RGBA) as RGB, what is transparent on white.
fn on_white(mut pixels: Vec<u8>, channels: usize) -> Vec<u8> {
    let over = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    match channels {
        1 => pixels.iter().flat_map(|grey| [*grey; 3]).collect(),
        2 => {
            pixels.as_chunks().0.iter().flat_map(|&[grey, alpha]| [over(grey, alpha); 3]).collect()
        }
        4 => {
            // In place: a second buffer would be the largest of all.
            let count = pixels.len() / 4;
            for at in 0..count {
                let alpha = pixels[at * 4 + 3];
                for channel in 0..3 {
                    pixels[at * 3 + channel] = over(pixels[at * 4 + channel], alpha);
                }
            }
            pixels.truncate(count * 3);
            pixels.shrink_to_fit();
            pixels
        }
        _ => pixels,
    }
}
