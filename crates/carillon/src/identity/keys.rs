//! The key ring: secrets are sealed with AEAD under keys that have ids.
//!
//! A sealed text is `key id . base64url(nonce ‖ ciphertext)`. What it belongs to (its place and
//! row) is authenticated with it, so that a row copied onto another does not open. A ring in the
//! data folder is read again while a process runs: a new key arrives without a restart.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::domain::sealed::Place;
use crate::ids;

/// What a proof is sealed for.
const PROOF: &str = "proof";

/// Keys by id; the first seals, all open. Cheap to clone: every clone is the same ring.
#[derive(Clone)]
pub struct Keys(Arc<Ring>);

struct Ring {
    keys: RwLock<Vec<Key>>,
    file: Option<Source>,
}

#[derive(Clone)]
struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

/// The file of a ring, and what stood there when it was last read.
struct Source {
    path: PathBuf,
    text: Mutex<String>,
}

#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
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
        Ok(Self(Arc::new(Ring { keys: RwLock::new(parse(ring)?), file: None })))
    }

    /// A new ring of one key, as CARILLON_KEYS takes it.
    pub fn fresh() -> String {
        let mut key = [0u8; 32];
        ids::fill(&mut key);
        format!("k{}:{}", &ids::secret()[..8], STANDARD.encode(key))
    }

    /// The ring of a data folder, made there at first use and readable by its owner only.
    pub fn in_folder(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("keys");
        if !path.exists() {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("cannot make {}", dir.display()))?;
            let _turn = turn(dir)?;
            // Whoever came first has sealed with its key already.
            if !path.exists() {
                write_private(&path, &Self::fresh())
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let keys =
            parse(&text).with_context(|| format!("the key file {} is damaged", path.display()))?;
        let file = Some(Source { path, text: Mutex::new(text) });
        Ok(Self(Arc::new(Ring { keys: RwLock::new(keys), file })))
    }

    /// Puts a new key in front of the ring of a data folder; its id.
    pub fn add_in_folder(dir: &Path) -> anyhow::Result<String> {
        let key = Self::fresh();
        let id = key.split(':').next().unwrap_or_default().to_owned();
        change(dir, |old| format!("{key},{}", old.trim()))?;
        Ok(id)
    }

    /// Takes a key out of the ring of a data folder; nothing may be sealed with it any more.
    pub fn remove_in_folder(dir: &Path, id: &str) -> anyhow::Result<()> {
        change(dir, |old| {
            let entries = old.split(',').map(str::trim);
            let left = entries.filter(|e| e.split(':').next().map(str::trim) != Some(id));
            left.collect::<Vec<_>>().join(",")
        })
    }

    /// Where a ring of a data folder stands; `None` for one of the environment.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_ref().map(|file| file.path.as_path())
    }

    /// The ids of the ring, the one that seals first.
    pub fn ids(&self) -> Vec<String> {
        self.keys().iter().map(|key| key.id.clone()).collect()
    }

    /// The id of the key that seals.
    pub fn newest(&self) -> String {
        self.keys().first().map(|key| key.id.clone()).unwrap_or_default()
    }

    /// Reads the ring's file again, if it has one and it changed. Keys that are no longer there
    /// stay until the process ends: something may be sealed with them still.
    pub fn refresh(&self) {
        let Some(file) = &self.0.file else { return };
        let mut known = file.text.lock().unwrap_or_else(|e| e.into_inner());
        let Ok(text) = std::fs::read_to_string(&file.path) else { return };
        if *known == text {
            return;
        }
        match parse(&text) {
            Ok(mut keys) => {
                let mut held = self.0.keys.write().unwrap_or_else(|e| e.into_inner());
                let gone = held.iter().filter(|old| keys.iter().all(|new| new.id != old.id));
                let gone: Vec<Key> = gone.cloned().collect();
                keys.extend(gone);
                *held = keys;
                *known = text;
            }
            Err(e) => tracing::error!(error = %e, "the key file cannot be read; the old keys hold"),
        }
    }

    /// Seals a text for a row of a place.
    pub fn seal(&self, text: &str, place: Place, row: &str) -> String {
        self.encrypt(text, &place.belongs_to(row))
    }

    /// Opens what was sealed for this row.
    pub fn open(&self, sealed: &str, place: Place, row: &str) -> Result<String, KeyError> {
        self.open_with(sealed, place, row).map(|(text, _)| text)
    }

    /// The same, and the id of the key that opened it.
    pub fn open_with(
        &self,
        sealed: &str,
        place: Place,
        row: &str,
    ) -> Result<(String, String), KeyError> {
        let belongs_to = place.belongs_to(row);
        match self.decrypt(sealed, &belongs_to) {
            // Another process may have sealed it with a key that came since.
            Err(KeyError::Missing(_)) if self.0.file.is_some() => {
                self.refresh();
                self.decrypt(sealed, &belongs_to)
            }
            opened => opened,
        }
    }

    /// A sealed text that travels in an address and is kept nowhere: nothing seals it anew, it ends
    /// with its key.
    pub fn ticket(&self, text: &str, purpose: &str) -> String {
        self.encrypt(text, purpose)
    }

    /// What a ticket says.
    pub fn read_ticket(&self, ticket: &str, purpose: &str) -> Result<String, KeyError> {
        self.decrypt(ticket, purpose).map(|(text, _)| text)
    }

    /// A known text, sealed with this key of the ring: what it proves is that a key is the same.
    pub fn proof(&self, id: &str) -> Option<String> {
        let keys = self.keys();
        keys.iter().find(|key| key.id == id).map(|key| encrypt(key, id, PROOF))
    }

    /// Is this key of the ring the one that the proof was made with?
    pub fn proves(&self, id: &str, proof: &str) -> bool {
        self.decrypt(proof, PROOF).is_ok_and(|(text, key)| text == id && key == id)
    }

    /// The id of the key that a text is sealed with.
    pub fn id_of(sealed: &str) -> Option<&str> {
        sealed.split_once('.').map(|(id, _)| id).filter(|id| is_id(id))
    }

    fn keys(&self) -> Vec<Key> {
        self.0.keys.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    fn encrypt(&self, text: &str, belongs_to: &str) -> String {
        let keys = self.0.keys.read().unwrap_or_else(|e| e.into_inner());
        encrypt(&keys[0], text, belongs_to)
    }

    fn decrypt(&self, sealed: &str, belongs_to: &str) -> Result<(String, String), KeyError> {
        let (id, text) = sealed.split_once('.').ok_or(KeyError::Shape)?;
        if !is_id(id) {
            return Err(KeyError::Shape);
        }
        let keys = self.0.keys.read().unwrap_or_else(|e| e.into_inner());
        let open = |key: &Key| {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let (nonce, sealed) = bytes.split_first_chunk::<24>()?;
            let payload = Payload { msg: sealed, aad: belongs_to.as_bytes() };
            let open = key.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
            Some((String::from_utf8(open).ok()?, key.id.clone()))
        };
        match keys.iter().find(|key| key.id == id) {
            Some(key) => open(key).ok_or_else(|| KeyError::Wrong(id.to_owned())),
            // The id itself may be what was damaged, or a key was given another name.
            None => keys.iter().find_map(open).ok_or_else(|| KeyError::Missing(id.to_owned())),
        }
    }
}

