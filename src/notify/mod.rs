//! What organizations hear of: the events of the outbox, posted to their endpoints as signed Standard Webhooks.
//!
//! Read `deliverer` (who is posted to, and how much at once), then `post` (one try and what follows from it). `client` is the
//! only part with a socket; `guard` keeps it away from what only herald can reach. The database is the only queue: a
//! delivery is taken up when there is room for it.
//!
//! A delivery arrives at least once, always under the same `webhook-id`, and in no order: whoever must know takes it from the
//! body's `timestamp`. A process that ends between a post and its word in the store leaves the delivery to its lease, and it is
//! posted again.

mod client;
mod deliverer;
mod guard;
mod post;

pub use deliverer::{Deliverer, Parts};
