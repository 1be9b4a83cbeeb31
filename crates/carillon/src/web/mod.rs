//! The one port: pages for browsers, REST for programs, files for both.
//!
//! `router.rs` shows every route. Handlers parse, call a public function of the product and answer;
//! rules live below. `request.rs` is what every request passes through, `error.rs` what every
//! refusal looks like.

pub mod api;
pub mod assets;
pub mod auth;
pub mod error;
pub mod files;
pub mod idempotency;
pub mod input;
pub mod pages;
pub mod request;
pub mod router;
pub mod serve;
pub mod shell;
mod throttle;
mod unread;

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::watch::health::Latest;
use idempotency::InFlight;
use throttle::Throttle;

pub use auth::{Admin, Caller};
pub use error::{ApiError, Envelope};
pub use input::{Id, Json, OptionalJson, Query};
pub use router::{openapi, router};
pub use serve::serve;

/// What handlers share: the product, and what this process remembers of callers.
#[derive(Clone)]
pub struct Web(Arc<Inner>);

pub struct Inner {
    pub app: App,
    /// Failed sign-ins of late.
    pub(crate) sign_ins: Throttle,
    /// Links for clients that opened nothing, of late.
    pub(crate) guesses: Throttle,
    pub(crate) in_flight: InFlight,
    pub(crate) health: Latest,
    /// Places for password hashing.
    pub(crate) hashing: Semaphore,
}

/// Passwords hashed at once.
const HASHING: usize = 4;

impl Web {
    pub fn new(app: App) -> Self {
        Self(Arc::new(Inner {
            app,
            sign_ins: Throttle::default(),
            guesses: Throttle::default(),
            in_flight: InFlight::default(),
            health: Latest::default(),
            hashing: Semaphore::new(HASHING),
        }))
    }
}

impl Deref for Web {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl FromRef<Web> for App {
    fn from_ref(web: &Web) -> App {
        web.app.clone()
    }
}
