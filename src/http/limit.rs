//! How often an organization may ask: so many requests in any hour (SPEC 8), counted by the process that answers. Every answer
//! says how many are left.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use axum::{
    extract::Request,
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::Response,
};

use super::problem::Problem;
use crate::domain::{
    id::OrgId,
    time::Timestamp,
    window::{Admission, Verdict, WINDOW, Window},
};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");
/// Organizations that are remembered before those that rest are forgotten.
const KEPT: usize = 10_000;

/// Counts who comes in.
#[derive(Debug)]
pub struct Doorkeeper {
    limit: u64,
    windows: Mutex<HashMap<OrgId, Window>>,
}

/// What was found of a request at the door, for whoever writes the answer's headers.
#[derive(Clone, Debug, Default)]
struct Found(Arc<OnceLock<Admission>>);

impl Doorkeeper {
    /// So many an hour for each organization.
    pub fn new(limit: u64) -> Self {
        Self { limit, windows: Mutex::default() }
    }

    /// Lets a request of an organization in, or not.
    pub(super) fn admit(&self, org: &OrgId, extensions: &Extensions, now: Timestamp) -> Result<(), Problem> {
        let admission = self.look(org, now);
        if let Some(Found(found)) = extensions.get::<Found>() {
            let _already: Result<(), Admission> = found.set(admission);
        }
        match admission.verdict {
            Verdict::Admitted => Ok(()),
            Verdict::Refused => {
                let detail = format!(
                    "this organization has made {} requests within the hour, and no more are taken",
                    self.limit
                );
                let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail);
                Err(problem.retry_after(seconds(admission)))
            }
        }
    }

    fn look(&self, org: &OrgId, now: Timestamp) -> Admission {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= KEPT && !windows.contains_key(org) {
            windows.retain(|_, window| !window.is_empty_at(now));
        }
        windows.entry(org.clone()).or_default().admit(self.limit, now)
    }
}

fn seconds(admission: Admission) -> u64 {
    admission.more_in.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

/// Writes onto each answer what was found at the door.
pub(super) async fn told(mut request: Request, next: Next) -> Response {
    let found = Found::default();
    request.extensions_mut().insert(found.clone());
    let mut response = next.run(request).await;
    if let Some(admission) = found.0.get() {
        tell(response.headers_mut(), *admission);
    }
    response
}

/// The form of draft-ietf-httpapi-ratelimit-headers: the policy, and where the caller stands.
fn tell(headers: &mut HeaderMap, admission: Admission) {
    let policy = format!("\"hour\";q={};w={}", admission.limit, WINDOW.as_secs());
    let standing = format!("\"hour\";r={};t={}", admission.left, seconds(admission));
    for (name, value) in [(POLICY, policy), (STANDING, standing)] {
        headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
    }
}
