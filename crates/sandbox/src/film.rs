//! Films: their length and size from an MP4's header, and a file that arrives piece by piece.

use bytes::{Bytes, BytesMut};

/// What the header of an MP4 says.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Film {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) millis: u64,
    /// Does the header come before the film itself, so that it can be played while it is fetched?
    pub(crate) header_first: bool,
}

impl Film {
    pub(crate) fn ratio(self) -> f64 {
        f64::from(self.width) / f64::from(self.height.max(1))
    }

    /// Is it from `least` to `most` seconds long?
    pub(crate) fn lasts(self, least: u64, most: u64) -> bool {
        (least * 1_000..=most * 1_000).contains(&self.millis)
    }
}

/// Reads `moov/mvhd` and the largest `moov/trak/tkhd`; `None` for what has no such header.
pub(crate) fn measure(bytes: &[u8]) -> Option<Film> {
    let (at, moov) =
        atoms(bytes).find_map(|(name, at, body)| (name == b"moov").then_some((at, body)))?;
    let inside = |of, wanted: &[u8; 4]| {
        atoms(of).find_map(|(name, _, body)| (name == wanted).then_some(body))
    };
    let mvhd = inside(moov, b"mvhd")?;
    let (scale, length) = match mvhd.first()? {
        0 => (be32(mvhd, 12)?, u64::from(be32(mvhd, 16)?)),
        _ => (be32(mvhd, 20)?, be64(mvhd, 24)?),
    };
    let tracks = atoms(moov).filter(|(name, ..)| *name == b"trak");
    let size = tracks.filter_map(|(_, _, body)| {
        let tkhd = inside(body, b"tkhd")?;
        let at = if *tkhd.first()? == 0 { 76 } else { 88 };
        // Fixed point: the upper half is whole pixels.
        Some((be32(tkhd, at)? >> 16, be32(tkhd, at + 4)? >> 16))
    });
    let (width, height) = size.max()?;
    let data = atoms(bytes).find_map(|(name, at, _)| (name == b"mdat").then_some(at));
    Some(Film {
        width,
        height,
        millis: length.saturating_mul(1_000) / u64::from(scale.max(1)),
        header_first: data.is_none_or(|data| at < data),
    })
}

/// The boxes that follow each other: name, place and body.
fn atoms(bytes: &[u8]) -> impl Iterator<Item = (&[u8], usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let name = bytes.get(at + 4..at + 8)?;
        let (head, size) = match be32(bytes, at)? {
            0 => (8, bytes.len() - at),
            1 => (16, usize::try_from(be64(bytes, at + 8)?).ok()?),
            size => (8, usize::try_from(size).ok()?),
        };
        let end = at.checked_add(size)?.min(bytes.len());
        let body = bytes.get(at + head..end)?;
        let found = (name, at, body);
        at = end;
        Some(found)
    })
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// A file of a known size of which the beginning is there.
#[derive(Default)]
pub(crate) struct Upload {
    bytes: BytesMut,
    /// Of the whole file; `None` until somebody says so.
    pub(crate) total: Option<usize>,
}

/// Why a piece is not taken.
#[derive(Debug, PartialEq)]
pub(crate) enum Misplaced {
    /// It does not begin where the last one ended.
    Offset,
    /// It reaches beyond the end of the file, or another size was said before.
    Size,
}

impl Upload {
    pub(crate) fn of(total: usize) -> Self {
        Self { bytes: BytesMut::new(), total: Some(total) }
    }

    pub(crate) fn arrived(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.total.is_some_and(|total| total == self.bytes.len())
    }

    pub(crate) fn take(&mut self, at: usize, piece: &[u8], total: usize) -> Result<(), Misplaced> {
        if at != self.bytes.len() {
            return Err(Misplaced::Offset);
        }
        if *self.total.get_or_insert(total) != total || at + piece.len() > total {
            return Err(Misplaced::Size);
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// The whole file, which is given away.
    pub(crate) fn finish(&mut self) -> Bytes {
        self.bytes.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes()[..], name, body].concat()
    }

    fn film(width: u16, height: u16, millis: u32) -> Vec<u8> {
        let mut mvhd = vec![0; 100];
        mvhd[12..16].copy_from_slice(&1_000_u32.to_be_bytes());
        mvhd[16..20].copy_from_slice(&millis.to_be_bytes());
        let mut tkhd = vec![0; 84];
        tkhd[76..78].copy_from_slice(&width.to_be_bytes());
        tkhd[80..82].copy_from_slice(&height.to_be_bytes());
        let tracks =
            [atom(b"trak", &atom(b"tkhd", &[0; 84])), atom(b"trak", &atom(b"tkhd", &tkhd))];
        atom(b"moov", &[atom(b"mvhd", &mvhd), tracks.concat()].concat())
    }

    #[test]
    fn a_film_is_measured_by_its_header() {
        let (head, data) = (film(1080, 1920, 20_500), atom(b"mdat", &[7; 50]));
        let whole = [atom(b"ftyp", b"isom"), head.clone(), data.clone()].concat();
        let expected = Film { width: 1080, height: 1920, millis: 20_500, header_first: true };
        assert_eq!(measure(&whole), Some(expected));
        assert!(expected.lasts(3, 60) && !expected.lasts(21, 60) && !expected.lasts(3, 20));
        let late = [atom(b"ftyp", b"isom"), data, head].concat();
        assert_eq!(measure(&late).map(|film| film.header_first), Some(false));
        for len in 0..whole.len() {
            // A torn file is no panic.
            measure(&whole[..len]);
        }
    }

    #[test]
    fn pieces_are_taken_in_order_and_no_further_than_the_end() {
        let mut upload = Upload::default();
        assert_eq!(upload.take(1, b"b", 3), Err(Misplaced::Offset));
        assert_eq!(upload.take(0, b"ab", 3), Ok(()));
        assert_eq!((upload.arrived(), upload.is_complete()), (2, false));
        assert_eq!(upload.take(2, b"cd", 3), Err(Misplaced::Size));
        assert_eq!(upload.take(2, b"c", 4), Err(Misplaced::Size));
        assert_eq!(upload.take(2, b"c", 3), Ok(()));
        assert!(upload.is_complete());
        assert_eq!(upload.finish(), "abc");
    }
}
