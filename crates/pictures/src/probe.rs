//! What a file is, by its content, before anything is decoded.
//!
//! Names and declared types lie, so only bytes count here. Reading a header allocates nothing that
//! grows with the sizes which the file claims: that is what lets `image` refuse a bomb in time.
//! `header` walks the formats.

mod header;

use crate::{Limits, PictureError};
pub(crate) use header::{Header, chunks, cut_short, damaged, header, segments};

/// The kinds that people upload, whether or not Carillon can work on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Jpeg,
    Png,
    Webp,
    Gif,
    Heic,
    Avif,
    Tiff,
    Bmp,
    Mp4,
    Quicktime,
    Webm,
    Matroska,
    Avi,
}

impl Kind {
    /// Content type, and extension of file names without the dot.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Kind::Jpeg => ("image/jpeg", "jpg"),
            Kind::Png => ("image/png", "png"),
            Kind::Webp => ("image/webp", "webp"),
            Kind::Gif => ("image/gif", "gif"),
            Kind::Heic => ("image/heic", "heic"),
            Kind::Avif => ("image/avif", "avif"),
            Kind::Tiff => ("image/tiff", "tiff"),
            Kind::Bmp => ("image/bmp", "bmp"),
            Kind::Mp4 => ("video/mp4", "mp4"),
            Kind::Quicktime => ("video/quicktime", "mov"),
            Kind::Webm => ("video/webm", "webm"),
            Kind::Matroska => ("video/x-matroska", "mkv"),
            Kind::Avi => ("video/x-msvideo", "avi"),
        }
    }

    /// The kind of this content type.
    pub fn of(content_type: &str) -> Option<Self> {
        use Kind::*;
        [Jpeg, Png, Webp, Gif, Heic, Avif, Tiff, Bmp, Mp4, Quicktime, Webm, Matroska, Avi]
            .into_iter()
            .find(|kind| kind.content_type() == content_type)
    }

    pub fn content_type(self) -> &'static str {
        self.names().0
    }

    /// As in a file name, without the dot.
    pub fn extension(self) -> &'static str {
        self.names().1
    }

    pub fn is_image(self) -> bool {
        self.content_type().starts_with("image/")
    }

    pub fn is_video(self) -> bool {
        self.content_type().starts_with("video/")
    }
}

/// The kind of a file from its first bytes; 64 are enough. `None`: nothing that people publish.
pub fn sniff(head: &[u8]) -> Option<Kind> {
    let at = |from: usize, what: &[u8]| head.get(from..).is_some_and(|b| b.starts_with(what));
    match head {
        [0xFF, 0xD8, 0xFF, ..] => Some(Kind::Jpeg),
        _ if at(0, b"\x89PNG\r\n\x1a\n") => Some(Kind::Png),
        _ if at(0, b"GIF87a") || at(0, b"GIF89a") => Some(Kind::Gif),
        _ if at(0, b"RIFF") && at(8, b"WEBP") => Some(Kind::Webp),
        _ if at(0, b"RIFF") && at(8, b"AVI ") => Some(Kind::Avi),
        _ if at(0, b"II*\0") || at(0, b"MM\0*") => Some(Kind::Tiff),
        // Two letters alone would make a bitmap of much prose: its reserved zeros are asked too.
        _ if at(0, b"BM") && at(6, &[0; 4]) && at(15, &[0; 3]) => Some(Kind::Bmp),
        _ if at(4, b"ftyp") => iso_brand(head),
        // Cameras of old write QuickTime without `ftyp`; the size before it keeps prose out.
        [0, _, _, _, name @ ..] => [b"moov", b"mdat", b"wide", b"pnot"]
            .iter()
            .any(|atom| name.starts_with(*atom))
            .then_some(Kind::Quicktime),
        [0x1A, 0x45, 0xDF, 0xA3, rest @ ..] => {
            let doctype = |name: &[u8]| rest.windows(name.len()).any(|w| w == name);
            if doctype(b"webm") {
                Some(Kind::Webm)
            } else {
                doctype(b"matroska").then_some(Kind::Matroska)
            }
        }
        _ => None,
    }
}

