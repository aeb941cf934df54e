//! The circuit breaker of an account: after faults in a row nothing more is tried for a while, and then one try decides.
//!
//! A fault is what says nothing about a message but much about the provider: no connection, no answer, an error on its side. A
//! refusal is an answer.

use std::time::Duration;

use super::time::Timestamp;

/// So many faults in a row shut the circuit.
pub const FAULTS: u32 = 10;
/// How long it stays shut at first; each trial that fails doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// The longest that it stays shut between two trials.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// A trial of which nothing is heard for so long is followed by another.
const TRIAL: Duration = Duration::from_secs(60);

/// What a call has shown of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It answered, whatever it said.
    Answer,
    /// It could not be reached, did not answer, or failed on its side.
    Fault,
}

/// Whether calls may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// They may.
    Free,
    /// Not before this.
    Shut {
        /// When the next trial is due.
        until: Timestamp,
    },
}

/// One account's circuit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circuit {
    faults: u32,
    /// How often it has been shut since the last answer.
    rounds: u32,
    shut: Option<Shut>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shut {
    Until(Timestamp),
    /// One is on its way; the next may follow at this time if nothing is heard of it.
    Trying(Timestamp),
}

impl Circuit {
    /// Asks for passage. After the wait, whoever asks first is the trial, and the others go on waiting for what it shows.
    pub fn ask(&mut self, now: Timestamp) -> Passage {
        match self.shut {
            None => Passage::Free,
            Some(Shut::Until(until) | Shut::Trying(until)) if now < until => Passage::Shut { until },
            Some(_) => {
                self.shut = Some(Shut::Trying(now.plus(TRIAL)));
                Passage::Free
            }
        }
    }

    /// Takes in what a call has shown. `true` if that shut the circuit.
    pub fn note(&mut self, seen: Seen, now: Timestamp) -> bool {
        match (seen, self.shut) {
            (Seen::Answer, _) => {
                *self = Self::default();
                false
            }
            // Calls that were on their way when it was shut say nothing new.
            (Seen::Fault, Some(Shut::Until(_))) => false,
            (Seen::Fault, Some(Shut::Trying(_))) => self.close(now),
            (Seen::Fault, None) => {
                self.faults += 1;
                self.faults >= FAULTS && self.close(now)
            }
        }
    }

    fn close(&mut self, now: Timestamp) -> bool {
        let wait = FIRST_WAIT.saturating_mul(2u32.saturating_pow(self.rounds)).min(LONGEST_WAIT);
        self.rounds = self.rounds.saturating_add(1);
        self.shut = Some(Shut::Until(now.plus(wait)));
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn faults_in_a_row_shut_it_and_one_answer_opens_it() {
        let mut circuit = Circuit::default();
        for _ in 1..FAULTS {
            assert!(!circuit.note(Seen::Fault, at(0)));
        }
        assert!(!circuit.note(Seen::Answer, at(0)), "an answer between them: they are in a row no more");
        for _ in 1..FAULTS {
            assert!(!circuit.note(Seen::Fault, at(0)));
        }
        assert_eq!(circuit.ask(at(0)), Passage::Free);
        assert!(circuit.note(Seen::Fault, at(0)));
        assert!(!circuit.note(Seen::Fault, at(1)), "a call that was on its way");
        assert_eq!(circuit.ask(at(9)), Passage::Shut { until: at(10) });
        assert_eq!(circuit.ask(at(10)), Passage::Free, "the trial");
        assert_eq!(circuit.ask(at(11)), Passage::Shut { until: at(70) }, "the others wait for it");
        assert!(circuit.note(Seen::Fault, at(12)));
        assert_eq!(circuit.ask(at(31)), Passage::Shut { until: at(32) }, "twice as long");
        assert_eq!(circuit.ask(at(32)), Passage::Free);
        assert!(!circuit.note(Seen::Answer, at(33)));
        assert_eq!(circuit, Circuit::default());
    }

    #[test]
    fn a_trial_that_vanishes_is_followed_by_another() {
        let mut circuit = Circuit::default();
        for _ in 0..FAULTS {
            circuit.note(Seen::Fault, at(0));
        }
        assert_eq!(circuit.ask(at(10)), Passage::Free);
        assert_eq!(circuit.ask(at(69)), Passage::Shut { until: at(70) });
        assert_eq!(circuit.ask(at(70)), Passage::Free);
    }

    proptest! {
        #[test]
        fn it_never_stays_shut_for_more_than_five_minutes(faults in 1u32..500) {
            let (mut circuit, mut now) = (Circuit::default(), at(0));
            for _ in 0..faults {
                circuit.note(Seen::Fault, now);
                if let Passage::Shut { until } = circuit.ask(now) {
                    prop_assert!(until.since(now) <= LONGEST_WAIT);
                    now = until;
                    prop_assert_eq!(circuit.ask(now), Passage::Free);
                }
            }
        }
    }
}
