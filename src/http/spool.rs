//! A body that is a file: put aside on disk as it comes in, so that memory does not grow with it. The file vanishes when it is
//! dropped.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use axum::{body::Body, http::StatusCode};
use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use super::problem::Problem;

/// The most characters of its name that a file keeps.
const NAME: usize = 60;
/// So much of what is too large is read all the same, so that whoever sends it is there to hear the answer.
pub(super) const PASSED_OVER: u64 = 1 << 20;
/// What a file is called that came without a name.
const NAMELESS: &str = "upload.csv";

/// A file that was put aside under its own name.
#[derive(Debug)]
pub(super) struct Spooled {
    folder: TempDir,
    name: String,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

impl Spooled {
    /// Where it lies.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// Calls it something else.
    pub async fn rename(&mut self, name: &str) -> Result<(), Problem> {
        let Some(name) = plain(name).filter(|name| *name != self.name) else { return Ok(()) };
        tokio::fs::rename(self.path(), self.folder.path().join(&name)).await.map_err(full)?;
        self.name = name;
        Ok(())
    }
}

/// Puts a body aside; refused if it is larger than `limit` bytes.
pub(super) async fn spool(body: Body, limit: u64) -> Result<File, Problem> {
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(full)?);
    pour(body.into_data_stream().map_err(broken_off), &mut file, limit).await?;
    Ok(file.into_std().await)
}

/// Puts a file aside whose name is of use later.
pub(super) async fn spool_named(
    chunks: impl Stream<Item = Result<Bytes, Problem>>,
    name: Option<&str>,
    limit: u64,
) -> Result<Spooled, Problem> {
    let folder = tempfile::Builder::new().prefix("herald-upload-").tempdir().map_err(full)?;
    let name = name.and_then(plain).unwrap_or_else(|| NAMELESS.to_owned());
    let mut file = tokio::fs::File::create(folder.path().join(&name)).await.map_err(full)?;
    let sha256 = pour(chunks, &mut file, limit).await?;
    Ok(Spooled { folder, name, sha256 })
}

async fn pour(
    chunks: impl Stream<Item = Result<Bytes, Problem>>,
    file: &mut tokio::fs::File,
    limit: u64,
) -> Result<[u8; 32], Problem> {
    let mut chunks = std::pin::pin!(chunks);
    let mut bytes = 0u64;
    let mut hash = Sha256::new();
    while let Some(chunk) = chunks.try_next().await? {
        bytes += chunk.len() as u64;
        if bytes > limit {
            let mut passed_over = 0;
            while passed_over < PASSED_OVER {
                let Ok(Some(chunk)) = chunks.try_next().await else { break };
                passed_over += chunk.len() as u64;
            }
            return Err(too_large(limit));
        }
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(full)?;
    }
    file.flush().await.map_err(full)?;
    Ok(hash.finalize().into())
}

/// A file's name without the way to it, and without what no file of ours is called.
fn plain(name: &str) -> Option<String> {
    let name = name.rsplit(['/', '\\']).next()?.trim();
    let kept: String = name.chars().filter(|letter| !letter.is_control()).take(NAME).collect();
    Some(kept).filter(|name| !name.is_empty() && Path::new(name).file_name().is_some())
}

/// 413.
pub(super) fn too_large(limit: u64) -> Problem {
    let detail = format!("the file is larger than {limit} bytes (the setting api.max_upload_bytes)");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

fn full(problem: io::Error) -> Problem {
    tracing::error!(%problem, "a file could not be put aside");
    Problem::unavailable("the file could not be put aside; try again in a moment")
}

/// What a body that breaks off is answered with, if anybody still listens.
pub(super) fn broken_off(problem: axum::Error) -> Problem {
    Problem::bad_request("body_broken_off", format!("the body broke off: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere() {
        for (given, kept) in [
            ("customers.csv", Some("customers.csv")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\lists\\März.csv", Some("März.csv")),
            ("..", None),
            ("/", None),
            ("a\nb", Some("ab")),
        ] {
            assert_eq!(plain(given).as_deref(), kept, "{given:?}");
        }
    }
}
