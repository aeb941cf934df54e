//! The provider simulator, over real HTTP on loopback: field rules, credentials, receipts, replies, faults, the log.
//!
//! It is called the way the providers are called, not with herald's adapters, as it exists to catch their mistakes.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers panic as its tests do")]

#[path = "sandbox/bench.rs"]
mod bench;
#[path = "sandbox/control.rs"]
mod control;
#[path = "sandbox/customer.rs"]
mod customer;
#[path = "sandbox/faults.rs"]
mod faults;
#[path = "sandbox/receipts.rs"]
mod receipts;
#[path = "sandbox/telesign.rs"]
mod telesign;
#[path = "sandbox/telesign_auth.rs"]
mod telesign_auth;
#[path = "sandbox/twilio.rs"]
mod twilio;
#[path = "sandbox/whatsapp.rs"]
mod whatsapp;
