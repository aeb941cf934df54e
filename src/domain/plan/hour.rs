//! The rolling hour as a forecast plays it forward: booked by the very rules of the claim.

use std::collections::{BTreeMap, VecDeque};

use super::super::{
    quota::{self, Allowance, Ask, Usage},
    time::Timestamp,
};

/// The rolling hour as it will stand.
pub(super) struct Hour {
    allowance: Allowance,
    buckets: VecDeque<(i64, Usage)>,
    used: Usage,
}

impl Hour {
    pub(super) fn new(allowance: Allowance, used: &[(i64, Usage)]) -> Self {
        let by_number: BTreeMap<i64, Usage> = used.iter().copied().collect();
        Self { allowance, used: by_number.values().copied().sum(), buckets: by_number.into_iter().collect() }
    }

    /// Books up to `want` requests; or when to ask again.
    pub(super) fn take(&mut self, ask: Ask, want: u64, now: Timestamp) -> Result<u64, Timestamp> {
        let first = quota::first_bucket_counted(now);
        while let Some((_, gone)) = self.buckets.front().filter(|(number, _)| *number < first) {
            self.used = self.used.minus(*gone);
            self.buckets.pop_front();
        }
        let granted = quota::grant(self.allowance, self.used, ask, want);
        if granted == 0 {
            return Err(quota::retry_at(self.allowance, self.buckets.make_contiguous(), ask, now));
        }
        let booked = Usage { total: granted, bulk: if ask == Ask::Bulk { granted } else { 0 } };
        self.used = [self.used, booked].into_iter().sum();
        match self.buckets.back_mut().filter(|(number, _)| *number == quota::bucket(now)) {
            Some((_, usage)) => *usage = [*usage, booked].into_iter().sum(),
            None => self.buckets.push_back((quota::bucket(now), booked)),
        }
        Ok(granted)
    }
}
