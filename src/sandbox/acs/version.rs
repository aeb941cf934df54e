//! Which version of the API a request names, and which of them the service has for what.

use axum::http::Uri;

use super::errors::ApiError;

/// A version of sending and of opting out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V2021,
    V2025,
    V2026,
}

const SENDING: &[(&str, Version)] =
    &[("2021-03-07", Version::V2021), ("2025-09-17", Version::V2025), ("2026-01-23", Version::V2026)];
const OPTING_OUT: &[(&str, Version)] = &[("2025-09-17", Version::V2025), ("2026-01-23", Version::V2026)];
const NUMBERS: &[(&str, ())] = &[("2022-12-01", ())];

pub(super) fn of_sending(uri: &Uri) -> Result<Version, ApiError> {
    pick(uri, SENDING)
}

pub(super) fn of_opting_out(uri: &Uri) -> Result<Version, ApiError> {
    pick(uri, OPTING_OUT)
}

pub(super) fn of_numbers(uri: &Uri) -> Result<(), ApiError> {
    pick(uri, NUMBERS)
}

fn pick<V: Copy>(uri: &Uri, known: &[(&str, V)]) -> Result<V, ApiError> {
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let named: Vec<_> = query.filter(|(name, _)| name == "api-version").map(|(_, value)| value).collect();
    let [named] = named.as_slice() else {
        return Err(match named.is_empty() {
            true => ApiError::new(400, "ApiVersionUnspecified", "An API version is required, but was not specified."),
            false => ApiError::new(400, "AmbiguousApiVersion", "More than one API version was specified."),
        });
    };
    let found = known.iter().find(|(version, _)| version == named).map(|(_, version)| *version);
    found.ok_or_else(|| {
        let words = format!("The service does not support the API version '{named}' here.");
        ApiError::new(400, "UnsupportedApiVersion", words)
    })
}
