//! What became of handing a message to a provider, as the adapter judges it.

use std::time::Duration;

use super::reason::Why;

/// The judgement on one message of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider has taken it, under this id.
    Accepted {
        /// The provider's id of the message.
        provider_id: String,
    },
    /// Certainly not sent; worth trying again.
    Deferred {
        /// Why not now.
        why: Why,
        /// How long the provider asked to wait, if it did.
        after: Option<Duration>,
    },
    /// Certainly not sent, and never will be.
    Rejected {
        /// Why.
        why: Why,
    },
    /// Perhaps sent.
    InDoubt {
        /// What made it so.
        why: Why,
    },
}
