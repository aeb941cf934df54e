//! What is answered to an upload: the run, what a dry run found, or why nothing was sent.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::stream;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use utoipa::ToSchema;

use crate::{
    domain::{
        id::RunId,
        run::{REQUEST_SIZE, Run, Sums},
    },
    http::{
        consents::RowProblemView,
        exports::csv,
        problem::{ErrorView, FieldError, More, Problem},
        views::{self, Audit, RunView},
    },
    intake::{
        audience::{self, NotStarted},
        begin::NotBegun,
        csv::{FileProblem, Rejected, columns::Column},
        upload::{FileFigures, NotSent, Preview, Started, TextFigures},
    },
    template::{Encoding, segments},
};

/// A run that has begun.
#[derive(Serialize, ToSchema)]
pub(super) struct RunAnswer {
    /// As `GET /v1/runs/{id}` shows it, at the moment in which it began.
    run: RunView,
    /// What the file held; null if there was none.
    file: Option<FileView>,
}

/// What a file held.
#[derive(Serialize, ToSchema)]
struct FileView {
    rows: u64,
    valid: u64,
    /// Rows that were not taken in.
    invalid: u64,
    /// Valid rows that repeat the number of an earlier one.
    duplicates: u64,
    /// Valid rows whose contact did not agree.
    not_opted_in: u64,
    /// What is to be mended, as an instruction.
    summary: String,
    /// Where the rows are that were not taken in; null if all were.
    rejected_csv: Option<String>,
}

impl RunAnswer {
    pub fn of_file(started: &Started) -> Self {
        let FileFigures { rows, valid, invalid, duplicates, not_opted_in, summary } = started.figures.clone();
        let rejected_csv = (invalid > 0).then(|| format!("/v1/runs/{}/rejected.csv", started.run.id));
        let file = FileView { rows, valid, invalid, duplicates, not_opted_in, summary, rejected_csv };
        Self { run: as_begun(&started.run, &started.sums), file: Some(file) }
    }

    pub fn of_audience(run: &Run) -> Self {
        let sums = Sums { tallies: Vec::new(), messages: run.messages, rejected: run.rejected };
        Self { run: as_begun(run, &sums), file: None }
    }

    /// As it is answered, and kept under an idempotency key.
    pub fn value(&self) -> Value {
        json!(self)
    }

    pub fn text(&self) -> String {
        self.value().to_string()
    }
}

/// A run at the moment in which it began.
fn as_begun(run: &Run, sums: &Sums) -> RunView {
    let now = run.started_at.unwrap_or(run.created_at);
    let begun = Run { status: crate::domain::run::RunStatus::Running, started_at: Some(now), ..run.clone() };
    views::run(&begun, sums, &Audit::Running, now)
}

/// What a dry run found.
#[derive(Serialize, ToSchema)]
pub(super) struct DryRunAnswer {
    dry_run: DryRun,
}

/// What would be sent.
#[derive(Serialize, ToSchema)]
struct DryRun {
    /// Rows or contacts: valid or not.
    rows: u64,
    valid: u64,
    invalid: u64,
    /// Valid rows that repeat the number of an earlier one.
    duplicates: u64,
    /// Valid ones that did not agree.
    not_opted_in: u64,
    /// Batches of at most 100 messages.
    requests: u64,
    segments: u64,
    /// What is to be mended, as an instruction; empty if nothing is.
    summary: String,
    /// What is wrong, in the file's order: the first 1,000.
    #[schema(value_type = Vec<ErrorView>)]
    errors: Vec<Value>,
    /// The file's own columns, and what each means.
    columns: Vec<ColumnView>,
    /// What would be said, by locale.
    texts: BTreeMap<String, TextView>,
}

/// A column of a file.
#[derive(Serialize, ToSchema)]
struct ColumnView {
    name: String,
    /// `recipient`, `optin`, `locale`, `slug`, …
    means: &'static str,
}

/// The texts of one locale.
#[derive(Serialize, ToSchema)]
struct TextView {
    rows: u64,
    segments: u64,
    /// How many of them are not GSM-7.
    ucs2: u64,
    sample: SampleView,
}

