//! Behaviour from outside, one binary. `both!` runs a test on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod amend;
mod api;
mod budgets;
mod bulk;
mod calendar;
mod campaigns;
mod checking;
mod cli;
mod connecting;
mod consent;
mod desk;
mod diagnosing;
mod documents;
mod everywhere;
mod faults;
mod gates;
mod guard;
mod kill;
mod lateness;
mod layers;
mod library;
mod live;
mod measure;
mod media;
mod migrate;
mod odd;
mod polls;
mod preflight;
mod publishing;
mod queue;
mod sealed;
mod segments;
mod series;
mod statements;
mod stores;
mod support;
mod together;
mod tokens;
mod tus;
mod upload_image;
mod uploads;
mod uploads_faults;
mod video;
mod watchdog;
