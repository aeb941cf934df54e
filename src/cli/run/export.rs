//! A run's report as CSV: the uploaded file's own columns and row numbers, and what became of each row. Read a page at a time.

use std::{fs::File, io, path::PathBuf};

use anyhow::Context as _;

use super::Failure;
use crate::{
    app::App,
    domain::{id::OrgId, run::Run},
    intake::csv::{columns::fold_header, export::ReportWriter},
    store::{
        messages::{MessageSearch, StoredMessage},
        runs::Rejected,
    },
};

/// Rows that are read in one go.
const PAGE: i64 = 1_000;
/// What herald adds to the file's own columns.
const ADDED: [&str; 10] =
    ["row", "to", "status", "code", "reason", "locale", "segments", "sent_at", "message", "provider_id"];

/// Writes the report; how many rows it has.
pub async fn export(app: &App, org: &OrgId, run: &Run, to: Option<PathBuf>) -> Result<u64, Failure> {
    let target: Box<dyn io::Write + Send> = match &to {
        Some(path) => Box::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?),
        None => Box::new(io::stdout()),
    };
    let mut report = ReportWriter::new(io::BufWriter::new(target));
    let own: Vec<&str> = run.columns.iter().map(String::as_str).collect();
    report.write(ADDED.into_iter().chain(own.iter().copied()))?;

    let (mut rows, mut after, mut refused_after) = (0, None, 0);
    let mut refused: Vec<Rejected> = Vec::new();
    loop {
        let search = MessageSearch { run: Some(run.id), after, ..MessageSearch::default() };
        let messages = app.store.search_messages(org, &search, PAGE).await?;
        let last = messages.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        after = messages.last().map(|message| message.id).or(after);
        // Refused rows stand where they stood in the file: all up to the last row of this page.
        let upto = if last { i64::MAX } else { messages.last().map_or(i64::MAX, |message| message.row) };
        loop {
            let page = app.store.rejected_rows(org, run.id, refused_after, PAGE).await?;
            let within: Vec<Rejected> = page.iter().filter(|row| row.row <= upto).cloned().collect();
            let whole = within.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
            refused_after = within.last().map_or(refused_after, |row| row.row);
            refused.extend(within);
            if !whole {
                break;
            }
        }
        let mut refused_rows = refused.drain(..).peekable();
        for message in &messages {
            while let Some(row) = refused_rows.next_if(|row| row.row < message.row) {
                report.write(refused_cells(&row).iter().map(String::as_str))?;
                rows += 1;
            }
            report.write(cells(message, &own)?.iter().map(String::as_str))?;
            rows += 1;
        }
        for row in refused_rows {
            report.write(refused_cells(&row).iter().map(String::as_str))?;
            rows += 1;
        }
        if last {
            break;
        }
    }
    report.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(rows)
}

fn refused_cells(row: &Rejected) -> Vec<String> {
    let added = [row.row.to_string(), String::new(), "invalid".into(), String::new(), row.problems.clone()];
    added
        .into_iter()
        .chain(std::iter::repeat_n(String::new(), ADDED.len() - 5))
        .chain(row.fields.iter().cloned())
        .collect()
}

fn cells(message: &StoredMessage, own: &[&str]) -> Result<Vec<String>, Failure> {
    let state = message.state.as_ref();
    let why = state.and_then(|state| state.why.as_ref());
    let text = |text: Option<String>| text.unwrap_or_default();
    let mut cells = vec![
        message.row.to_string(),
        message.to.to_string(),
        message.status().to_string(),
        text(why.map(|why| why.reason.code().to_owned())),
        text(why.map(ToString::to_string)),
        text(state.map(|state| state.locale.clone())),
        text(state.map(|state| state.segments.to_string())),
        text(state.and_then(|state| state.sent_at).map(|at| at.to_string())),
        message.id.to_string(),
        text(state.map(|state| state.provider_id.clone())),
    ];
    let slugs = message.read_slugs()?;
    cells.extend(own.iter().map(|name| {
        let bare = fold_header(name);
        match bare.as_str() {
            "tocontactid" | "to" | "phone" | "phonenumber" | "mobile" => message.to.to_string(),
            "optin" => if message.opted_in { "yes" } else { "no" }.to_owned(),
            "locale" => message.locale.clone(),
            _ => slugs
                .iter()
                .find(|(slug, _)| fold_header(slug) == bare)
                .map(|(_, value)| value.to_owned())
                .unwrap_or_default(),
        }
    }));
    Ok(cells)
}
