//! Whose turn it is: the next free slot of a worker goes to one lane, an organization's work of one priority (SPEC 8).
//!
//! [`pick`] looks at what is due and what is in flight and decides; it claims nothing and keeps no time. Slots belong to
//! one process, so [`InFlight`] does too: processes that each share out fairly share out fairly together.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::{id::OrgId, time::Timestamp};

/// What a request is for. The order is the order of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// An event happened: a case message.
    Automatic,
    /// A person or a program started a run.
    Instant,
    /// The clock started a run.
    Bulk,
}

impl Priority {
    /// Every priority, the first to be served first.
    pub const ALL: [Self; 3] = [Self::Automatic, Self::Instant, Self::Bulk];

    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Instant => "instant",
            Self::Bulk => "bulk",
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::Automatic => 0,
            Self::Instant => 1,
            Self::Bulk => 2,
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is not a priority.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not a priority: expected \"automatic\", \"instant\" or \"bulk\"")]
pub struct NotAPriority(String);

impl FromStr for Priority {
    type Err = NotAPriority;

    fn from_str(text: &str) -> Result<Self, NotAPriority> {
        Self::ALL.into_iter().find(|known| known.as_str() == text).ok_or_else(|| NotAPriority(text.to_owned()))
    }
}

/// An organization's work of one priority.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lane {
    /// Whose work.
    pub org: OrgId,
    /// How urgent it is.
    pub priority: Priority,
}

/// A lane in which a request may be claimed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueLane {
    /// The lane.
    pub lane: Lane,
    /// Since when its oldest request is due.
    pub due_at: Timestamp,
}

/// How many requests this process works on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// All of them; at least 1.
    pub total: usize,
    /// Those of them that only automatic requests may fill. One slot is left for the others, whatever this says.
    pub reserved_for_automatic: usize,
}

/// Slots that only automatic requests may fill, in percent of all.
const RESERVED_PERCENT: usize = 20;

impl Slots {
    /// So many in all, with the usual part of them reserved.
    pub fn of(total: usize) -> Self {
        let total = total.max(1);
        Self { total, reserved_for_automatic: total * RESERVED_PERCENT / 100 }
    }

    /// Those of them that a request of this priority may fill.
    pub fn usable(self, priority: Priority) -> usize {
        match priority {
            Priority::Automatic => self.total,
            Priority::Instant | Priority::Bulk => {
                self.total.saturating_sub(self.reserved_for_automatic).max(self.total.min(1))
            }
        }
    }
}

/// One organization's part, by priority.
#[derive(Clone, Debug, Default)]
struct Share {
    in_flight: [usize; 3],
    last_turn: [u64; 3],
}

/// What this process is working on, and who had the last turns. Grows by one small entry an organization.
#[derive(Clone, Debug, Default)]
pub struct InFlight {
    orgs: HashMap<OrgId, Share>,
    by_priority: [usize; 3],
    turn: u64,
}

impl InFlight {
    /// A request of this lane begins.
    pub fn take(&mut self, lane: &Lane) {
        self.turn += 1;
        let share = self.orgs.entry(lane.org.clone()).or_default();
        share.in_flight[lane.priority.place()] += 1;
        share.last_turn[lane.priority.place()] = self.turn;
        self.by_priority[lane.priority.place()] += 1;
    }

    /// A request of this lane has ended. Giving back what was never taken does nothing.
    pub fn give_back(&mut self, lane: &Lane) {
        let place = lane.priority.place();
        if let Some(held) = self.orgs.get_mut(&lane.org).map(|share| &mut share.in_flight[place])
            && *held > 0
        {
            *held -= 1;
            self.by_priority[place] -= 1;
        }
    }

    /// Requests in flight, of all organizations.
    pub fn total(&self) -> usize {
        self.by_priority.iter().sum()
    }

    /// Requests in flight of one priority, of all organizations.
    pub const fn of_priority(&self, priority: Priority) -> usize {
        self.by_priority[priority.place()]
    }

