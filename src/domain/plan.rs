//! The forecast (SPEC 8): when the work of a run will begin and end, and what bounds it.
//!
//! The work is played forward, request by request, by the rules of the claim and of the channel's pace. What nobody can know is left
//! out: work still to come, messages that will fail and be tried again, a provider that is slow.

mod hour;
mod words;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    pace,
    quota::{self, Allowance, Ask, Usage},
    rate::Rate,
    time::Timestamp,
};

use hour::Hour;
pub use words::{because, grouped, in_words, paced};

/// The most steps that a forecast takes: where there are more requests, several go together.
const STEPS: u64 = 20_000;
/// A wait for the hour that is worth a step of its own.
const WORTH_A_STEP: Duration = Duration::from_mins(5);
const STEPS_TOLD: usize = 24; // what comes later is told with the last
const AT_ONCE: Duration = Duration::from_secs(1); // what takes no longer, nothing bounds

/// A time in which a part of the work may not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Closed {
    /// From this moment,
    pub from: Timestamp,
    /// to this one, which is open again.
    pub until: Timestamp,
}

/// Whose work it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The run's that the forecast is about.
    Own,
    /// Other work, which goes first.
    Others,
}

/// Work of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Whose.
    pub whose: Whose,
    /// By which channel: a number that parts of one channel share.
    pub channel: usize,
    /// What the channel carries.
    pub rate: Rate,
    /// From which part of the hour it takes.
    pub ask: Ask,
    /// Requests that are still to be claimed or are being worked on.
    pub requests: u64,
    /// Those of them that have been claimed already, and are counted in the hour.
    pub claimed: u64,
    /// Messages that are left in them.
    pub messages: u64,
    /// What the channel's pace counts of them: segments or messages.
    pub units: u64,
    /// When it may not be sent (quiet hours), in any order.
    pub closed: Vec<Closed>,
}

/// All that a forecast is made of.
#[derive(Clone, Debug)]
pub struct Situation {
    /// Now.
    pub now: Timestamp,
    /// What the organization may use of an hour.
    pub allowance: Allowance,
    /// What it has used, by bucket.
    pub used: Vec<(i64, Usage)>,
    /// Requests that are worked on at once.
    pub slots: usize,
    /// When what has not been claimed is too old to be sent.
    pub expires_at: Option<Timestamp>,
    /// The work, in the order in which it goes.
    pub parts: Vec<Part>,
}

/// What keeps work from being over at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The organization's hour.
    Quota,
    /// The channel's pace.
    Pace,
    /// Quiet hours.
    QuietHours,
    /// Nothing: it goes as fast as the provider takes it.
    Nothing,
}

/// What the time until the end is spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Waiting until other work is done.
    pub others: Duration,
    /// Waiting for the hour.
    pub quota: Duration,
    /// Waiting for the end of quiet hours.
    pub quiet_hours: Duration,
    /// Sending, at the channel's pace.
    pub pace: Duration,
}

/// Requests that go without a longer wait between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// From when.
    pub at: Timestamp,
    /// How many.
    pub requests: u64,
}

/// How it will go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// When the first message leaves; `None` if none ever does, as things stand.
    pub starts_at: Option<Timestamp>,
    /// When the last message has left; `None`: never, as things stand.
    pub ends_at: Option<Timestamp>,
    /// What bounds it: what alone would take the longest.
    pub bound_by: Bound,
    /// What the time is spent on.
    pub spent: Spent,
    /// Which requests go when.
    pub steps: Vec<Step>,
    /// Messages that will be too old before their turn comes.
    pub expiring: u64,
}

/// Works it out.
pub fn forecast(situation: &Situation) -> Forecast {
    let played = play(situation);
    let bound_by = match played.ends_at {
        None => Bound::Quota,
        Some(_) => bound(situation),
    };
    Forecast { bound_by, ..played }
}

