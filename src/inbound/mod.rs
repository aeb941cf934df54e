//! What comes back: receipts, replies, consent keywords, signed webhooks.

pub mod callbacks;
pub mod conversations;
pub mod keywords;
mod replies;
pub mod webhook;
