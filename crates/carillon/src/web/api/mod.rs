//! REST under `/api/v1`: one file a resource. Handlers are thin: parse, call, answer.

pub mod session;
