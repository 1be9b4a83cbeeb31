//! One request's bytes on their way into an upload.

use std::fmt::Display;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::super::blobs::{PIECE, Staging};
use super::adopting::{HEAD, admits};
use super::{discard, expiry, keep, moved_on, pieces, resume, staging, stopped, too_long};
use crate::domain::refusal::{Kind as No, Refusal};
use crate::store::uploads::{self, Upload};
use crate::{App, store};

/// Longest wait for the next bytes. A client that went away without a word keeps others off its
/// upload for so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that are read and thrown away after a refusal, so that a client that is still sending gets
/// to read the answer.
const DRAIN: usize = 64 << 20;

/// What a request's bytes must come to.
#[derive(Debug, Clone)]
pub struct Checksum {
    algorithm: Algorithm,
    wanted: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Algorithm {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Checksum {
    /// The algorithms that are known, as `Tus-Checksum-Algorithm` names them.
    pub const KNOWN: &str = "sha1,sha256";

    /// Reads `sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=`; `None` when it is nothing that is known.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, wanted) = text.trim().split_once(' ')?;
        let algorithm = match name {
            "sha1" => Algorithm::Sha1(Sha1::new()),
            "sha256" => Algorithm::Sha256(Sha256::new()),
            _ => return None,
        };
        Some(Self { algorithm, wanted: STANDARD.decode(wanted.trim()).ok()? })
    }

    fn update(&mut self, bytes: &[u8]) {
        match &mut self.algorithm {
            Algorithm::Sha1(hash) => hash.update(bytes),
            Algorithm::Sha256(hash) => hash.update(bytes),
        }
    }

    fn fits(self) -> bool {
        match self.algorithm {
            Algorithm::Sha1(hash) => hash.finalize()[..] == self.wanted,
            Algorithm::Sha256(hash) => hash.finalize()[..] == self.wanted,
        }
    }
}

pub(super) struct Receiver<'a> {
    app: &'a App,
    /// As the row is to become.
    upload: Upload,
    /// How many bytes the row has.
    committed: i64,
    /// Where the bytes of `committed` are, and those of `upload`.
    stood: Staging,
    staging: Staging,
    /// After all bytes, those that are held among them.
    digest: Sha256,
    checksum: Option<Checksum>,
    /// Not in the store yet.
    held: BytesMut,
}

impl<'a> Receiver<'a> {
    pub(super) fn new(
        app: &'a App,
        upload: Upload,
        checksum: Option<Checksum>,
    ) -> Result<Self, Refusal> {
        let (staging, digest) = (staging(&upload)?, resume(&upload.digest)?);
        let committed = upload.received;
        let (stood, held) = (staging.clone(), BytesMut::new());
        Ok(Self { app, upload, committed, stood, staging, digest, checksum, held })
    }

    /// Takes what comes, to its end or to where it breaks off.
    pub(super) async fn run<S, E>(mut self, mut body: S) -> Result<Upload, Refusal>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: Display,
    {
        let ended = loop {
            match tokio::time::timeout(PATIENCE, body.next()).await {
                Ok(Some(Ok(bytes))) => {
                    if let Err(refusal) = self.take(bytes).await {
                        drain(body).await;
                        return Err(refusal);
                    }
                }
                Ok(None) => break Ok(()),
                Ok(Some(Err(e))) => {
                    tracing::info!(error = %e, upload = self.upload.id, "an upload broke off");
                    break Err(broke_off());
                }
                Err(_) => break Err(stalled()),
            }
        };
        match (ended, self.checksum.take().map(Checksum::fits)) {
            (Ok(()), Some(false)) => Err(mismatch()),
            // What is not whole cannot be checked: nothing of it stands.
            (Err(refusal), Some(_)) => Err(refusal),
            (ended, _) => {
                self.flush().await?;
                self.commit().await?;
                ended.map(|()| self.upload)
            }
        }
    }