/// The first text of a locale.
#[derive(Serialize, ToSchema)]
struct SampleView {
    text: String,
    /// `gsm7` or `ucs2`.
    encoding: &'static str,
    segments: u64,
}

impl DryRunAnswer {
    pub fn of_file(preview: &Preview) -> Self {
        let checked = &preview.checked;
        let column = |column: &Column| ColumnView { name: column.name.clone(), means: column.role.as_str() };
        let dry_run = DryRun {
            rows: checked.rows,
            valid: checked.valid,
            invalid: checked.invalid,
            duplicates: checked.duplicates,
            not_opted_in: checked.not_opted_in,
            requests: checked.valid.div_ceil(REQUEST_SIZE as u64),
            segments: preview.texts.values().map(|text| text.segments).sum(),
            summary: checked.summary.to_string(),
            errors: checked.problems.iter().map(|problem| json!(RowProblemView::of(problem))).collect(),
            columns: checked.columns.iter().map(column).collect(),
            texts: texts(&preview.texts),
        };
        Self { dry_run }
    }

    pub fn of_audience(preview: &audience::Preview) -> Self {
        let dry_run = DryRun {
            rows: preview.rows,
            valid: preview.good,
            invalid: preview.bad,
            duplicates: 0,
            not_opted_in: preview.not_opted_in,
            requests: preview.good.div_ceil(REQUEST_SIZE as u64),
            segments: preview.texts.values().map(|text| text.segments).sum(),
            summary: preview.summary(),
            errors: preview.problems.iter().map(|bad| json!(bad_contact(bad))).collect(),
            columns: Vec::new(),
            texts: texts(&preview.texts),
        };
        Self { dry_run }
    }
}

fn texts(texts: &BTreeMap<String, TextFigures>) -> BTreeMap<String, TextView> {
    let view = |figures: &TextFigures| {
        let counted = segments(&figures.sample);
        let encoding = match counted.encoding {
            Encoding::Gsm7 => "gsm7",
            Encoding::Ucs2 => "ucs2",
        };
        let sample = SampleView { text: figures.sample.clone(), encoding, segments: u64::from(counted.segments) };
        TextView { rows: figures.rows, segments: figures.segments, ucs2: figures.ucs2, sample }
    };
    texts.iter().map(|(locale, figures)| (locale.clone(), view(figures))).collect()
}

fn bad_contact(bad: &audience::BadContact) -> FieldError {
    FieldError { pointer: bad.refused.field.clone(), detail: format!("{}: {}", bad.what, bad.refused.message) }
}

/// The rejected rows of a file, as a file.
pub(super) fn rejected_rows(rejected: Option<Rejected>) -> Response {
    const CHUNK: usize = 64 * 1024;
    let Some(rejected) = rejected else { return StatusCode::NO_CONTENT.into_response() };
    let file = tokio::fs::File::from_std(rejected.file);
    let chunks = stream::try_unfold(file, async |mut file| {
        let mut chunk = vec![0; CHUNK];
        let count = file.read(&mut chunk).await?;
        chunk.truncate(count);
        Ok::<_, std::io::Error>((count > 0).then(|| (Bytes::from(chunk), file)))
    });
    csv("rejected.csv", Body::from_stream(chunks))
}

fn unprocessable(code: &'static str, detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
}

