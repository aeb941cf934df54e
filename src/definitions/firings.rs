//! When the schedules of a set fire next: for people and for programs, shown before it is applied and when it is.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde::Serialize;

use super::{rules, set::DefinitionSet};
use crate::domain::{
    definition::Trigger,
    schedule::{Firing, local},
    time::{Span, Timestamp},
};

/// How many are shown.
const SHOWN: usize = 5;

/// When a scheduled configuration fires next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Firings {
    /// The configuration's name.
    pub configuration: String,
    /// Whether it fires at all.
    pub active: bool,
    /// The zone of its times.
    pub timezone: Tz,
    /// Where it fires once, so long after it was said, and nothing of it is stored yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// The next times; none if all are past.
    pub next: Vec<Next>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Next {
    /// The instant.
    pub at: Timestamp,
    /// As the clocks there show it, with their offset.
    pub local: String,
    /// What daylight saving makes of it, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The firings of every scheduled configuration. `said` is since when those that say "so long after" have said so, by name.
pub(super) fn of(set: &DefinitionSet, said: &BTreeMap<String, Timestamp>, now: Timestamp) -> Vec<Firings> {
    let mut all = Vec::new();
    for (name, configuration) in &set.configurations {
        let Trigger::Scheduled { timezone, after, .. } = &configuration.trigger else { continue };
        let timezone = timezone.unwrap_or(set.organization.timezone);
        let schedule = rules::schedule(configuration, timezone, said.get(name).copied());
        let next = match (configuration.active, &schedule) {
            (true, Some(Ok(schedule))) => schedule.firings(now, SHOWN),
            (false, _) | (true, None | Some(Err(_))) => Vec::new(),
        };
        let next = next.iter().map(|firing| shown(firing, timezone)).collect();
        let after = after.filter(|_| schedule.is_none());
        all.push(Firings { configuration: name.clone(), active: configuration.active, timezone, after, next });
    }
    all
}

fn shown(firing: &Firing, zone: Tz) -> Next {
    Next { at: firing.at, local: local(firing.at, zone), note: firing.note() }
}

impl Firings {
    /// For people.
    pub fn in_words(&self) -> String {
        if !self.active {
            return "is inactive and does not fire".to_owned();
        }
        if let Some(after) = self.after {
            return format!("fires once, {after} after this is applied");
        }
        if self.next.is_empty() {
            return "never fires again: all of its times are past".to_owned();
        }
        let times: Vec<String> = self
            .next
            .iter()
            .map(|next| match &next.note {
                Some(note) => format!("{} ({note})", next.local),
                None => next.local.clone(),
            })
            .collect();
        format!("fires next at {} ({})", times.join(", "), self.timezone)
    }
}
