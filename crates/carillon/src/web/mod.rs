//! The one port: pages for browsers, REST for programs, files for both.
//!
//! `router.rs` shows every route. Handlers parse, call a public function of the product and answer;
//! rules live below. `request.rs` is what every request passes through, `error.rs` what every
//! refusal looks like.

pub mod api;
pub mod auth;
pub mod error;
pub mod input;
pub mod pages;
pub mod request;
pub mod router;
mod throttle;

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;

use crate::app::App;
use throttle::Throttle;

pub use auth::Caller;
pub use error::{ApiError, Envelope};
pub use input::{Id, Json, Query};
pub use router::{openapi, router};

/// What handlers share: the product, and what this process remembers of callers.
#[derive(Clone)]
pub struct Web(Arc<Inner>);

pub struct Inner {
    pub app: App,
    /// Failed sign-ins of late.
    pub(crate) sign_ins: Throttle,
}

impl Web {
    pub fn new(app: App) -> Self {
        Self(Arc::new(Inner { app, sign_ins: Throttle::default() }))
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
