//! Everything that turns a trigger into requests: CSV, events, the clock, an answer in a conversation. And what else comes as a
//! CSV file: consents.
//!
//! All three make runs, requests and messages by one path: [`begin`] fixes what a run keeps, and the store adds the rows.

pub mod answers;
pub mod audience;
pub mod begin;
mod cases;
pub mod consents;
pub mod csv;
pub mod duplicates;
pub mod events;
pub mod mapping;
pub mod payload;
pub mod requests;
pub mod schedule;
pub mod texts;
pub mod upkeep;
pub mod upload;
