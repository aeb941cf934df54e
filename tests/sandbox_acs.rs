//! The provider simulator as Azure Communication Services, over real HTTP on loopback: signatures, field rules, repeats,
//! opt-outs, events with their handshake, magic recipients, faults.
//!
//! It is called the way the service is called, not with herald's adapter, as it exists to catch its mistakes.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers panic as its tests do")]

#[path = "sandbox_acs/bench.rs"]
mod bench;
#[path = "sandbox_acs/events.rs"]
mod events;
#[path = "sandbox_acs/moods.rs"]
mod moods;
#[path = "sandbox_acs/requests.rs"]
mod requests;