/// What alone would take the longest.
fn bound(situation: &Situation) -> Bound {
    let own = |part: &&Part| part.whose == Whose::Own;
    let alone = |allowance: Allowance, change: &dyn Fn(&mut Part)| {
        let mut parts: Vec<Part> = situation.parts.iter().filter(own).cloned().collect();
        parts.iter_mut().for_each(change);
        let played = play(&Situation { allowance, parts, expires_at: None, ..situation.clone() });
        played.ends_at.map_or(Duration::MAX, |end| end.since(situation.now))
    };
    let endless = Allowance { limit: u64::MAX, reserved_percent: 0 };
    let timeless = |part: &mut Part| part.units = 0;
    let always_open = |part: &mut Part| part.closed.clear();
    let by_quota = alone(situation.allowance, &|part| {
        timeless(part);
        always_open(part);
    });
    let by_pace = alone(endless, &always_open);
    let by_quiet_hours = alone(endless, &timeless);
    // The last of the longest: where two are equal, the pace is what it goes at.
    let longest = [(by_quota, Bound::Quota), (by_quiet_hours, Bound::QuietHours), (by_pace, Bound::Pace)];
    let longest = longest.into_iter().max_by_key(|(time, _)| *time);
    longest.filter(|(time, _)| *time > AT_ONCE).map_or(Bound::Nothing, |(_, bound)| bound)
}

/// With fractions: they add up.
type Millis = f64;

fn millis(at: Timestamp) -> Millis {
    at.millis() as Millis
}

/// Rounded up: nothing is over before it is over.
fn moment(at: Millis) -> Timestamp {
    // Saturates far beyond any date.
    Timestamp::from_millis(at.ceil() as i64)
}

/// A part as it is worked off.
struct Left<'a> {
    part: &'a Part,
    requests: u64,
    claimed: u64,
    /// The time between two units.
    interval: Millis,
    /// The time that one request takes of the channel.
    each: Millis,
    /// The time that the channel may be ahead of its pace.
    burst: Millis,
    /// In order, none touching the next.
    closed: Vec<Closed>,
}

impl<'a> Left<'a> {
    fn new(part: &'a Part) -> Self {
        let interval = pace::interval(part.rate).as_secs_f64() * 1_000.0;
        let each = interval * part.units as f64 / part.requests.max(1) as f64;
        let burst = interval * f64::from(pace::burst(part.rate));
        let mut closed: Vec<Closed> = Vec::new();
        let mut given = part.closed.clone();
        given.sort_unstable();
        for next in given.into_iter().filter(|closed| closed.from < closed.until) {
            match closed.last_mut().filter(|last| next.from <= last.until) {
                Some(last) => last.until = last.until.max(next.until),
                None => closed.push(next),
            }
        }
        Self { part, requests: part.requests, claimed: part.claimed.min(part.requests), interval, each, burst, closed }
    }

    fn is_own(&self) -> bool {
        self.part.whose == Whose::Own
    }

    /// When it may next be sent, at the earliest `at`.
    fn opens(&self, at: Timestamp) -> Timestamp {
        let behind = self.closed.partition_point(|closed| closed.until <= at);
        self.closed.get(behind).filter(|closed| closed.from <= at).map_or(at, |closed| closed.until)
    }
}

/// The work as it is played forward.
struct Play {
    hour: Hour,
    slots: usize,
    now: Millis,
    /// When each channel has carried what it was given.
    busy: BTreeMap<usize, Millis>,
    /// When the requests being worked on end, in the order of their claims.
    working: VecDeque<Millis>,
    /// When the next request may be claimed, at the earliest.
    clock: Millis,
    /// When the run's first message left, and its last.
    first: Option<Millis>,
    last: Millis,
    quota: Millis,
    quiet_hours: Millis,
    steps: Vec<Step>,
    /// Whether there was a longer wait since the last step.
    waited: bool,
    expiring: u64,
}

/// Whether the work comes to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Yes,
    Never,
}

/// Plays the work forward; what bounds it is another question.
fn play(situation: &Situation) -> Forecast {
    let mut left: Vec<Left<'_>> = situation.parts.iter().filter(|part| part.requests > 0).map(Left::new).collect();
    let total: u64 = left.iter().map(|part| part.requests).fold(0, u64::saturating_add);
    let together = total.div_ceil(STEPS).max(1);
    let now = millis(situation.now);
    let mut play = Play {
        hour: Hour::new(situation.allowance, &situation.used),
        slots: usize::try_from(situation.slots as u64 / together).unwrap_or(1).max(1),
        now,
        busy: BTreeMap::new(),
        working: VecDeque::new(),
        clock: now,
        first: None,
        last: now,
        quota: 0.0,
        quiet_hours: 0.0,
        steps: Vec::new(),
        waited: false,
        expiring: 0,
    };
    let ends = play.work_off(&mut left, together, situation.expires_at);
    play.told(ends)
}

