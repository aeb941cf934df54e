//! A JSON body: what it says, and the digest of how it was said. 415 for another type, 413 for too much, 400 for what is no JSON,
//! 422 for JSON of another shape, or with a NUL in it, which a store refuses in a text.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Api,
    problem::{FieldError, Problem},
    query,
};

/// A body as JSON.
#[derive(Debug)]
pub(super) struct Body<T> {
    /// What it says.
    pub value: T,
    /// SHA-256 of method, path and body: what an idempotency key stands for.
    pub digest: String,
}

impl<T: DeserializeOwned> FromRequest<Arc<Api>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let mut hasher = Sha256::new();
        hasher.update(format!("{} {}\n", head.method, head.uri));
        let bytes = Bytes::from_request(Request::from_parts(head.clone(), body), api).await;
        let bytes = bytes.map_err(|problem| query::unreadable(problem.status(), problem.body_text()))?;
        hasher.update(&bytes);
        let read = Json::<T>::from_request(Request::from_parts(head, bytes.clone().into()), api).await;
        let value = query::body(read)?;
        without_nul(&bytes)?;
        Ok(Self { value, digest: hex(&hasher.finalize()) })
    }
}

/// A NUL as JSON writes it; as it is, it cannot stand in a JSON text.
const NUL: &[u8] = b"\\u0000";

/// Refuses a body with a NUL in one of its texts, naming the first of them.
fn without_nul(bytes: &[u8]) -> Result<(), Problem> {
    if !bytes.windows(NUL.len()).any(|window| window == NUL) {
        return Ok(());
    }
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return Ok(()) };
    let Some(pointer) = nul(&value) else { return Ok(()) };
    let error = FieldError { pointer, detail: "holds a NUL, which no text has".to_owned() };
    let detail = format!("{}: {}", error.pointer, error.detail);
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail).with_errors([error]))
}

/// Where the first text with a NUL stands, as a JSON pointer; a field whose name has one stands where its object does.
fn nul(value: &Value) -> Option<String> {
    let below = |part: &str, value| Some(format!("/{}{}", part.replace('~', "~0").replace('/', "~1"), nul(value)?));
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => items.iter().enumerate().find_map(|(place, item)| below(&place.to_string(), item)),
        Value::Object(fields) => fields
            .iter()
            .find_map(|(name, value)| if name.contains('\0') { Some(String::new()) } else { below(name, value) }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _: std::fmt::Result = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_where_it_stands() {
        for (body, expected) in [
            (r#"{"a": ["x", {"b/c": "y\u0000"}]}"#, Some("/a/1/b~1c")),
            (r#"{"a": {"b\u0000": 1}}"#, Some("/a")),
            (r#""\u0000""#, Some("")),
            (r#"{"a": "\\u0000 is how it is written"}"#, None),
            (r#"{"a": "\u0000"#, None),
        ] {
            let found = without_nul(body.as_bytes()).err().map(|problem| format!("{problem:?}"));
            assert_eq!(found.is_some(), expected.is_some(), "{body}: {found:?}");
            if let (Some(found), Some(pointer)) = (found, expected) {
                assert!(found.contains(&format!("{pointer}: holds a NUL")), "{body}: {found}");
            }
        }
    }
}
