//! So many posts in this time.

use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub posts: u32,
    pub per: Duration,
}