    /// Requests in flight of one organization.
    pub fn of_org(&self, org: &OrgId) -> usize {
        self.orgs.get(org).map_or(0, |share| share.in_flight.iter().sum())
    }

    fn has_room(&self, priority: Priority, slots: Slots) -> bool {
        let others = self.total() - self.of_priority(Priority::Automatic);
        self.total() < slots.total && (priority == Priority::Automatic || others < slots.usable(priority))
    }

    /// What a lane's organization holds that is at least as urgent, and when it last had a turn for such work. What is
    /// less urgent does not count against a lane: an organization's campaign must not delay its own case message.
    fn standing(&self, lane: &Lane) -> (usize, u64) {
        self.orgs.get(&lane.org).map_or((0, 0), |share| {
            let upto = ..=lane.priority.place();
            (share.in_flight[upto].iter().sum(), share.last_turn[upto].iter().copied().max().unwrap_or(0))
        })
    }

    /// Organizations that wait or work: those among whom the slots are shared.
    fn sharers(&self, lanes: &[DueLane]) -> usize {
        let working = self.orgs.iter().filter(|(_, share)| share.in_flight.iter().any(|held| *held > 0));
        working.map(|(org, _)| org).chain(lanes.iter().map(|due| &due.lane.org)).collect::<HashSet<_>>().len()
    }
}

