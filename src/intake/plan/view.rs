//! A plan as it is shown: to programs as it stands, to people in lines.

use chrono_tz::Tz;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{
    figures::{Alphabet, Amount, Figures},
    pace::Unit,
    plan::{self, Bound, Forecast, grouped},
    price::{Cost, Prices},
    quota::Allowance,
    rate::Rate,
    time::Timestamp,
};

/// What a run will send, what that costs by the channel's prices, what bounds it, and when it will end.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlanView {
    /// Requests of at most 100 contacts that are left.
    pub requests: u64,
    /// Messages that are left; who is known to get nothing is not among them.
    pub messages: u64,
    /// Their segments.
    pub segments: u64,
    /// They by locale and encoding.
    pub texts: Vec<TextView>,
    /// They by the recipients' countries.
    pub countries: Vec<CountryView>,
    /// What they cost, as an estimate; null where the channel has no prices.
    pub cost: Option<CostView>,
    /// The whole run, with what has been sent already; for a run that exists.
    pub whole: Option<WholeView>,
    /// When the first message leaves; null if none can.
    pub starts_at: Option<Timestamp>,
    /// When the last message has left; null if that will never be, as things stand.
    pub ends_at: Option<Timestamp>,
    /// From now until then.
    pub seconds: Option<f64>,
    /// What bounds it.
    pub bound_by: Bound,
    /// The same in words.
    pub because: String,
    /// What part of the time is spent on what.
    pub shares: SharesView,
    /// Which requests go when, where there are longer waits between.
    pub steps: Vec<StepView>,
    /// Messages that will be too old before their turn comes.
    pub expiring: u64,
    /// What else should be known.
    pub notes: Vec<String>,
    /// In one sentence.
    pub summary: String,
}

/// Messages in one locale and encoding.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TextView {
    /// The locale of the text; empty where it is not known.
    pub locale: String,
    /// The encoding of the text.
    pub encoding: Alphabet,
    /// How many get it.
    pub messages: u64,
    /// Their segments.
    pub segments: u64,
}

/// Messages to one country.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CountryView {
    /// Two letters of ISO 3166; null where the number does not tell.
    pub country: Option<String>,
    /// How many.
    pub messages: u64,
    /// Their segments.
    pub segments: u64,
    /// What they cost.
    pub cost: Option<CostView>,
}

/// Money.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CostView {
    /// A decimal with four places.
    pub amount: String,
    /// ISO 4217.
    pub currency: String,
}

/// All that a run sends.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WholeView {
    /// Messages, as they were counted when the audience was taken in.
    pub messages: u64,
    /// Their segments.
    pub segments: u64,
    /// What they cost.
    pub cost: Option<CostView>,
}

/// Parts of the time, which add up to 1 unless there is none.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct SharesView {
    /// Waiting until the organization's other work is done.
    pub others: f64,
    /// Waiting for the organization's hour.
    pub quota: f64,
    /// Waiting for the end of quiet hours.
    pub quiet_hours: f64,
    /// Sending, at the channel's pace.
    pub pace: f64,
}

/// Requests that go without a longer wait between them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StepView {
    /// From when.
    pub at: Timestamp,
    /// How many.
    pub requests: u64,
}

/// What a plan says of its channel.
pub(super) struct Told<'a> {
    pub channel: &'a str,
    pub rate: Rate,
    pub unit: Unit,
    pub prices: Option<&'a Prices>,
}

impl From<Cost> for CostView {
    fn from(cost: Cost) -> Self {
        Self { amount: cost.amount(), currency: cost.currency.to_string() }
    }
}

impl WholeView {
    pub(super) fn of(texts: &Figures, prices: Option<&Prices>) -> Self {
        let total = texts.total();
        let cost = prices.map(|prices| prices.cost(texts).into());
        Self { messages: total.messages, segments: total.segments, cost }
    }
}

impl PlanView {
    pub(super) fn of(
        told: &Told<'_>,
        texts: &Figures,
        requests: u64,
        forecast: &Forecast,
        allowance: Allowance,
        now: Timestamp,
    ) -> Self {
        let total = texts.total();
        let because = plan::because(forecast.bound_by, told.channel, told.rate, told.unit, allowance);
        Self {
            requests,
            messages: total.messages,
            segments: total.segments,
            texts: by_text(texts),
            countries: by_country(texts, told.prices),
            cost: told.prices.map(|prices| prices.cost(texts).into()),
            whole: None,
            starts_at: forecast.starts_at,
            ends_at: forecast.ends_at,
            seconds: forecast.ends_at.map(|ends| ends.since(now).as_secs_f64()),
            bound_by: forecast.bound_by,
            shares: SharesView::of(forecast),
            steps: forecast.steps.iter().map(|step| StepView { at: step.at, requests: step.requests }).collect(),
            expiring: forecast.expiring,
            notes: notes(told, forecast),
            summary: summary(forecast, &because, now),
            because,
        }
    }

