//! Pages made on the server, without JavaScript: what is seen before signing in, and errors.

pub mod consent;
pub mod errors;
pub mod layout;
pub mod login;
pub mod review;
pub mod setup;