    async fn take(&mut self, mut bytes: Bytes) -> Result<(), Refusal> {
        let length = self.upload.length as u64;
        while !bytes.is_empty() {
            let at = self.end();
            let room = (PIECE - at % PIECE).min(length - at) as usize;
            if room == 0 {
                return Err(too_long(self.upload.length));
            }
            let part = bytes.split_to(room.min(bytes.len()));
            self.digest.update(&part);
            if let Some(checksum) = &mut self.checksum {
                checksum.update(&part);
            }
            self.held.extend_from_slice(&part);
            // The last piece is kept back to the end: only then is it certain that no more comes.
            if self.end().is_multiple_of(PIECE) && self.end() < length {
                self.flush().await?;
                if self.checksum.is_none() {
                    self.commit().await?;
                }
            }
        }
        Ok(())
    }

    /// How many bytes have come, those that are held among them.
    fn end(&self) -> u64 {
        self.upload.received as u64 + self.held.len() as u64
    }

    /// Brings what is held into the store.
    async fn flush(&mut self) -> Result<(), Refusal> {
        let piece = self.held.split().freeze();
        if piece.is_empty() {
            return Ok(());
        }
        let (at, length) = (self.upload.received as u64, self.upload.length as u64);
        if at == 0
            && piece.len() as u64 >= HEAD
            && let Err(refusal) = admits(self.app, &piece, length)
        {
            discard(self.app, &self.upload).await;
            return Err(refusal);
        }
        let received = at + piece.len() as u64;
        let file = pieces(&self.upload);
        match self.app.blobs.append(&self.staging, &file, at, piece).await {
            Ok(staging) => self.staging = staging,
            Err(e) => return Err(stopped(self.app, &self.upload, self.committed, &e).await),
        }
        self.upload.received = received as i64;
        self.upload.digest = keep(&self.digest);
        self.upload.staging = store::json(&self.staging);
        Ok(())
    }

    /// Answers for what is in the store.
    async fn commit(&mut self) -> Result<(), Refusal> {
        if self.upload.received == self.committed {
            return Ok(());
        }
        self.upload.expires_at = expiry(self.app);
        let (row, from) = (self.upload.clone(), self.committed);
        let write =
            self.app.db.write(move |tx| async move { uploads::advance(&tx, &row, from).await });
        if !write.await? {
            return Err(moved_on());
        }
        self.committed = self.upload.received;
        let before = std::mem::replace(&mut self.stood, self.staging.clone());
        if let Err(e) = self.app.blobs.supersede(&before, &self.staging).await {
            // It goes with the rest when the upload ends.
            tracing::warn!(error = %e, upload = self.upload.id, "a piece stays in the store twice");
        }
        Ok(())
    }
}

async fn drain<S, E>(mut body: S)
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut left = DRAIN;
    while let Ok(Some(Ok(bytes))) = tokio::time::timeout(PATIENCE, body.next()).await {
        match left.checked_sub(bytes.len()) {
            Some(less) => left = less,
            None => return,
        }
    }
}

fn broke_off() -> Refusal {
    let fix = "Ask with HEAD how far the upload has come, and go on there.";
    Refusal::new(No::Invalid, "upload_broke_off", "The upload broke off before its end.", fix)
}

fn stalled() -> Refusal {
    let sentence = format!("Nothing came for {} s.", PATIENCE.as_secs());
    let fix = "Ask with HEAD how far the upload has come, and go on there.";
    Refusal::new(No::Invalid, "upload_stalled", sentence, fix)
}

fn mismatch() -> Refusal {
    let sentence = "The bytes do not come to the checksum that was sent with them.";
    let fix = "Send the same bytes again: nothing of them was kept.";
    Refusal::new(No::Invalid, "checksum_mismatch", sentence, fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_read_and_held_against_the_bytes() {
        let of = |text: &str, bytes: &[u8]| {
            let mut checksum = Checksum::parse(text).expect(text);
            checksum.update(bytes);
            checksum.fits()
        };
        // The protocol's own example.
        assert!(of("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", b"hello world"));
        assert!(!of("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", b"hello worlds"));
        assert!(of("sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=", b"hello world"));
        for unknown in ["md5 XrY7u+Ae7tCTyyK7j1rNww==", "sha1", "sha1 not base64!", ""] {
            assert!(Checksum::parse(unknown).is_none(), "{unknown}");
        }
    }
}
