//! Deliberate bugs, for the prover to find: a proof that finds none of them proves nothing.
//!
//! Built only with the feature `seeded-bugs`, which nothing that is shipped has; without it every
//! question is `false` at compile time. One bug at a time is switched on, for one thread, which is
//! where a simulation runs.

/// Is this bug switched on?
#[cfg(not(feature = "seeded-bugs"))]
#[inline]
pub(crate) const fn on(_: &'static str) -> bool {
    false
}

#[cfg(feature = "seeded-bugs")]
thread_local! {
    static ON: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Is this bug switched on?
#[cfg(feature = "seeded-bugs")]
pub(crate) fn on(name: &'static str) -> bool {
    ON.get() == Some(name)
}

/// Switches a bug on in this thread, or all off.
#[cfg(feature = "seeded-bugs")]
pub fn switch(name: Option<&'static str>) {
    ON.set(name);
}