    /// Nothing is left of it.
    pub(super) fn over(&mut self, at: Timestamp, now: Timestamp) {
        (self.starts_at, self.ends_at) = (None, Some(at));
        self.seconds = Some(at.since(now).as_secs_f64());
        self.summary = "nothing is left to send".to_owned();
        self.notes.retain(|note| !note.starts_with("channel"));
    }

    /// For people: what is sent, when, for how much; times as that zone's clocks show them.
    pub fn lines(&self, zone: Tz) -> Vec<String> {
        let mut lines = vec![format!("plan: {}", self.summary)];
        if let (Some(ends), true) = (self.ends_at, self.messages > 0) {
            lines.push(format!("  ends about {}", local(ends, zone, "%Y-%m-%d %H:%M %Z")));
        }
        if self.steps.len() > 1 {
            let told: Vec<String> =
                self.steps.iter().enumerate().map(|(nth, step)| self.step(nth, step, zone)).collect();
            lines.push(format!("  {}", told.join(", ")));
        }
        if let Some(cost) = self.cost.as_ref().filter(|_| self.messages > 0) {
            lines.push(format!(
                "  costs about {} {} for {} messages in {} segments",
                cost.amount,
                cost.currency,
                grouped(self.messages),
                grouped(self.segments)
            ));
        }
        lines.extend(self.notes.iter().map(|note| format!("  {note}")));
        lines
    }

    fn step(&self, nth: usize, step: &StepView, zone: Tz) -> String {
        let (requests, last) = (grouped(step.requests), nth + 1 == self.steps.len());
        match (nth, last) {
            (0, _) if self.starts_at.is_some_and(|starts| step.at >= starts) || self.starts_at.is_none() => {
                format!("{requests} requests from {}", local(step.at, zone, "%H:%M"))
            }
            (0, _) => format!("{requests} requests now"),
            (_, true) => format!("the rest from {}", local(step.at, zone, "%H:%M")),
            (_, false) => format!("{requests} from {}", local(step.at, zone, "%H:%M")),
        }
    }
}

fn by_text(texts: &Figures) -> Vec<TextView> {
    let sums = texts.by(|kind| (kind.locale.clone(), kind.alphabet));
    let shown = sums.into_iter().map(|((locale, encoding), Amount { messages, segments })| TextView {
        locale,
        encoding,
        messages,
        segments,
    });
    shown.collect()
}

fn by_country(texts: &Figures, prices: Option<&Prices>) -> Vec<CountryView> {
    let shown = texts.by(|kind| kind.country).into_iter().map(|(country, amount)| CountryView {
        country: country.map(|country| country.to_string()),
        messages: amount.messages,
        segments: amount.segments,
        cost: prices.map(|prices| prices.cost_to(country, amount).into()),
    });
    shown.collect()
}

fn local(at: Timestamp, zone: Tz, form: &str) -> String {
    at.to_utc().with_timezone(&zone).format(form).to_string()
}

fn summary(forecast: &Forecast, because: &str, now: Timestamp) -> String {
    let Some(ends) = forecast.ends_at else {
        return format!("it never ends as things stand: bounded by {because}");
    };
    if forecast.steps.is_empty() && forecast.expiring == 0 {
        return "nothing is left to send".to_owned();
    }
    format!("about {}, bounded by {because}", plan::in_words(ends.since(now)))
}

fn notes(told: &Told<'_>, forecast: &Forecast) -> Vec<String> {
    let others = (!forecast.spent.others.is_zero()).then(|| {
        format!("it waits about {} for the organization's other messages", plan::in_words(forecast.spent.others))
    });
    let expiring = (forecast.expiring > 0)
        .then(|| format!("about {} messages expire before their turn comes (valid_for)", grouped(forecast.expiring)));
    let free = told
        .prices
        .is_none()
        .then(|| format!("channel \"{}\" has no prices: what it costs is not known", told.channel));
    [others, expiring, free].into_iter().flatten().collect()
}

impl SharesView {
    fn of(forecast: &Forecast) -> Self {
        let spent = &forecast.spent;
        let whole = spent.others + spent.quota + spent.quiet_hours + spent.pace;
        if whole.is_zero() {
            return Self::default();
        }
        let share = |part: std::time::Duration| (part.as_secs_f64() / whole.as_secs_f64() * 1_000.0).round() / 1_000.0;
        Self {
            others: share(spent.others),
            quota: share(spent.quota),
            quiet_hours: share(spent.quiet_hours),
            pace: share(spent.pace),
        }
    }
}
