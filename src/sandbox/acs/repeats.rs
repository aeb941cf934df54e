//! Repeats: a recipient that comes again under the same id is not handed over again, but answered as it was the first time.
//!
//! Only what was accepted is remembered; what was refused may be tried again under the same id. Bounded: the oldest are
//! forgotten, as the service forgets them some day.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use super::rules::{Key, Wanted};

/// What was accepted, by the id that it was sent under.
pub(super) struct Repeats {
    limit: usize,
    by_id: HashMap<Arc<str>, First>,
    oldest: VecDeque<Arc<str>>,
}

/// The first time.
struct First {
    first_sent_ms: i64,
    content: u64,
    message_id: Arc<str>,
}

/// What an id was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Never seen.
    Never,
    /// Accepted, for the same message; this was its id.
    Same(Arc<str>),
    /// Accepted for another first-sent date, or with another content.
    Other,
}

impl Repeats {
    pub(super) fn new(limit: usize) -> Self {
        Repeats { limit, by_id: HashMap::new(), oldest: VecDeque::new() }
    }

    pub(super) fn look(&self, resource: &str, key: &Key, content: u64) -> Before {
        match self.by_id.get(&*name(resource, key)) {
            None => Before::Never,
            Some(first) if first.first_sent_ms == key.first_sent_ms && first.content == content => {
                Before::Same(first.message_id.clone())
            }
            Some(_) => Before::Other,
        }
    }

    pub(super) fn remember(&mut self, resource: &str, key: &Key, content: u64, message_id: Arc<str>) {
        if self.by_id.len() >= self.limit
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        let name: Arc<str> = name(resource, key).into();
        self.oldest.push_back(name.clone());
        self.by_id.insert(name, First { first_sent_ms: key.first_sent_ms, content, message_id });
    }
}

fn name(resource: &str, key: &Key) -> String {
    format!("{resource} {}", key.id)
}

/// What must be the same when a recipient comes again.
pub(super) fn content(wanted: &Wanted, to: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&*wanted.from, to, &*wanted.message, wanted.report, wanted.tag.as_deref()).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::{Before, Repeats};
    use crate::sandbox::acs::rules::Key;

    #[test]
    fn the_same_is_given_back_and_the_other_is_not() {
        let key = |id: &str, first_sent_ms| Key { id: id.into(), first_sent_ms };
        let mut repeats = Repeats::new(2);
        assert_eq!(repeats.look("r", &key("a", 1), 7), Before::Never);
        repeats.remember("r", &key("a", 1), 7, "m".into());
        assert_eq!(repeats.look("r", &key("a", 1), 7), Before::Same("m".into()));
        assert_eq!(repeats.look("r", &key("a", 2), 7), Before::Other);
        assert_eq!(repeats.look("r", &key("a", 1), 8), Before::Other);
        assert_eq!(repeats.look("s", &key("a", 1), 7), Before::Never, "an id is a resource's own");
        repeats.remember("r", &key("b", 1), 7, "n".into());
        repeats.remember("r", &key("c", 1), 7, "o".into());
        assert_eq!(repeats.look("r", &key("a", 1), 7), Before::Never, "forgotten");
        assert_eq!(repeats.look("r", &key("c", 1), 7), Before::Same("o".into()));
    }
}
