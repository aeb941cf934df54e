//! A JSON body: what it says, and the digest of how it was said. 415 for another type, 413 for too much, 400 for what is no JSON,
//! 422 for JSON of another shape.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request},
};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{Api, problem::Problem, query};

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
        let read = Json::<T>::from_request(Request::from_parts(head, bytes.into()), api).await;
        Ok(Self { value: query::body(read)?, digest: hex(&hasher.finalize()) })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _: std::fmt::Result = write!(text, "{byte:02x}");
        text
    })
}