fn encrypt(Key { id, cipher }: &Key, text: &str, belongs_to: &str) -> String {
    let mut nonce = [0u8; 24];
    ids::fill(&mut nonce);
    let payload = Payload { msg: text.as_bytes(), aad: belongs_to.as_bytes() };
    let sealed = cipher
        .encrypt(&XNonce::from(nonce), payload)
        .expect("sealing fails only for messages of 256 GB");
    let mut bytes = nonce.to_vec();
    bytes.extend(sealed);
    format!("{id}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn parse(ring: &str) -> Result<Vec<Key>, KeyError> {
    let mut keys: Vec<Key> = Vec::new();
    for entry in ring.split(',').map(str::trim).filter(|e| !e.is_empty()) {
        let wrong =
            |why: String| KeyError::Ring(format!("{why}; make one with `carillon keys generate`"));
        let (id, text) = entry
            .split_once(':')
            .ok_or_else(|| wrong("an entry is not of the form `id:base64`".into()))?;
        if !is_id(id) {
            return Err(wrong("a key's id may hold letters, digits and `-` only".into()));
        }
        if keys.iter().any(|known| known.id == id) {
            return Err(wrong(format!("the id `{id}` stands there twice")));
        }
        let bytes =
            STANDARD.decode(text).map_err(|_| wrong(format!("the key `{id}` is not base64")))?;
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes)
            .map_err(|_| wrong(format!("the key `{id}` has {} bytes, it needs 32", bytes.len())))?;
        keys.push(Key { id: id.to_owned(), cipher });
    }
    if keys.is_empty() {
        return Err(KeyError::Ring(
            "there is no key; make one with `carillon keys generate`".into(),
        ));
    }
    Ok(keys)
}

