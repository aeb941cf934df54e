//! What comes back: receipts, replies, consent keywords, signed webhooks.

pub mod keywords;
