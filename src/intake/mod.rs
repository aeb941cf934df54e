//! Everything that turns a trigger into requests: CSV, events, the clock.

pub mod csv;
pub mod duplicates;
pub mod mapping;
pub mod payload;