/// Changes the ring of a data folder, one process at a time: a key that another one has just added
/// must not get lost, something may be sealed with it.
fn change(dir: &Path, how: impl FnOnce(&str) -> String) -> anyhow::Result<()> {
    Keys::in_folder(dir)?;
    let _turn = turn(dir)?;
    let path = dir.join("keys");
    let old = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let new = how(&old);
    parse(&new).with_context(|| format!("{} stays as it was", path.display()))?;
    write_private(&path, &format!("{new}\n"))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Held while the ring of a folder is changed.
fn turn(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join("keys.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
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
    std::fs::rename(&draft, file)?;
    // The name, too, must outlive a power cut: what is sealed next opens with nothing else.
    #[cfg(unix)]
    if let Some(dir) = file.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Place = Place::ConnectionSecrets;

    #[test]
    fn what_is_sealed_opens_only_where_it_belongs() {
        let (old, new) = (Keys::fresh(), Keys::fresh());
        let keys = Keys::parse(&old).unwrap();
        let sealed = keys.seal("token", AT, "connection-1");
        assert!(!sealed.contains("token"));
        assert_eq!(keys.open(&sealed, AT, "connection-1").unwrap(), "token");
        assert!(matches!(keys.open(&sealed, AT, "connection-2"), Err(KeyError::Wrong(_))));
        let both = Keys::parse(&format!("{new},{old}")).unwrap();
        assert_eq!(both.open(&sealed, AT, "connection-1").unwrap(), "token");
        assert_eq!(Keys::id_of(&sealed), both.ids().last().map(String::as_str));
        assert_eq!(both.newest(), both.ids()[0]);
        let without = Keys::parse(&new).unwrap();
        assert!(matches!(without.open(&sealed, AT, "connection-1"), Err(KeyError::Missing(_))));
        for no in ["", "token", ".token", "k 1.token"] {
            assert_eq!(keys.open(no, AT, "connection-1"), Err(KeyError::Shape), "{no}");
            assert_eq!(Keys::id_of(no), None, "{no}");
        }
    }

    #[test]
    fn no_bit_of_a_sealed_text_can_be_changed() {
        let keys = Keys::parse(&Keys::fresh()).unwrap();
        let sealed = keys.seal("token", AT, "1").into_bytes();
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            let Ok(flipped) = String::from_utf8(flipped) else { continue };
            // The name of the key is a hint for which one to try; the rest is what it seals.
            match keys.open(&flipped, AT, "1") {
                Ok(open) => assert!(at < 9 && open == "token", "{at}"),
                Err(_) => assert!(at > 0, "{at}"),
            }
        }
    }

    #[test]
    fn a_ticket_is_good_for_its_purpose_only() {
        let keys = Keys::parse(&Keys::fresh()).unwrap();
        let ticket = keys.ticket("until noon", "setup");
        assert_eq!(keys.read_ticket(&ticket, "setup").unwrap(), "until noon");
        assert!(keys.read_ticket(&ticket, "media-url").is_err());
        assert!(keys.open(&ticket, AT, "1").is_err());
    }

    #[test]
    fn a_proof_tells_a_key_from_another_of_its_name() {
        let (one, two) = (Keys::fresh(), Keys::fresh());
        let id = one.split(':').next().unwrap();
        let keys = Keys::parse(&one).unwrap();
        let proof = keys.proof(id).expect("it is in the ring");
        assert!(keys.proves(id, &proof));
        let other = Keys::parse(&format!("{id}:{}", two.split(':').nth(1).unwrap())).unwrap();
        assert!(!other.proves(id, &proof));
        let renamed = Keys::parse(&one.replace(id, "k2")).unwrap();
        assert!(!renamed.proves("k2", &proof), "a proof is of one name");
        assert_eq!(keys.proof("k2"), None);
    }

    #[test]
    fn a_short_or_odd_ring_is_refused_with_the_reason() {
        for (ring, says) in [
            ("", "no key"),
            ("k1:AAAA", "has 3 bytes, it needs 32"),
            ("k1", "not of the form"),
            ("k1:%%%", "not base64"),
            ("k_1:AAAA", "letters, digits"),
        ] {
            let e = Keys::parse(ring).err().expect(ring).to_string();
            assert!(e.contains(says), "{ring}: {e}");
        }
        let twice = Keys::fresh();
        let e = Keys::parse(&format!("{twice},{twice}")).err().expect("twice").to_string();
        assert!(e.contains("stands there twice"), "{e}");
    }

    #[test]
    fn a_ring_in_a_folder_grows_under_a_running_process() {
        let dir = tempfile::tempdir().unwrap();
        let running = Keys::in_folder(dir.path()).unwrap();
        let first = running.newest();
        let old = running.seal("old", AT, "1");
        let second = Keys::add_in_folder(dir.path()).unwrap();
        let other = Keys::in_folder(dir.path()).unwrap();
        assert_eq!(other.ids(), [second.clone(), first.clone()]);
        let new = other.seal("new", AT, "1");
        assert_eq!(running.newest(), first, "nobody told it yet");
        assert_eq!(running.open(&new, AT, "1").unwrap(), "new", "it looks before it complains");
        assert_eq!(running.newest(), second);
        assert_eq!(other.open(&old, AT, "1").unwrap(), "old");

        Keys::remove_in_folder(dir.path(), &first).unwrap();
        running.refresh();
        assert_eq!(running.ids(), [second.clone(), first.clone()], "to its end");
        assert_eq!(Keys::in_folder(dir.path()).unwrap().ids(), std::slice::from_ref(&second));
        assert!(Keys::remove_in_folder(dir.path(), &second).is_err(), "the last one stays");
        std::fs::write(dir.path().join("keys"), "half a ke").unwrap();
        running.refresh();
        assert_eq!(running.newest(), second, "a damaged file takes nothing away");
    }

    #[test]
    fn keys_added_at_once_are_all_there() {
        let dir = tempfile::tempdir().unwrap();
        let add = || Keys::add_in_folder(dir.path()).unwrap();
        let added: Vec<String> = std::thread::scope(|s| {
            let all: Vec<_> = (0..8).map(|_| s.spawn(add)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let kept = Keys::in_folder(dir.path()).unwrap().ids();
        assert_eq!(kept.len(), 9);
        assert!(added.iter().all(|id| kept.contains(id)), "{added:?} in {kept:?}");
    }
}
