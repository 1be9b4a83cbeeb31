//! The doors: password, one-time link, session, API key. Only hashes of what opens them are kept.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::App;
use crate::db::{Db, Error, Tx};
use crate::ids;
use crate::store::accounts::{self, Opened};
use crate::store::audit;

/// How long a session lasts without a new sign-in.
pub const SESSION_MS: i64 = 30 * 86_400_000;
/// How long a one-time link opens.
pub const LINK_MS: i64 = 24 * 3_600_000;

/// A random text with its kind in front: `car_…` an API key, `ses_…` a session, `one_…` a link.
pub fn token(kind: &str) -> String {
    let mut bytes = [0u8; 32];
    ids::fill(&mut bytes);
    format!("{kind}_{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of a token. Tokens carry 256 random bits: a plain hash cannot be guessed.
pub fn hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// Hashes a password with argon2id, off the async threads: it takes tens of ms by design.
pub async fn hash_password(password: String) -> anyhow::Result<String> {
    tokio::task::spawn_blocking(move || {
        Argon2::default()
            .hash_password(password.as_bytes())
            .map(|h| h.to_string())
            .map_err(|e| anyhow::anyhow!("the password cannot be hashed: {e}"))
    })
    .await?
}

/// Does this password open this account? Takes as long for an unknown account.
pub async fn verify_password(password: String, kept: Option<String>) -> bool {
    // Of a password nobody has: so that a stranger cannot tell accounts from answers' times.
    const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Zm9yIG5vYm9keSBhdCBhbGwsIG5vdCBldmVuIG1lISE";
    let known = kept.is_some();
    let kept = kept.unwrap_or_else(|| NOBODY.to_owned());
    let matches = tokio::task::spawn_blocking(move || {
        PasswordHash::new(&kept)
            .is_ok_and(|h| Argon2::default().verify_password(password.as_bytes(), &h).is_ok())
    })
    .await
    .unwrap_or(false);
    known && matches
}

/// Opens a session; its token goes into the cookie.
pub async fn open_session(
    tx: &Tx,
    account: &str,
    workspace: &str,
    now: i64,
) -> Result<String, Error> {
    let token = token("ses");
    accounts::add_session(tx, &hash(&token), account, workspace, now, now + SESSION_MS).await?;
    Ok(token)
}

/// A link that signs in once.
pub async fn make_link(tx: &Tx, account: &str, workspace: &str, now: i64) -> Result<String, Error> {
    let token = token("one");
    accounts::add_link(tx, &hash(&token), account, workspace, now + LINK_MS).await?;
    Ok(token)
}

/// A new API key; shown once.
pub async fn make_key(tx: &Tx, workspace: &str, name: &str, now: i64) -> Result<String, Error> {
    let token = token("car");
    accounts::add_key(tx, &ids::new(now), workspace, name, &hash(&token), now).await?;
    Ok(token)
}

/// Makes a key for whoever asks for one at the terminal, and writes down that they did.
pub async fn new_key(
    app: &App,
    workspace: &str,
    name: &str,
    may_approve: bool,
    actor: &str,
) -> Result<String, Error> {
    let (ws, name, actor) = (workspace.to_owned(), name.to_owned(), actor.to_owned());
    let now = app.clock.now();
    app.db
        .write(move |tx| async move {
            let token = make_key(&tx, &ws, &name, now).await?;
            accounts::let_approve(&tx, &hash(&token), may_approve).await?;
            let data = json!({ "name": name, "mayApprove": may_approve });
            audit::add(&tx, Some(&ws), &actor, "key.made", &name, &data, now).await?;
            Ok(token)
        })
        .await
}

/// Does this role run a workspace, with all that is in it?
pub fn is_admin(role: &str) -> bool {
    matches!(role, "owner" | "admin")
}

/// Who stands behind a bearer token or a session cookie.
pub async fn who(db: &Db, token: &str, now: i64) -> Result<Option<Opened>, Error> {
    let hash = hash(token);
    let is_key = token.starts_with("car_");
    db.read(move |tx| async move {
        if is_key {
            accounts::key(&tx, &hash).await
        } else {
            accounts::session(&tx, &hash, now).await
        }
    })
    .await
}
