//! A zip file as it is written: each file as it is, its checksum and length behind it, so that nothing
//! has to be known before it is read (APPNOTE 6.3.10, 4.3). Names are UTF-8. Below 4 GB.

use bytes::{BufMut, Bytes, BytesMut};
use jiff::tz::TimeZone;

use crate::domain::when;

/// Names are UTF-8 (bit 11), checksum and lengths follow (bit 3).
const FLAGS: u16 = 1 << 11 | 1 << 3;
/// What a reader has to know: version 2.0.
const VERSION: u16 = 20;
/// Whoever reads it may: a regular file, rw-r--r--, made on Unix.
const ATTRIBUTES: u32 = 0o100_644 << 16;
const MADE_BY: u16 = 3 << 8 | VERSION;

/// What of a file is told again at the end.
struct Entry {
    name: String,
    crc: u32,
    size: u32,
    at: u32,
}

pub(super) struct Zip {
    entries: Vec<Entry>,
    open: Option<(Entry, crc32fast::Hasher)>,
    written: u64,
    time: (u16, u16),
}

/// It would have more than the 4 GB that the format counts to.
#[derive(Debug)]
pub(super) struct TooLarge;

impl Zip {
    pub(super) fn new(now: i64) -> Self {
        let at = when::wall(now, &TimeZone::UTC);
        let time = (at.hour() as u16) << 11 | (at.minute() as u16) << 5 | at.second() as u16 / 2;
        let years = (at.year() - 1980).clamp(0, 127) as u16;
        let date = years << 9 | (at.month() as u16) << 5 | at.day() as u16;
        Self { entries: Vec::new(), open: None, written: 0, time: (time, date) }
    }

    /// Begins a file.
    pub(super) fn begin(&mut self, name: &str) -> Result<Bytes, TooLarge> {
        let mut out = BytesMut::new();
        out.put_u32_le(0x0403_4b50);
        out.put_u16_le(VERSION);
        out.put_u16_le(FLAGS);
        out.put_u16_le(0);
        out.put_u16_le(self.time.0);
        out.put_u16_le(self.time.1);
        out.put_bytes(0, 12);
        out.put_u16_le(name.len() as u16);
        out.put_u16_le(0);
        out.put_slice(name.as_bytes());
        let at = u32::try_from(self.written).map_err(|_| TooLarge)?;
        let entry = Entry { name: name.to_owned(), crc: 0, size: 0, at };
        self.open = Some((entry, crc32fast::Hasher::new()));
        Ok(self.count(out))
    }

    /// A piece of the file that was begun.
    pub(super) fn piece(&mut self, data: Bytes) -> Result<Bytes, TooLarge> {
        if let Some((entry, crc)) = &mut self.open {
            let size = u32::try_from(data.len()).map_err(|_| TooLarge)?;
            entry.size = entry.size.checked_add(size).ok_or(TooLarge)?;
            crc.update(&data);
        }
        self.written += data.len() as u64;
        Ok(data)
    }

    /// Ends the file that was begun.
    pub(super) fn end(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        if let Some((entry, crc)) = self.open.take() {
            let entry = Entry { crc: crc.finalize(), ..entry };
            out.put_u32_le(0x0807_4b50);
            out.put_u32_le(entry.crc);
            out.put_u32_le(entry.size);
            out.put_u32_le(entry.size);
            self.entries.push(entry);
        }
        self.count(out)
    }

    /// What stands behind all files.
    pub(super) fn close(self) -> Result<Bytes, TooLarge> {
        let mut out = BytesMut::new();
        for e in &self.entries {
            out.put_u32_le(0x0201_4b50);
            out.put_u16_le(MADE_BY);
            out.put_u16_le(VERSION);
            out.put_u16_le(FLAGS);
            out.put_u16_le(0);
            out.put_u16_le(self.time.0);
            out.put_u16_le(self.time.1);
            out.put_u32_le(e.crc);
            out.put_u32_le(e.size);
            out.put_u32_le(e.size);
            out.put_u16_le(e.name.len() as u16);
            out.put_bytes(0, 8);
            out.put_u32_le(ATTRIBUTES);
            out.put_u32_le(e.at);
            out.put_slice(e.name.as_bytes());
        }
        let (files, size) = (self.entries.len() as u16, out.len() as u32);
        out.put_u32_le(0x0605_4b50);
        out.put_u32_le(0);
        out.put_u16_le(files);
        out.put_u16_le(files);
        out.put_u32_le(size);
        out.put_u32_le(u32::try_from(self.written).map_err(|_| TooLarge)?);
        out.put_u16_le(0);
        Ok(out.freeze())
    }

    fn count(&mut self, out: BytesMut) -> Bytes {
        self.written += out.len() as u64;
        out.freeze()
    }
}
