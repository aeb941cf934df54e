//! A body that is a file: put aside on disk as it comes in, so that memory does not grow with it. The file vanishes when it is
//! dropped.

use std::{fs::File, io};

use axum::{body::Body, http::StatusCode};
use futures::TryStreamExt as _;
use tokio::io::AsyncWriteExt as _;

use super::problem::Problem;

/// The largest file that is taken, in bytes: a million rows have room in it.
pub(super) const LARGEST: u64 = 128 * 1024 * 1024;

/// Puts a body aside; refused if it is larger than `limit` bytes.
pub(super) async fn spool(body: Body, limit: u64) -> Result<File, Problem> {
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(full)?);
    let mut chunks = body.into_data_stream();
    let mut bytes = 0u64;
    while let Some(chunk) = chunks.try_next().await.map_err(broken_off)? {
        bytes += chunk.len() as u64;
        if bytes > limit {
            let detail = format!("the file is larger than {limit} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail));
        }
        file.write_all(&chunk).await.map_err(full)?;
    }
    file.flush().await.map_err(full)?;
    Ok(file.into_std().await)
}

fn full(problem: io::Error) -> Problem {
    tracing::error!(%problem, "a file could not be put aside");
    Problem::unavailable("the file could not be put aside; try again in a moment")
}

fn broken_off(problem: axum::Error) -> Problem {
    Problem::bad_request("body_broken_off", format!("the body broke off: {problem}"))
}
