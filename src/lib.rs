//! herald: outbound bulk messaging that never loses a message and never sends one twice.
//!
//! Read the rooms in this order; each knows only the ones above it (ARCHITECTURE.md says why, `tests/layering.rs` holds it).

pub mod domain;
pub mod keys;

pub mod clock;
pub mod config;
pub mod secret;
pub mod telemetry;

pub mod provider;
pub mod store;
pub mod template;

pub mod book;

pub mod definitions;
pub mod engine;
pub mod inbound;
pub mod intake;
pub mod notify;

pub mod http;

pub mod app;
pub mod cli;

pub mod sandbox;
