//! What comes back: receipts, replies, consent keywords, signed webhooks; and the timelines that it makes.

pub mod callbacks;
pub mod conversations;
pub mod keywords;
pub mod poller;
mod replies;
pub mod timeline;
pub mod webhook;
