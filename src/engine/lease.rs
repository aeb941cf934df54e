//! How long a request is still this worker's, as far as this worker can tell.
//!
//! The store's fence keeps a worker that slept through its lease from *writing*; this keeps it from *calling*. It errs on the
//! safe side: a lease counts as prolonged only if that was written before the old one was over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::domain::time::Timestamp;

/// A lease, shared by the dispatcher that prolongs it and the sender that works under it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    until: Arc<AtomicI64>,
    margin: Duration,
}

impl Lease {
    /// Of this length, just granted. It is renewed after a third; with less than a third left, no call is begun.
    pub(super) fn new(until: Timestamp, length: Duration) -> Self {
        Self { until: Arc::new(AtomicI64::new(until.millis())), margin: length / 3 }
    }

    /// Whether a call may be begun now.
    pub(super) fn allows(&self, now: Timestamp) -> bool {
        now.plus(self.margin) < self.until()
    }

    /// It has been written, by `now`, that the lease lasts until then. Too late if somebody else could have claimed meanwhile.
    pub(super) fn prolong(&self, until: Timestamp, now: Timestamp) {
        if now < self.until() {
            self.until.store(until.millis(), Ordering::Relaxed);
        }
    }

    fn until(&self) -> Timestamp {
        Timestamp::from_millis(self.until.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_is_over_stays_over() {
        let at = Timestamp::from_millis;
        let lease = Lease::new(at(3_000), Duration::from_secs(3));
        assert!(lease.allows(at(0)) && lease.allows(at(1_999)));
        assert!(!lease.allows(at(2_000)), "less than a third is left");
        lease.clone().prolong(at(5_500), at(2_500));
        assert!(lease.allows(at(4_000)), "prolonged in time, and all clones know it");
        lease.prolong(at(9_000), at(5_500));
        assert!(!lease.allows(at(5_500)), "prolonged too late: another worker may have the request");
    }
}
