//! What comes back: receipts, replies, consent keywords, signed webhooks.

pub mod callbacks;
pub mod conversations;
pub mod keywords;
pub mod poller;
mod replies;
pub mod webhook;