/// The first brand that says something: the major one, else a compatible one (`mif1` says little).
fn iso_brand(head: &[u8]) -> Option<Kind> {
    let end = (u32::from_be_bytes(*head.first_chunk()?) as usize).min(head.len());
    let compatible = head.get(16..end).unwrap_or_default();
    for brand in head.get(8..12).into_iter().chain(compatible.chunks_exact(4)) {
        match brand {
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => return Some(Kind::Heic),
            b"avif" | b"avis" => return Some(Kind::Avif),
            b"qt  " => return Some(Kind::Quicktime),
            // Sound, and a camera's raw file, in the same container.
            b"M4A " | b"M4B " | b"M4P " | b"crx " => return None,
            b"avc1" | b"dash" | b"M4V " | b"MSNV" => return Some(Kind::Mp4),
            [b'i', b's', b'o', _] | [b'm', b'p', b'4', _] => return Some(Kind::Mp4),
            [b'3', b'g', ..] => return Some(Kind::Mp4),
            _ => {}
        }
    }
    None
}

/// A picture's facts. Width and height are as it is seen: after its orientation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    pub kind: Kind,
    pub width: u32,
    pub height: u32,
    /// Exif orientation, 1 to 8; 1 where none is stated.
    pub orientation: u8,
    pub animated: bool,
}

/// The same of a picture that these limits admit.
pub fn admitted(data: &[u8], limits: &Limits) -> Result<Probe, PictureError> {
    limits.admit(&header(data)?)?;
    probe(data)
}

/// Reads a picture's header. Says nothing about the pixels: they may still be damaged.
pub fn probe(data: &[u8]) -> Result<Probe, PictureError> {
    let Header { kind, width, height, orientation, animated, .. } = header(data)?;
    let (width, height) = if orientation >= 5 { (height, width) } else { (width, height) };
    Ok(Probe { kind, width, height, orientation, animated })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_content() {
        let known: [(&[u8], Kind); 17] = [
            (b"\xFF\xD8\xFF\xE1\0\x10Exif\0\0", Kind::Jpeg),
            (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", Kind::Png),
            (b"GIF89a\x10\0\x10\0", Kind::Gif),
            (b"RIFF\x36\0\0\0WEBPVP8 ", Kind::Webp),
            (b"RIFF\x36\0\0\0AVI LIST", Kind::Avi),
            (b"II*\0\x08\0\0\0", Kind::Tiff),
            (b"MM\0*\0\0\0\x08", Kind::Tiff),
            (b"BM\x46\0\x01\0\0\0\0\0\x36\0\0\0\x28\0\0\0", Kind::Bmp),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Kind::Heic),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", Kind::Avif),
            (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", Kind::Mp4),
            (b"\0\0\0\x18ftypXAVC\0\0\0\0XAVCmp42", Kind::Mp4),
            (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", Kind::Quicktime),
            (b"\0\0\x03\x2cmoov\0\0\0\x6cmvhd", Kind::Quicktime),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", Kind::Webm),
            (b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x88matroska", Kind::Matroska),
            (b"\0\0\0\x14ftyp3gp5\0\0\0\0", Kind::Mp4),
        ];
        for (head, kind) in known {
            assert_eq!(sniff(head), Some(kind), "{head:?}");
            assert!(kind.is_image() != kind.is_video());
        }
        let others: [&[u8]; 9] = [
            b"",
            b"\xFF\xD8",
            b"<!doctype html><title>cat.png</title>",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"BMW makes cars, and this is prose about them",
            b"the moov of prose",
            b"%PDF-1.7",
            b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42",
            b"RIFF\x36\0\0\0WAVEfmt ",
        ];
        for head in others {
            assert_eq!(sniff(head), None, "{head:?}");
        }
    }
}
