//! HMAC-SHA256 signatures, as those who check them do: in constant time.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Is this the HMAC-SHA256 of the parts in a row?
pub(crate) fn is_hmac(key: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(signature).is_ok()
}
