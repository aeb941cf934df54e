//! What a provider remembers of its messages: bounded, found by number and by the provider's id.
//!
//! The oldest are forgotten, and what is still to happen to them then happens to nobody: a number is never used again.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// Things in the order in which they came.
pub(super) struct Kept<T> {
    limit: usize,
    things: VecDeque<(Arc<str>, T)>,
    /// The number of the oldest one kept.
    first: u64,
    by_id: HashMap<Arc<str>, u64>,
}

impl<T> Kept<T> {
    pub(super) fn new(limit: usize) -> Self {
        Kept { limit, things: VecDeque::new(), first: 0, by_id: HashMap::new() }
    }

    /// Remembers a thing; returns its number, and the oldest one if that had to make room.
    pub(super) fn add(&mut self, id: Arc<str>, thing: T) -> (u64, Option<T>) {
        let oldest = if self.things.len() >= self.limit { self.things.pop_front() } else { None };
        if let Some((id, _)) = &oldest {
            self.first += 1;
            self.by_id.remove(id);
        }
        let number = self.end();
        self.by_id.insert(id.clone(), number);
        self.things.push_back((id, thing));
        (number, oldest.map(|(_, thing)| thing))
    }

    pub(super) fn get(&self, number: u64) -> Option<&T> {
        self.things.get(self.index(number)?).map(|(_, thing)| thing)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let index = self.index(number)?;
        self.things.get_mut(index).map(|(_, thing)| thing)
    }

    pub(super) fn number_of(&self, id: &str) -> Option<u64> {
        self.by_id.get(id).copied()
    }

    /// The numbers that are kept, oldest first.
    pub(super) fn numbers(&self) -> std::ops::Range<u64> {
        self.first..self.end()
    }

    /// Forgets everything; numbers go on, so that a step that is under way finds nobody rather than somebody else.
    pub(super) fn clear(&mut self) {
        *self = Kept { first: self.end(), ..Kept::new(self.limit) };
    }

    fn end(&self) -> u64 {
        self.first + self.things.len() as u64
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Kept;

    #[test]
    fn the_oldest_make_room_and_numbers_go_on() {
        let mut kept = Kept::new(2);
        assert_eq!(kept.add("a".into(), 'a'), (0, None));
        assert_eq!(kept.add("b".into(), 'b'), (1, None));
        assert_eq!(kept.add("c".into(), 'c'), (2, Some('a')));
        assert_eq!((kept.get(0), kept.get(1), kept.get(2), kept.get(3)), (None, Some(&'b'), Some(&'c'), None));
        assert_eq!((kept.number_of("a"), kept.number_of("c"), kept.numbers()), (None, Some(2), 1..3));
        kept.clear();
        assert_eq!((kept.get(2), kept.number_of("c"), kept.numbers()), (None, None, 3..3));
        assert_eq!(kept.add("a".into(), 'd'), (3, None));
    }
}
