//! The key ring: tokens are sealed with AEAD under keys that have ids.
//!
//! A sealed text is `key id . base64url(nonce ‖ ciphertext)`. What it belongs to (a connection's
//! id) is authenticated with it, so that a row copied onto another does not open.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::ids;

/// Keys by id; the first seals, all open.
#[derive(Clone)]
pub struct Keys(Vec<(String, XChaCha20Poly1305)>);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    #[error("CARILLON_KEYS: {0}")]
    Ring(String),
    #[error(
        "sealed with key `{0}`, which is not in CARILLON_KEYS: add that key back, at the end of the list"
    )]
    Missing(String),
    #[error(
        "does not open with key `{0}`: the key is another one of that name, or the data was changed"
    )]
    Wrong(String),
    #[error("is not a sealed text")]
    Shape,
}

impl Keys {
    /// Parses `id:base64,…`: each key 32 bytes.
    pub fn parse(ring: &str) -> Result<Self, KeyError> {
        let mut keys: Vec<(String, XChaCha20Poly1305)> = Vec::new();
        for entry in ring.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            let wrong =
                |why: String| KeyError::Ring(format!("{why}; make one with `carillon keys new`"));
            let (id, text) = entry
                .split_once(':')
                .ok_or_else(|| wrong("an entry is not of the form `id:base64`".into()))?;
            if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                return Err(wrong("a key's id may hold letters, digits and `-` only".into()));
            }
            if keys.iter().any(|(known, _)| known == id) {
                return Err(wrong(format!("the id `{id}` stands there twice")));
            }
            let bytes = STANDARD
                .decode(text)
                .map_err(|_| wrong(format!("the key `{id}` is not base64")))?;
            let key = XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| {
                wrong(format!("the key `{id}` has {} bytes, it needs 32", bytes.len()))
            })?;
            keys.push((id.to_owned(), key));
        }
        if keys.is_empty() {
            return Err(KeyError::Ring(
                "there is no key; make one with `carillon keys new`".into(),
            ));
        }
        Ok(Self(keys))
    }

    /// A new ring of one key, as CARILLON_KEYS takes it.
    pub fn fresh() -> String {
        let mut key = [0u8; 32];
        ids::fill(&mut key);
        format!("k{}:{}", &ids::secret()[..8], STANDARD.encode(key))
    }

    /// The ring of a data folder, made there at first use and readable by its owner only.
    pub fn in_folder(dir: &Path) -> anyhow::Result<Self> {
        use anyhow::Context;
        let file = dir.join("keys");
        if !file.exists() {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("cannot make {}", dir.display()))?;
            write_private(&file, &Self::fresh())
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        let ring = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(ring.trim())
            .with_context(|| format!("the key file {} is damaged", file.display()))
    }

    pub fn seal(&self, text: &str, belongs_to: &str) -> String {
        let (id, key) = &self.0[0];
        let mut nonce = [0u8; 24];
        ids::fill(&mut nonce);
        let payload = Payload { msg: text.as_bytes(), aad: belongs_to.as_bytes() };
        let sealed = key
            .encrypt(&XNonce::from(nonce), payload)
            .expect("sealing fails only for messages of 256 GB");
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        format!("{id}.{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    pub fn open(&self, sealed: &str, belongs_to: &str) -> Result<String, KeyError> {
        let (id, text) = sealed.split_once('.').ok_or(KeyError::Shape)?;
        let (_, key) = self
            .0
            .iter()
            .find(|(known, _)| known == id)
            .ok_or_else(|| KeyError::Missing(id.to_owned()))?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyError::Shape)?;
        let (nonce, sealed) = bytes.split_first_chunk::<24>().ok_or(KeyError::Shape)?;
        let payload = Payload { msg: sealed, aad: belongs_to.as_bytes() };
        let wrong = || KeyError::Wrong(id.to_owned());
        let open = key.decrypt(&XNonce::from(*nonce), payload).map_err(|_| wrong())?;
        String::from_utf8(open).map_err(|_| wrong())
    }
}

/// Writes a file that only its owner can read, whole or not at all.
pub fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let draft = file.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&draft)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    std::fs::rename(&draft, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_only_where_it_belongs() {
        let (old, new) = (Keys::fresh(), Keys::fresh());
        let keys = Keys::parse(&old).unwrap();
        let sealed = keys.seal("token", "connection-1");
        assert!(!sealed.contains("token"));
        assert_eq!(keys.open(&sealed, "connection-1").unwrap(), "token");
        assert!(matches!(keys.open(&sealed, "connection-2"), Err(KeyError::Wrong(_))));
        let both = Keys::parse(&format!("{new},{old}")).unwrap();
        assert_eq!(both.open(&sealed, "connection-1").unwrap(), "token");
        let without = Keys::parse(&new).unwrap();
        assert!(matches!(without.open(&sealed, "connection-1"), Err(KeyError::Missing(_))));
        let mut flipped = sealed.clone().into_bytes();
        let last = flipped.len() - 3;
        flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
        let flipped = String::from_utf8(flipped).unwrap();
        assert!(matches!(keys.open(&flipped, "connection-1"), Err(KeyError::Wrong(_))));
    }

    #[test]
    fn a_short_or_odd_ring_is_refused_with_the_reason() {
        for (ring, says) in [
            ("", "no key"),
            ("k1:AAAA", "has 3 bytes, it needs 32"),
            ("k1", "not of the form"),
            ("k1:%%%", "not base64"),
        ] {
            let e = Keys::parse(ring).err().expect(ring).to_string();
            assert!(e.contains(says), "{ring}: {e}");
        }
    }
}
