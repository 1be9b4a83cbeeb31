//! Behaviour from outside, one binary. `both!` runs a test on SQLite and on PostgreSQL.

mod kill;
mod layers;
mod publishing;
mod statements;
mod support;