/// The lane whose request the next slot should take; `None` if no slot is free for any of them.
///
/// In this order: organizations that hold less than their fair share of the slots before those that do not (who get
/// what would idle); automatic before instant before bulk; the organization with the fewest requests in flight; the one
/// whose last turn is longest ago, without which an old backlog would take every turn while there are fewer slots than
/// organizations; the longest due. Requests that are not automatic leave the reserved slots free.
pub fn pick<'a>(lanes: &'a [DueLane], in_flight: &InFlight, slots: Slots) -> Option<&'a Lane> {
    let sharers = in_flight.sharers(lanes).max(1);
    let rank = |due: &DueLane| {
        let (held, last_turn) = in_flight.standing(&due.lane);
        let over_share = held >= slots.usable(due.lane.priority).div_ceil(sharers);
        (over_share, due.lane.priority, held, last_turn, due.due_at)
    };
    let open = lanes.iter().filter(|due| in_flight.has_room(due.lane.priority, slots));
    open.min_by_key(|due| rank(due)).map(|due| &due.lane)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn lane(org: &str, priority: Priority) -> Lane {
        Lane { org: org.parse().unwrap(), priority }
    }

    /// A worker in a world in which nothing else takes time: `waiting` requests a lane, each of which holds a slot for a while.
    struct World {
        slots: Slots,
        in_flight: InFlight,
        waiting: Vec<(Lane, VecDeque<u64>)>,
        ends: Vec<(u64, Lane)>,
        started: Vec<(u64, Lane)>,
    }

    impl World {
        fn new(total: usize, reserved_for_automatic: usize) -> Self {
            let slots = Slots { total, reserved_for_automatic };
            Self { slots, in_flight: InFlight::default(), waiting: Vec::new(), ends: Vec::new(), started: Vec::new() }
        }

        fn wait(&mut self, org: &str, priority: Priority, count: usize, since: u64) {
            self.waiting.push((lane(org, priority), vec![since; count].into()));
        }

        fn tick(&mut self, now: u64, duration: impl Fn(&Lane, usize) -> u64) {
            let (over, working) = std::mem::take(&mut self.ends).into_iter().partition(|(end, _)| *end <= now);
            self.ends = working;
            let over: Vec<(u64, Lane)> = over;
            over.iter().for_each(|(_, lane)| self.in_flight.give_back(lane));
            let due_lane = |(lane, since): &(Lane, VecDeque<u64>)| {
                let due_at = Timestamp::from_millis(i64::try_from(*since.front()?).unwrap());
                Some(DueLane { lane: lane.clone(), due_at })
            };
            loop {
                let due: Vec<DueLane> = self.waiting.iter().filter_map(due_lane).collect();
                let Some(picked) = pick(&due, &self.in_flight, self.slots).cloned() else { break };
                self.waiting.iter_mut().find(|(lane, _)| *lane == picked).unwrap().1.pop_front();
                self.in_flight.take(&picked);
                self.ends.push((now + duration(&picked, self.started.len()), picked.clone()));
                self.started.push((now, picked));
            }
        }

        fn first_start(&self, wanted: &Lane) -> u64 {
            self.started.iter().find(|(_, lane)| lane == wanted).unwrap().0
        }
    }

    #[test]
    fn a_case_message_waits_at_most_one_slots_turn_behind_ten_thousand_requests() {
        const TURN: u64 = 50;
        for (sender, flood, reserved) in [
            ("quiet", Priority::Bulk, 0),
            ("quiet", Priority::Bulk, 2),
            ("loud", Priority::Bulk, 0),
            ("loud", Priority::Instant, 2),
        ] {
            let mut world = World::new(8, reserved);
            world.wait("loud", flood, 10_000, 0);
            world.wait("third", Priority::Bulk, 10_000, 0);
            for now in 0..500 {
                if now == 333 {
                    world.wait(sender, Priority::Automatic, 1, now);
                }
                world.tick(now, |_, number| TURN - 7 * (number as u64 % 6));
            }
            let waited = world.first_start(&lane(sender, Priority::Automatic)) - 333;
            let most = if reserved > 0 { 0 } else { TURN };
            assert!(waited <= most, "{sender} waited {waited} ms with {reserved} slots reserved");
        }
    }

    /// Max-min shares of a capacity among demands: the small ones are met, the rest is shared evenly.
    fn max_min(demands: &[f64], capacity: f64) -> Vec<f64> {
        let mut order: Vec<usize> = (0..demands.len()).collect();
        order.sort_by(|a, b| demands[*a].total_cmp(&demands[*b]));
        let (mut left, mut shares) = (capacity, vec![0.0; demands.len()]);
        for (place, org) in order.iter().enumerate() {
            shares[*org] = demands[*org].min(left / (demands.len() - place) as f64);
            left -= shares[*org];
        }
        shares
    }

    #[test]
    fn fifty_organizations_get_their_max_min_shares() {
        const TICKS: u64 = 1_000;
        const TURN: u64 = 10;
        for slots in [20usize, 100] {
            let capacity = (slots as u64 * TICKS / TURN) as usize;
            // Every fifth asks for half of an even share, the others for up to many times as much as there is.
            let demand = |org: usize| if org.is_multiple_of(5) { capacity / 100 } else { capacity / 50 * (2 + org) };
            let names: Vec<String> = (0..50).map(|org| format!("org-{org}")).collect();
            let mut world = World::new(slots, 0);
            for (org, name) in names.iter().enumerate() {
                world.wait(name, Priority::Bulk, demand(org), org as u64);
            }
            (0..TICKS).for_each(|now| world.tick(now, |_, _| TURN));
            let demands: Vec<f64> = (0..50).map(|org| demand(org) as f64).collect();
            for (share, name) in max_min(&demands, capacity as f64).into_iter().zip(&names) {
                let got = world.started.iter().filter(|(_, lane)| lane.org.as_str() == name).count() as f64;
                assert!((got - share).abs() <= share * 0.05, "{name} of {slots} slots: {got}, fair is {share}");
            }
        }
    }

    #[test]
    fn shares_hold_across_priorities_and_no_slot_idles() {
        let mut world = World::new(10, 2);
        world.wait("a", Priority::Instant, 1_000, 0);
        world.tick(0, |_, _| 1);
        assert_eq!(
            (world.in_flight.of_org(&"a".parse().unwrap()), world.in_flight.total()),
            (8, 8),
            "nobody else waits"
        );
        world.wait("b", Priority::Bulk, 1_000, 1);
        world.tick(1, |_, _| 1);
        let held = ["a", "b"].map(|org| world.in_flight.of_org(&org.parse().unwrap()));
        assert_eq!(held, [4, 4], "an instant flood leaves another organization's campaign its share");
        world.wait("c", Priority::Automatic, 1_000, 1);
        world.tick(2, |_, _| 1);
        let held = ["a", "b", "c"].map(|org| world.in_flight.of_org(&org.parse().unwrap()));
        assert_eq!((held.iter().sum::<usize>(), held[2]), (10, 4), "{held:?}");
    }

    #[test]
    fn a_campaign_does_not_count_against_its_own_organizations_case_message() {
        let [campaign, other] = ["loud", "third"].map(|org| lane(org, Priority::Bulk));
        let mut in_flight = InFlight::default();
        (0..4).for_each(|_| in_flight.take(&campaign));
        (0..3).for_each(|_| in_flight.take(&other));
        let due = [other, lane("loud", Priority::Automatic)].map(|lane| DueLane { lane, due_at: Timestamp::default() });
        assert_eq!(pick(&due, &in_flight, Slots { total: 8, reserved_for_automatic: 0 }), Some(&due[1].lane));
    }

    #[test]
    fn slots_are_bounded() {
        let due = [DueLane { lane: lane("a", Priority::Bulk), due_at: Timestamp::default() }];
        let empty = InFlight::default();
        assert_eq!(pick(&due, &empty, Slots { total: 0, reserved_for_automatic: 0 }), None);
        assert_eq!(pick(&due, &empty, Slots { total: 1, reserved_for_automatic: 5 }), Some(&due[0].lane));
        assert_eq!(pick(&[], &empty, Slots { total: 1, reserved_for_automatic: 0 }), None);
        let mut one = InFlight::default();
        one.take(&due[0].lane);
        assert_eq!(pick(&due, &one, Slots { total: 2, reserved_for_automatic: 1 }), None);
        one.give_back(&due[0].lane);
        one.give_back(&due[0].lane);
        assert_eq!(one.total(), 0);
    }

    #[test]
    fn priorities_survive_their_text() {
        for priority in Priority::ALL {
            assert_eq!(priority.to_string().parse(), Ok(priority));
            assert_eq!(serde_json::to_string(&priority).unwrap(), format!("\"{priority}\""));
        }
        assert!("Bulk".parse::<Priority>().is_err());
        assert!(Priority::Automatic < Priority::Instant && Priority::Instant < Priority::Bulk);
    }

    proptest! {
        #[test]
        fn a_slot_is_never_left_idle_nor_taken_twice(
            held in prop::collection::vec((0u8..6, 0usize..3), 0..30), due in prop::collection::vec((0u8..6, 0usize..3, 0i64..9), 0..12),
            total in 1usize..16, reserved_for_automatic in 0usize..4,
        ) {
            let slots = Slots { total, reserved_for_automatic };
            let of = |org: u8, place: usize| lane(&format!("org-{org}"), Priority::ALL[place]);
            let mut in_flight = InFlight::default();
            held.iter().for_each(|(org, place)| in_flight.take(&of(*org, *place)));
            let lanes: Vec<DueLane> =
                due.iter().map(|(org, place, at)| DueLane { lane: of(*org, *place), due_at: Timestamp::from_millis(*at) }).collect();
            let others = in_flight.total() - in_flight.of_priority(Priority::Automatic);
            let usable = total.saturating_sub(reserved_for_automatic).max(1);
            let free = |lane: &Lane| in_flight.total() < total && (lane.priority == Priority::Automatic || others < usable);
            match pick(&lanes, &in_flight, slots) {
                Some(picked) => prop_assert!(free(picked)),
                None => prop_assert!(!lanes.iter().any(|due| free(&due.lane))),
            }
        }
    }
}