impl Play {
    fn work_off(&mut self, left: &mut [Left<'_>], together: u64, expires_at: Option<Timestamp>) -> Ends {
        let mut refused = 0;
        while left.iter().any(|part| part.is_own() && part.requests > 0) {
            while self.working.len() >= self.slots {
                self.clock = self.working.pop_front().map_or(self.clock, |free| free.max(self.clock));
            }
            let at = moment(self.clock);
            if expires_at.is_some_and(|expires_at| at > expires_at) {
                self.expire(left);
                return Ends::Yes;
            }
            // Of those that are open, the first in order.
            let next = left.iter_mut().filter(|part| part.requests > 0).min_by_key(|part| part.opens(at));
            let Some(next) = next else { break };
            let opens = next.opens(at);
            if opens > at {
                self.quiet_hours += self.wait(next, opens);
                continue;
            }
            match self.claim(next, together, at) {
                Ok(claimed) => {
                    self.send(next, claimed);
                    refused = 0;
                }
                Err(again) if refused < quota::BUCKETS_COUNTED && again > at => {
                    refused += 1;
                    self.quota += self.wait(next, again);
                }
                Err(_) => return Ends::Never,
            }
        }
        Ends::Yes
    }

    /// Waits; how much of that the run's own work waited.
    fn wait(&mut self, next: &Left<'_>, until: Timestamp) -> Millis {
        let waited = millis(until) - self.clock;
        self.clock = millis(until);
        self.waited |= waited >= WORTH_A_STEP.as_millis() as Millis;
        if next.is_own() { waited } else { 0.0 }
    }

    /// How many requests of this part go now; or when to ask again.
    fn claim(&mut self, next: &mut Left<'_>, together: u64, at: Timestamp) -> Result<u64, Timestamp> {
        let want = together.min(next.requests);
        if next.claimed > 0 {
            let claimed = want.min(next.claimed);
            next.claimed -= claimed;
            return Ok(claimed);
        }
        self.hour.take(next.part.ask, want, at)
    }

    fn send(&mut self, next: &mut Left<'_>, claimed: u64) {
        let busy = self.busy.entry(next.part.channel).or_insert(f64::MIN);
        // A channel that rested may be ahead of its pace by a burst.
        let began = busy.max(self.clock - next.burst);
        let takes = next.each * claimed as Millis;
        *busy = began + takes;
        let (starts, ends) = ((began + takes.min(next.interval)).max(self.clock), busy.max(self.clock));
        self.working.push_back(ends);
        next.requests -= claimed;
        if next.is_own() {
            self.first.get_or_insert(starts);
            self.last = self.last.max(ends);
            self.step(claimed);
        }
    }

    /// Tells of requests that go now: with those before them, if there was no longer wait between.
    fn step(&mut self, requests: u64) {
        let anew = std::mem::take(&mut self.waited) && self.steps.len() < STEPS_TOLD;
        match self.steps.last_mut().filter(|_| !anew) {
            Some(last) => last.requests += requests,
            None => self.steps.push(Step { at: moment(self.clock), requests }),
        }
    }

    /// What has not had its turn by now is too old.
    fn expire(&mut self, left: &[Left<'_>]) {
        let messages = |part: &Left<'_>| {
            let messages = u128::from(part.part.messages) * u128::from(part.requests) / u128::from(part.part.requests);
            u64::try_from(messages).unwrap_or(u64::MAX)
        };
        self.expiring = left.iter().filter(|part| part.is_own()).map(messages).fold(0, u64::saturating_add);
        self.last = self.last.max(self.clock);
    }

    fn told(self, ends: Ends) -> Forecast {
        let length = |millis: Millis| Duration::from_millis(millis.max(0.0).round() as u64);
        // Before the first message: what was waited for with nothing but others' work in the way is theirs.
        let whole = self.last - self.now;
        let began = self.first.unwrap_or(self.last) - self.now;
        let others = if self.steps.is_empty() { whole } else { began - (self.quota + self.quiet_hours).min(began) };
        let pace = whole - others - self.quota - self.quiet_hours;
        Forecast {
            starts_at: self.first.map(moment),
            ends_at: (ends == Ends::Yes).then(|| moment(self.last)),
            bound_by: Bound::Nothing,
            spent: Spent {
                others: length(others),
                quota: length(self.quota),
                quiet_hours: length(self.quiet_hours),
                pace: length(pace),
            },
            steps: self.steps,
            expiring: self.expiring,
        }
    }
}

#[cfg(test)]
mod tests;
