//! Bytes of pictures and films: what they are, where they are kept, and fetching them.
//!
//! A type is read from the bytes and never believed from a name or a header, as the networks do.
//! Equal bytes are kept once; past a bound the oldest are forgotten, and the ledger keeps their size.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use crate::ledger::LedgerMedia;
use crate::world::{World, hex, lock, sha256};

/// What the sandbox keeps in memory at most.
const KEPT: usize = 512 << 20;
/// What is read from an address at most.
const FETCH_LIMIT: usize = 16 << 20;
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// What bytes turned out to be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Kind {
    pub(crate) mime: &'static str,
    pub(crate) extension: &'static str,
    /// 0 where the sandbox does not measure.
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Kind {
    pub(crate) fn is_image(self) -> bool {
        self.mime.starts_with("image/")
    }
}

/// Reads the type and, of pictures, the size in pixels; `None` for anything else.
pub(crate) fn recognise(bytes: &[u8]) -> Option<Kind> {
    let kind = |mime, extension, (width, height)| Some(Kind { mime, extension, width, height });
    if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
        kind("image/jpeg", "jpg", jpeg_size(bytes)?)
    } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        kind("image/png", "png", (be32(bytes, 16)?, be32(bytes, 20)?))
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        let le = |at| Some(u32::from(*bytes.get(at)?) | u32::from(*bytes.get(at + 1)?) << 8);
        kind("image/gif", "gif", (le(6)?, le(8)?))
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        kind("image/webp", "webp", (0, 0))
    } else if bytes.get(4..8) == Some(b"ftyp") {
        kind("video/mp4", "mp4", (0, 0))
    } else if bytes.starts_with(b"%PDF-") {
        kind("application/pdf", "pdf", (0, 0))
    } else {
        None
    }
}

/// Width and height from the frame header of a JPEG.
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        while *bytes.get(at)? != 0xFF {
            at += 1;
        }
        while *bytes.get(at)? == 0xFF {
            at += 1;
        }
        let marker = *bytes.get(at)?;
        let two =
            |at: usize| Some(u32::from(*bytes.get(at)?) << 8 | u32::from(*bytes.get(at + 1)?));
        match marker {
            // Start of frame, of every coding but the tables that share its range.
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                return Some((two(at + 6)?, two(at + 4)?));
            }
            // Markers without a length.
            0x01 | 0xD0..=0xD8 => at += 1,
            0xD9 | 0xDA => return None,
            _ => at += 1 + usize::try_from(two(at + 1)?).ok()?.max(2),
        }
    }
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Bytes that were given to a network.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    /// SHA-256 of the bytes, in hexadecimal.
    pub(crate) hash: String,
    pub(crate) kind: Option<Kind>,
    pub(crate) size: usize,
}

impl Blob {
    /// The path where the sandbox serves the bytes.
    pub(crate) fn path(&self) -> String {
        let extension = self.kind.map_or("bin", |kind| kind.extension);
        format!("/_media/{}.{extension}", self.hash)
    }

    pub(crate) fn in_ledger(&self, alt: &str) -> LedgerMedia {
        let kind = match self.kind.map(|kind| kind.mime) {
            Some(mime) if mime.starts_with("image/") => "image",
            Some(mime) if mime.starts_with("video/") => "video",
            _ => "file",
        };
        LedgerMedia {
            kind: kind.to_owned(),
            url: self.path(),
            alt: alt.to_owned(),
            bytes: self.size,
        }
    }
}

#[derive(Default)]
pub(crate) struct Blobs(Mutex<Shelf>);

#[derive(Default)]
struct Shelf {
    by_hash: HashMap<String, Bytes>,
    oldest: VecDeque<String>,
    size: usize,
}

impl Blobs {
    pub(crate) fn keep(&self, bytes: &Bytes) -> Blob {
        let hash = hex(&sha256(bytes));
        let blob = Blob { hash: hash.clone(), kind: recognise(bytes), size: bytes.len() };
        let mut shelf = lock(&self.0);
        if !shelf.by_hash.contains_key(&hash) {
            shelf.size += bytes.len();
            shelf.oldest.push_back(hash.clone());
            // A copy: the caller's bytes may be a slice of a whole request.
            shelf.by_hash.insert(hash, Bytes::copy_from_slice(bytes));
            while shelf.size > KEPT
                && let Some(oldest) = shelf.oldest.pop_front()
            {
                let gone = shelf.by_hash.remove(&oldest).map_or(0, |bytes| bytes.len());
                shelf.size -= gone;
            }
        }
        blob
    }

