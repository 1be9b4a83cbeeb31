//! The headers of the four kinds of pictures that are decoded, read by walking their blocks.
//!
//! Nothing here allocates by a size that a file claims. What the decoders would believe without
//! looking (a frame's own size in a WebP) is compared here. The walkers over JPEG segments and PNG
//! chunks also serve `image/decode.rs`, which passes on only what makes pixels.

use super::{Kind, sniff};
use crate::PictureError;

/// As `Probe`, with the sizes as stored.
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) orientation: u8,
    pub(crate) animated: bool,
    /// Does decoding take about twice the memory that a pixel of this kind takes otherwise?
    pub(crate) heavy: bool,
}

pub(crate) fn header(data: &[u8]) -> Result<Header, PictureError> {
    let header = match sniff(data).ok_or(PictureError::NotAPicture)? {
        Kind::Jpeg => jpeg(data)?,
        Kind::Png => png(data)?,
        Kind::Webp => webp(data)?,
        Kind::Gif => gif(data).ok_or_else(cut_short)?,
        other if other.is_image() => return Err(PictureError::Unsupported(other)),
        _ => return Err(PictureError::NotAPicture),
    };
    if header.width == 0 || header.height == 0 {
        return Err(damaged("its header gives it no width or no height"));
    }
    Ok(header)
}

fn jpeg(data: &[u8]) -> Result<Header, PictureError> {
    let mut orientation = None;
    let mut frame = None;
    for Segment { marker, body, .. } in segments(data) {
        match marker {
            0xE1 if orientation.is_none() => {
                orientation = body.strip_prefix(b"Exif\0\0").map(exif_orientation);
            }
            0xC4 | 0xC8 | 0xCC => {}
            0xC0..=0xC2 if frame.is_none() => {
                if body.first() != Some(&8) {
                    return Err(damaged("it has more than 8 bits a colour, rare in a JPEG"));
                }
                frame = Some((marker, be16(body, 3), be16(body, 1)));
            }
            0xC3..=0xCF => {
                return Err(damaged("it uses a rare JPEG coding, lossless or arithmetic"));
            }
            0xDA => break,
            _ => {}
        }
    }
    let Some((marker, Some(width), Some(height))) = frame else { return Err(cut_short()) };
    Ok(Header {
        kind: Kind::Jpeg,
        width: width.into(),
        height: height.into(),
        orientation: orientation.unwrap_or(1),
        animated: false,
        heavy: marker == 0xC2, // progressive: every coefficient is held until the last scan
    })
}

/// One segment of a JPEG file: `whole` is as in the file, `end` is where the next begins.
pub(crate) struct Segment<'a> {
    pub(crate) marker: u8,
    pub(crate) body: &'a [u8],
    pub(crate) whole: &'a [u8],
    pub(crate) end: usize,
}

/// The segments of a JPEG file up to its end, a fault, or (if the caller goes on) its coded data.
pub(crate) fn segments(data: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut next = 2;
    std::iter::from_fn(move || {
        loop {
            // Fill bytes before a marker are allowed, and bytes of rubbish are met in the field.
            next += data.get(next..)?.iter().position(|b| *b == 0xFF)?;
            next += data[next..].iter().position(|b| *b != 0xFF)?;
            let marker = data[next];
            match marker {
                0x00 | 0x01 | 0xD0..=0xD8 => continue,
                0xD9 => return None,
                _ => {}
            }
            let length: usize = be16(data, next + 1)?.into();
            let start = next - 1;
            next += 1 + length;
            return Some(Segment {
                marker,
                body: data.get(start + 4..next)?,
                whole: data.get(start..next)?,
                end: next,
            });
        }
    })
}

fn png(data: &[u8]) -> Result<Header, PictureError> {
    let mut orientation = 1;
    let mut animated = false;
    let mut size = None;
    for Chunk { name, body, .. } in chunks(data) {
        match (name, body) {
            (b"IHDR", [_, _, _, _, _, _, _, _, depth, colour, _, _, _]) => {
                let fits = match colour {
                    0 => [1, 2, 4, 8, 16].contains(depth),
                    3 => [1, 2, 4, 8].contains(depth),
                    2 | 4 | 6 => [8, 16].contains(depth),
                    _ => false,
                };
                if !fits {
                    return Err(damaged("its colours are stored in a way that PNG does not know"));
                }
                size = Some((be32(body, 0), be32(body, 4), *depth == 16));
            }
            (b"eXIf", tiff) => orientation = exif_orientation(tiff),
            (b"acTL", _) => animated = true,
            _ => {}
        }
    }
    let Some((Some(width), Some(height), heavy)) = size else { return Err(cut_short()) };
    Ok(Header { kind: Kind::Png, width, height, orientation, animated, heavy })
}

/// One chunk of a PNG file; `whole` is as in the file, with length and checksum.
pub(crate) struct Chunk<'a> {
    pub(crate) name: &'a [u8; 4],
    pub(crate) body: &'a [u8],
    pub(crate) whole: &'a [u8],
}

/// The chunks of a PNG file up to its end or to the first one that is cut short.
pub(crate) fn chunks(data: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = data.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = be32(rest, 0)? as usize;
        let (whole, after) = rest.split_at_checked(length.checked_add(12)?)?;
        rest = after;
        let (name, body) = whole[4..length + 8].split_first_chunk()?;
        Some(Chunk { name, body, whole })
    })
}

