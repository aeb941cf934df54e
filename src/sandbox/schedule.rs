//! What is still to come, in the order of time: one bounded heap instead of a sleeping task a message.
//!
//! Deliberately does nothing itself; `callbacks` takes what is due.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{acs, callbacks::Callback, telesign, time, twilio};

/// Something that is to happen later.
#[derive(Clone)]
pub(super) enum Event {
    /// A step of a Twilio message.
    Twilio(twilio::Event),
    /// A step of a TeleSign message.
    TeleSign(telesign::Event),
    /// A step of a Communication Services message.
    Acs(acs::Event),
    /// Another attempt, or another copy, of a post.
    Post(Box<Callback>),
}

/// The heap.
pub(super) struct Schedule {
    limit: usize,
    heap: Mutex<Heap>,
    /// Wakes the drain when something earlier than everything else was added.
    pub(super) earlier: Notify,
}

#[derive(Default)]
struct Heap {
    entries: BinaryHeap<Reverse<Entry>>,
    added: u64,
    overflowed: u64,
    /// Taken, and not yet over: what follows them is not in the heap before they are.
    under_way: u64,
}

struct Entry {
    due: Instant,
    /// Keeps events of the same instant in the order in which they were added.
    order: u64,
    event: Event,
}

impl Schedule {
    pub(super) fn new(limit: usize) -> Self {
        Schedule { limit, heap: Mutex::default(), earlier: Notify::new() }
    }

    /// Adds an event that falls due after the time given. Beyond the limit it is dropped and counted.
    pub(super) fn add(&self, after: Duration, event: Event) {
        let due = time::now() + after;
        let mut heap = self.heap();
        if heap.entries.len() >= self.limit {
            heap.overflowed += 1;
            return;
        }
        heap.added += 1;
        let order = heap.added;
        let first = heap.entries.peek().is_none_or(|Reverse(entry)| due < entry.due);
        heap.entries.push(Reverse(Entry { due, order, event }));
        drop(heap);
        if first {
            self.earlier.notify_one();
        }
    }

    /// Takes at most `most` events that are due, and says when the next one is. Each is told to be [`Schedule::over`] once what
    /// follows it has been added.
    pub(super) fn take_due(&self, most: usize) -> (Vec<Event>, Option<Instant>) {
        let now = time::now();
        let mut heap = self.heap();
        let mut due = Vec::new();
        while due.len() < most && heap.entries.peek().is_some_and(|Reverse(entry)| entry.due <= now) {
            due.extend(heap.entries.pop().map(|Reverse(entry)| entry.event));
        }
        heap.under_way += due.len() as u64;
        (due, heap.entries.peek().map(|Reverse(entry)| entry.due))
    }

    /// An event that was taken is over.
    pub(super) fn over(&self) {
        let mut heap = self.heap();
        heap.under_way = heap.under_way.saturating_sub(1);
    }

    /// How many events wait or are under way, and how many were dropped.
    pub(super) fn counts(&self) -> (u64, u64) {
        let heap = self.heap();
        (heap.entries.len() as u64 + heap.under_way, heap.overflowed)
    }

    /// Forgets everything that is to come.
    pub(super) fn clear(&self) {
        let mut heap = self.heap();
        *heap = Heap { under_way: heap.under_way, ..Heap::default() };
    }

    fn heap(&self) -> MutexGuard<'_, Heap> {
        self.heap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}
