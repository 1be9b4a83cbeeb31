//! From a file somebody uploads to what each network takes.

pub mod blobs;
