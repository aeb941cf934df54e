//! A run's rows as CSV: its report, or the rows that were refused.

use std::{
    fs::File,
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;

use super::Failure;
use crate::{
    app::App,
    domain::{id::OrgId, run::Run},
    intake::exports::{Rejections, Report},
};

/// Which rows are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// All, with what became of them.
    All,
    /// Those that were refused, to be corrected and sent.
    Rejected,
}

/// Writes them; how many there are.
pub async fn export(app: &App, org: &OrgId, run: Run, rows: Rows, to: Option<PathBuf>) -> Result<u64, Failure> {
    let target: Box<dyn io::Write + Send> = match &to {
        Some(path) => Box::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?),
        None => Box::new(io::stdout()),
    };
    let mut target = io::BufWriter::new(target);
    let (store, org) = (app.store.clone(), org.clone());
    let written = match rows {
        Rows::All => {
            let mut report = Report::new(store, org, run);
            while let Some(page) = report.next_page().await? {
                target.write_all(&page)?;
            }
            report.rows()
        }
        Rows::Rejected => {
            let mut rejections = Rejections::new(store, org, run);
            while let Some(page) = rejections.next_page().await? {
                target.write_all(&page)?;
            }
            rejections.rows()
        }
    };
    target.flush()?;
    Ok(written)
}