/// Why a file was not sent.
pub(super) fn not_sent(problem: NotSent) -> Problem {
    match problem {
        NotSent::File(problem) => not_a_file(&problem),
        NotSent::Invalid(preview) => {
            let checked = &preview.checked;
            let detail = format!(
                "{} of {} rows cannot be sent, so nothing was: {}; or send the other rows with on_invalid=skip",
                checked.invalid, checked.rows, checked.summary
            );
            let how = "send the same file with dry_run=true and the header `Accept: text/csv`";
            unprocessable("invalid_rows", detail)
                .with(More {
                    rows: Some(checked.rows),
                    invalid: Some(checked.invalid),
                    summary: Some(checked.summary.to_string()),
                    rejected_csv: Some(how.to_owned()),
                    ..More::default()
                })
                .with_errors(checked.problems.iter().map(RowProblemView::of))
        }
        NotSent::AlreadySent { configuration, run } => {
            let detail = format!(
                "this file was already sent through \"{configuration}\" as {run}; send it again with again=true"
            );
            Problem::new(StatusCode::CONFLICT, "already_sent", detail).with(of_run(run))
        }
        NotSent::BeingTakenIn { run, .. } => {
            let detail = problem.to_string().replace("--again", "again=true");
            Problem::new(StatusCode::CONFLICT, "being_taken_in", detail).with(of_run(run)).retry_after(60)
        }
        NotSent::Ended(_) => Problem::new(StatusCode::CONFLICT, "run_ended", problem.to_string()),
        NotSent::NotBegun(problem) => not_begun(problem),
        NotSent::Store(problem) => problem.into(),
        NotSent::Unreadable { .. } | NotSent::Broken(_) => {
            tracing::error!(problem = %problem, "an upload that was put aside could not be read");
            Problem::unavailable("the file could not be read again; try again in a moment")
        }
    }
}

fn of_run(run: RunId) -> More {
    More { run: Some(run), ..More::default() }
}

/// Why an audience was not sent to.
pub(super) fn not_started(problem: NotStarted) -> Problem {
    match problem {
        NotStarted::Nobody(_) => unprocessable("nobody", problem.to_string()),
        NotStarted::Invalid(preview) => {
            let detail = format!(
                "{} of {} contacts cannot be sent to, so nothing was: {}; or send to the others with on_invalid=skip",
                preview.bad,
                preview.rows,
                preview.summary()
            );
            unprocessable("invalid_rows", detail)
                .with(More {
                    rows: Some(preview.rows),
                    invalid: Some(preview.bad),
                    summary: Some(preview.summary()),
                    ..More::default()
                })
                .with_errors(preview.problems.iter().map(bad_contact))
        }
        NotStarted::Ended(_) => Problem::new(StatusCode::CONFLICT, "run_ended", problem.to_string()),
        NotStarted::NotBegun(problem) => not_begun(problem),
        NotStarted::Store(problem) => problem.into(),
    }
}

fn not_begun(problem: NotBegun) -> Problem {
    let detail = problem.to_string();
    match problem {
        // Here it may be the request that names what is not there: a list.
        NotBegun::Unusable(_) => unprocessable("unusable", detail),
        other @ (NotBegun::Inactive(_) | NotBegun::Store(_) | NotBegun::Broken(_)) => other.into(),
    }
}

/// What is wrong with a file as a whole, with where, and with the columns that were missed and found.
pub fn not_a_file(problem: &FileProblem) -> Problem {
    let more = match problem {
        FileProblem::Io(_) | FileProblem::Spill(_) => {
            tracing::error!(%problem, "a file could not be checked");
            return Problem::unavailable("the file could not be checked; try again in a moment");
        }
        FileProblem::NotUtf8 { byte, line, .. }
        | FileProblem::NulByte { byte, line }
        | FileProblem::StrayQuote { byte, line }
        | FileProblem::BareReturn { byte, line } => More { byte: Some(*byte), line: Some(*line), ..More::default() },
        FileProblem::OpenQuote { line } => More { line: Some(*line), ..More::default() },
        FileProblem::RowTooLong { line, limit } => More { line: Some(*line), limit: Some(*limit), ..More::default() },
        FileProblem::TooManyColumns { limit, .. } => More { limit: Some(*limit as u64), ..More::default() },
        FileProblem::NoRecipient { found, .. } | FileProblem::NoOptIn { found } => {
            More { found: found.clone(), ..More::default() }
        }
        FileProblem::MissingColumns { missing, found } => {
            More { missing: missing.clone(), found: found.clone(), ..More::default() }
        }
        FileProblem::TwoRecipients { first, second }
        | FileProblem::TwoColumns { first, second, .. }
        | FileProblem::DuplicateColumn { first, second } => {
            More { columns: vec![first.clone(), second.clone()], ..More::default() }
        }
        FileProblem::Empty | FileProblem::NoRows | FileProblem::Changed => More::default(),
    };
    unprocessable(problem.code(), problem.to_string()).with(more)
}
