//! What each definition must obey (SPEC 3): quotas, expressions and schedules here, accounts, senders and endpoints in files of
//! their own.

mod accounts;
mod endpoints;
mod senders;

use std::{ops::RangeInclusive, time::Duration};

use chrono_tz::Tz;
use url::{Host, Url};

pub(super) use accounts::account;
pub(super) use endpoints::endpoint;
pub(super) use senders::{Senders, channel, media};

use super::{page::Page, problem::Problem};
use crate::{
    domain::{
        definition::{CONTRACT_QUOTA, Configuration, Mapping, Organization, Trigger},
        schedule::{NotASchedule, Schedule},
        time::Timestamp,
    },
    intake::mapping::{CompiledMapping, check_type},
};

/// An hour: what a quota is counted over.
const HOUR: Duration = Duration::from_secs(3600);

/// Over what time marketing messages to a person may be counted.
const CAP_SPANS: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(366 * 24);

/// The organization's own settings.
pub(super) fn organization(page: &Page, organization: &Organization) -> Vec<Problem> {
    let mut problems = Vec::new();
    let quota = organization.quota;
    if quota.per != HOUR || quota.count > CONTRACT_QUOTA {
        let message = format!("\"{quota}\" is not a quota; expected requests an hour, at most \"30_000/hour\"");
        problems.push(page.problem("quota", message));
    }
    if let Some(cap) = organization.frequency_cap.filter(|cap| !CAP_SPANS.contains(&cap.per)) {
        let message = format!("\"{cap}\" is not a cap; expected messages in a minute to a year, like \"3/7day\"");
        problems.push(page.problem("frequency_cap", message));
    }
    if organization.quiet_hours.is_some_and(|hours| hours.from == hours.to) {
        let message = "is the same time as quiet_hours.from; expected another, which may be the next morning's";
        problems.push(page.problem("quiet_hours.to", message));
    }
    problems
}

/// A text as a web address; `None` if it is none.
fn web(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Whether an address is encrypted, or leads to this machine.
fn is_private_to_both(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || loopback
}

/// A configuration's own settings, its expressions and its times. The mapping, compiled, if there is a good one.
pub(super) fn configuration(
    page: &Page,
    configuration: &Configuration,
    zone: Tz,
    problems: &mut Vec<Problem>,
) -> Option<CompiledMapping> {
    if configuration.valid_for.0.is_zero() {
        problems.push(page.problem("valid_for", "is no time at all; expected a length of time like \"24h\""));
    }
    if configuration.canary_wait.is_some() && configuration.canary.is_none() {
        problems.push(page.problem("canary_wait", "there is nothing to wait for; expected canary beside it"));
    }
    match &configuration.trigger {
        Trigger::Automatic { event, when, contact, .. } => {
            if configuration.canary.is_some() {
                let message =
                    "an automatic configuration has none, as its contacts come one by one; expected limits alone";
                problems.push(page.problem("canary", message));
            }
            if let Err(problem) = check_type(event) {
                problems.push(page.problem("trigger.event", problem.to_string()));
            }
            automatic(page, configuration, when.as_deref(), contact.as_ref(), problems)
        }
        Trigger::Instant {} => None,
        Trigger::Scheduled { at, cron, after, .. } => {
            let key = if cron.is_some() { "trigger.cron" } else { "trigger.at" };
            if [!at.is_empty(), cron.is_some(), after.is_some()].into_iter().filter(|said| *said).count() != 1 {
                let message =
                    "expected exactly one of at (local times), cron (an expression) and after (a length of time)";
                problems.push(page.problem("trigger", message));
            } else if let Some(Err(problem)) = schedule(configuration, zone, None) {
                problems.push(page.problem(key, problem.to_string()));
            }
            if configuration.audience.is_none() {
                let message = "missing; expected a stored list or a query over cases to send to, as a scheduled configuration has no other audience";
                problems.push(page.problem("audience", message));
            }
            None
        }
    }
}

fn automatic(
    page: &Page,
    configuration: &Configuration,
    when: Option<&str>,
    contact: Option<&Mapping>,
    problems: &mut Vec<Problem>,
) -> Option<CompiledMapping> {
    if configuration.audience.is_some() {
        let message = "an automatic configuration has none; expected its contacts to come from the event";
        problems.push(page.problem("audience", message));
    }
    if contact.is_some_and(|contact| contact.optin.is_none()) && configuration.attested().is_none() {
        let message = "missing; expected an expression that says whether the contact agreed, or opted_in = true to attest that all have";
        problems.push(page.problem("trigger.contact.optin", message));
    }
    let compiled = CompiledMapping::compile(when, contact);
    let said = compiled.map_err(|found| {
        problems.extend(found.into_iter().map(|found| {
            let place =
                found.position.map(|(line, column)| format!("line {line}, column {column} of the expression: "));
            let message = format!("{}{}", place.unwrap_or_default(), found.message);
            page.problem(&format!("trigger.{}", found.key), message)
        }));
    });
    said.ok()
}

/// When a scheduled configuration fires, in its own time zone or this one; `None` for other triggers, and for one that says "so long
/// after" if it is not known since when.
pub(super) fn schedule(
    configuration: &Configuration,
    zone: Tz,
    said: Option<Timestamp>,
) -> Option<Result<Schedule, NotASchedule>> {
    let Trigger::Scheduled { at, cron, after, timezone, .. } = &configuration.trigger else { return None };
    let zone = timezone.unwrap_or(zone);
    match (cron, after) {
        (Some(cron), _) => Some(Schedule::cron(cron, zone)),
        (None, Some(after)) => said.map(|said| Ok(Schedule::once(said.plus(after.0), zone))),
        (None, None) => Some(Schedule::at(at, zone)),
    }
}