fn webp(data: &[u8]) -> Result<Header, PictureError> {
    let claimed = (le32(data, 4).ok_or_else(cut_short)? as usize).saturating_add(8);
    if claimed > data.len() + 1 {
        return Err(cut_short()); // a last byte of padding may be missing, more may not
    }
    let file = data.get(12..claimed.min(data.len())).ok_or_else(cut_short)?;
    let (name, body) = riff(file).next().ok_or_else(cut_short)?;
    let mut header = Header {
        kind: Kind::Webp,
        width: 0,
        height: 0,
        orientation: 1,
        animated: false,
        heavy: false,
    };
    if name != b"VP8X" {
        (header.width, header.height) = webp_frame(name, body).ok_or_else(cut_short)?;
        return Ok(header);
    }
    let (Some(width), Some(height)) = (le24(body, 4), le24(body, 7)) else {
        return Err(cut_short());
    };
    (header.width, header.height) = (width + 1, height + 1);
    header.animated = body[0] & 0x02 != 0;
    let mut stated = (header.width, header.height);
    let mut frame = None;
    for (name, body) in riff(file).skip(1) {
        match name {
            b"EXIF" => {
                header.orientation =
                    exif_orientation(body.strip_prefix(b"Exif\0\0").unwrap_or(body));
            }
            b"ANMF" if header.animated && frame.is_none() => {
                let (Some(width), Some(height)) = (le24(body, 6), le24(body, 9)) else {
                    return Err(cut_short());
                };
                stated = (width + 1, height + 1);
                let mut parts = riff(body.get(16..).unwrap_or_default());
                let colours = match parts.next() {
                    Some((b"ALPH", _)) => parts.next().filter(|(name, _)| *name == b"VP8 "),
                    colours => colours,
                };
                // Later frames do not matter, so none may stand in for a broken first one.
                frame = Some(colours.ok_or_else(cut_short)?);
            }
            b"VP8 " | b"VP8L" if !header.animated && frame.is_none() => frame = Some((name, body)),
            _ => {}
        }
    }
    // The decoder allocates for a frame before it compares, or without, so a lie is caught here.
    let found = frame.and_then(|(name, body)| webp_frame(name, body)).ok_or_else(cut_short)?;
    if found != stated || stated.0 > header.width || stated.1 > header.height {
        return Err(damaged("its headers give its frame two sizes"));
    }
    Ok(header)
}

fn webp_frame(name: &[u8; 4], body: &[u8]) -> Option<(u32, u32)> {
    match (name, body) {
        // A key frame: its tag's lowest bit is 0, and a start code follows.
        (b"VP8 ", [tag, _, _, 0x9D, 0x01, 0x2A, w0, w1, h0, h1, ..]) if tag & 1 == 0 => {
            let side = |bytes| u32::from(u16::from_le_bytes(bytes) & 0x3FFF);
            Some((side([*w0, *w1]), side([*h0, *h1])))
        }
        (b"VP8L", _) => {
            let bits = le32(body, 1)?;
            Some(((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1))
        }
        _ => None,
    }
}

fn riff(data: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let (name, _) = rest.split_first_chunk()?;
        let length = le32(rest, 4)? as usize;
        let body = rest.get(8..length.checked_add(8)?)?;
        rest = rest.get(8 + length + length % 2..).unwrap_or_default();
        Some((name, body))
    })
}

fn gif(data: &[u8]) -> Option<Header> {
    let side = |at: usize| Some(u32::from(u16::from_le_bytes(*data.get(at..)?.first_chunk()?)));
    Some(Header {
        kind: Kind::Gif,
        width: side(6)?,
        height: side(8)?,
        orientation: 1,
        animated: gif_frames(data).nth(1).is_some(),
        heavy: false,
    })
}

/// Where each frame of a GIF begins, found by its blocks alone.
fn gif_frames(data: &[u8]) -> impl Iterator<Item = usize> {
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 6usize << (flags & 7) };
    let mut next = 13 + data.get(10).map_or(0, |flags| table(*flags));
    std::iter::from_fn(move || {
        loop {
            let start = next;
            let frame = match data.get(next)? {
                0x2C => true,
                0x21 => false,
                _ => return None,
            };
            next += if frame { 11 + table(*data.get(next + 9)?) } else { 2 };
            loop {
                let length = usize::from(*data.get(next)?);
                next += 1 + length;
                if length == 0 {
                    break;
                }
            }
            if frame {
                return Some(start);
            }
        }
    })
}

/// A broken tag elsewhere in the block must not cost the orientation, hence the partial results.
fn exif_orientation(tiff: &[u8]) -> u8 {
    const LARGEST: usize = 1 << 20; // a JPEG cannot hold 64 KiB; others are not worth more
    if tiff.len() > LARGEST {
        return 1;
    }
    exif::Reader::new()
        .continue_on_error(true)
        .read_raw(tiff.to_vec())
        .or_else(|error| error.distill_partial_result(|_| {}))
        .ok()
        .and_then(|exif| {
            exif.get_field(exif::Tag::Orientation, exif::In::PRIMARY)?.value.get_uint(0)
        })
        .and_then(|value| u8::try_from(value).ok())
        .filter(|value| (1..=8).contains(value))
        .unwrap_or(1)
}

pub(crate) fn cut_short() -> PictureError {
    damaged("the file ends before the picture does")
}

pub(crate) fn damaged(what: impl ToString) -> PictureError {
    PictureError::Damaged(what.to_string())
}

fn be16(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*data.get(at..)?.first_chunk()?))
}

fn be32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*data.get(at..)?.first_chunk()?))
}

fn le24(data: &[u8], at: usize) -> Option<u32> {
    let [a, b, c] = *data.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes([a, b, c, 0]))
}

fn le32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*data.get(at..)?.first_chunk()?))
}
