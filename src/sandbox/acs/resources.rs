//! The resources at run time, and who may send from what.

use std::sync::{Arc, Mutex, PoisonError};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{rules::Sender, subscription::Subscription};
use crate::sandbox::settings::{AcsEvents, AcsResource};

/// A resource, with the strings that many messages share.
pub(in crate::sandbox) struct Resource {
    pub name: Arc<str>,
    pub key: Vec<u8>,
    pub numbers: Vec<Arc<str>>,
    pub window_ms: Option<u64>,
    subscription: Mutex<Option<Arc<Subscription>>>,
}

impl Resource {
    pub(super) fn new(known: &AcsResource) -> Resource {
        let name: Arc<str> = known.name.as_str().into();
        Resource {
            key: STANDARD.decode(&known.access_key).unwrap_or_default(),
            numbers: known.numbers.iter().map(|number| number.as_str().into()).collect(),
            window_ms: known.repeatability_window_s.map(|seconds| seconds.saturating_mul(1_000)),
            subscription: Mutex::new(known.events.as_ref().and_then(|events| Subscription::new(&name, events))),
            name,
        }
    }

    /// Whether it may send from this sender.
    pub(super) fn owns(&self, sender: &str) -> bool {
        self.numbers.is_empty() || self.lists(sender)
    }

    pub(super) fn lists(&self, sender: &str) -> bool {
        self.numbers.iter().any(|own| **own == *sender)
    }

    pub(super) fn subscription(&self) -> Option<Arc<Subscription>> {
        self.subscription.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Subscribes anew: the handshake is done again, even with the same URL.
    pub(super) fn subscribe(&self, events: &AcsEvents) {
        let subscription = Subscription::new(&self.name, events);
        *self.subscription.lock().unwrap_or_else(PoisonError::into_inner) = subscription;
    }
}

/// The resource that a message to `number` reaches: the one that lists it, or the first that may send from any. A name
/// receives nothing.
pub(super) fn owner<'a>(resources: &'a [Arc<Resource>], number: &str) -> Option<&'a Arc<Resource>> {
    match Sender::of(number)? {
        Sender::Name => None,
        Sender::Number | Sender::ShortCode => {
            let any = |resource: &&Arc<Resource>| resource.numbers.is_empty();
            resources.iter().find(|resource| resource.lists(number)).or_else(|| resources.iter().find(any))
        }
    }
}
