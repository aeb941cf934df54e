//! Every account's circuit, as this process has seen it: another process learns by itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::domain::{
    circuit::{Circuit, Passage, Seen},
    id::OrgId,
    time::Timestamp,
};

/// One account's circuit. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Breaker {
    org: OrgId,
    account: String,
    circuit: Arc<Mutex<Circuit>>,
}

impl Breaker {
    /// Asks whether calls may be made.
    pub fn ask(&self, now: Timestamp) -> Passage {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner).ask(now)
    }

    /// Takes in what a call has shown.
    pub fn note(&self, seen: Seen, now: Timestamp) {
        if self.circuit.lock().unwrap_or_else(PoisonError::into_inner).note(seen, now) {
            tracing::error!(org = %self.org, account = self.account, "the provider does not answer: nothing more is tried for a while");
        }
    }
}

/// Every account's circuit. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Circuits(Arc<Mutex<HashMap<(OrgId, String), Breaker>>>);

impl Circuits {
    /// An account's.
    pub fn of(&self, org: &OrgId, account: &str) -> Breaker {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Breaker { org: org.clone(), account: account.to_owned(), circuit: Arc::default() };
        circuits.entry((org.clone(), account.to_owned())).or_insert_with(fresh).clone()
    }
}
