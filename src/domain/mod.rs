//! Pure rules and words: no I/O, no clock, no async.
//!
//! Everything here can be tested with a table. Time comes in as a [`time::Timestamp`], chance as a number, and every
//! decision goes out as a value that carries its reason.

pub mod time;

pub mod id;
pub mod locale;
pub mod phone;

pub mod secret_ref;

pub mod account;
pub mod limits;

pub mod canary;
pub mod circuit;
pub mod contact;
pub mod definition;
pub mod fairness;
pub mod frequency;
pub mod message;
pub mod outcome;
pub mod pace;
pub mod polling;
pub mod purpose;
pub mod quiet;
pub mod quota;
pub mod rate;
pub mod reason;
pub mod retry;
pub mod run;
pub mod schedule;
pub mod session;
pub mod state;
pub mod timeline;
pub mod webhook;
pub mod window;
pub mod wishes;
