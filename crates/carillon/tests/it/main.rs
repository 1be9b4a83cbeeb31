//! Behaviour from outside, one binary. `both!` runs a test on SQLite and on PostgreSQL.

mod api;
mod connecting;
mod documents;
mod kill;
mod layers;
mod live;
mod media;
mod publishing;
mod statements;
mod support;