    pub(crate) fn get(&self, hash: &str) -> Option<Bytes> {
        lock(&self.0).by_hash.get(hash).cloned()
    }

    pub(crate) fn clear(&self) {
        *lock(&self.0) = Shelf::default();
    }
}

/// Why a network could not fetch an address.
#[derive(Debug, PartialEq)]
pub(crate) enum Unfetched {
    /// Not an http or https address.
    Address,
    /// No answer, a redirect, an error status or too many bytes.
    Failed,
}

/// Fetches as the networks do: no redirects, ten seconds, a bounded body.
pub(crate) async fn fetch(world: &World, address: &str) -> Result<Bytes, Unfetched> {
    let url = url::Url::parse(address).map_err(|_| Unfetched::Address)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Unfetched::Address);
    }
    let client = world.client.get_or_init(client).as_ref().ok_or(Unfetched::Failed)?;
    let failed = |error: reqwest::Error| {
        tracing::debug!(%error, "media could not be fetched");
        Unfetched::Failed
    };
    let answer = client.get(url).send().await.map_err(failed)?;
    if !answer.status().is_success() {
        return Err(Unfetched::Failed);
    }
    let mut bytes = BytesMut::new();
    let mut stream = answer.bytes_stream();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.map_err(failed)?);
        if bytes.len() > FETCH_LIMIT {
            return Err(Unfetched::Failed);
        }
    }
    Ok(bytes.freeze())
}

fn client() -> Option<reqwest::Client> {
    // Refused when the program around the sandbox has installed its own, which serves as well.
    rustls::crypto::ring::default_provider().install_default().ok();
    let built = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(FETCH_TIMEOUT)
        .user_agent("facebookexternalhit/1.1 (Carillon sandbox)")
        .no_proxy()
        .build();
    built.inspect_err(|error| tracing::error!(%error, "no HTTP client to fetch media with")).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The head of a PNG of this size: enough for everything that only measures.
    pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend(width.to_be_bytes());
        png.extend(height.to_be_bytes());
        png.extend([8, 2, 0, 0, 0]);
        png
    }

    /// The head of a JPEG of this size, with a segment before its frame.
    pub(crate) fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut jpeg = vec![0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 0xFF, 0xC0, 0xFF, 0xC2, 0, 11, 8];
        jpeg.extend(height.to_be_bytes());
        jpeg.extend(width.to_be_bytes());
        jpeg.extend([3, 1, 0x22, 0, 0xFF, 0xD9]);
        jpeg
    }

    #[test]
    fn pictures_are_recognised_and_measured() {
        let size = |bytes: &[u8]| recognise(bytes).map(|k| (k.mime, k.width, k.height));
        assert_eq!(size(&png(640, 480)), Some(("image/png", 640, 480)));
        assert_eq!(size(&jpeg(1080, 1350)), Some(("image/jpeg", 1080, 1350)));
        assert_eq!(size(b"GIF89a\x40\x01\xf0\x00"), Some(("image/gif", 320, 240)));
        assert_eq!(size(b"<html>"), None);
        assert_eq!(size(&[0xFF, 0xD8, 0xFF, 0xE0]), None);
        assert_eq!(size(b""), None);
    }

    #[test]
    fn equal_bytes_are_kept_once() {
        let blobs = Blobs::default();
        let one = blobs.keep(&Bytes::from(png(1, 1)));
        let two = blobs.keep(&Bytes::from(png(1, 1)));
        assert_eq!(one.hash, two.hash);
        assert_eq!(lock(&blobs.0).oldest.len(), 1);
        assert_eq!(blobs.get(&one.hash).unwrap().len(), one.size);
        assert_eq!(one.in_ledger("A dot").url, format!("/_media/{}.png", one.hash));
    }
}
