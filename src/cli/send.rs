//! `herald send`: a CSV file, a stored list or a query over cases through an outbound configuration, followed to its end.

mod audience;

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::anyhow;
use serde_json::json;

use super::{Context, Failure, follow, input, out::Out};
use crate::{
    app::{App, Roles, Running},
    domain::contact::OptIn,
    http::views,
    intake::upload::{self, NotSent, OnInvalid, OnSameFile, Preview, TextFigures, Upload},
};

/// Row problems that are shown; the rest can be exported.
const SHOWN: usize = 20;
/// What `--cases` without a status means.
const ANY_STATUS: &str = "*";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The outbound configuration's name or id.
    configuration: String,
    /// The file: a header line, one contact a row.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// A stored list, instead of a file. Without any of these three: the configuration's own audience.
    #[arg(long, value_name = "NAME", conflicts_with = "csv")]
    list: Option<String>,
    /// Everybody who has a case with this status, once each; every case without a status.
    #[arg(long, value_name = "STATUS", num_args = 0..=1, default_missing_value = ANY_STATUS, conflicts_with_all = ["csv", "list"])]
    cases: Option<String>,
    /// Checks, shows what would be sent, and sends nothing.
    #[arg(long)]
    dry_run: bool,
    /// Sends the good rows, keeps the bad ones.
    #[arg(long)]
    skip_invalid: bool,
    /// Sends a file that was sent within the last 24 hours once more.
    #[arg(long, requires = "csv")]
    again: bool,
    /// Attests that everybody of whom nothing is said has agreed.
    #[arg(long)]
    opted_in: bool,
    /// Writes the rejected rows of a file to this one, to be corrected and sent.
    #[arg(long, value_name = "FILE", requires = "csv")]
    rejected: Option<PathBuf>,
}

pub async fn run(context: Context, args: Args) -> Result<ExitCode, Failure> {
    let app = context.app().await?;
    let Some(path) = args.csv.clone() else { return audience::run(&context, &app, &args).await };
    file(&context, &app, args, path).await
}

async fn file(context: &Context, app: &App, args: Args, path: PathBuf) -> Result<ExitCode, Failure> {
    let out = context.out;
    let book = app.organization(context.org.as_ref()).await.map_err(input)?;
    let configuration = book.configuration(&args.configuration).map_err(input)?.clone();
    let org = book.organization.id.clone();
    let upload = Upload {
        book,
        configuration,
        path,
        on_invalid: if args.skip_invalid { OnInvalid::Skip } else { OnInvalid::Refuse },
        on_same_file: if args.again { OnSameFile::Send } else { OnSameFile::Refuse },
        attested: args.opted_in.then_some(OptIn::Yes),
    };
    if args.dry_run {
        let mut preview = upload::preview(&upload, told(out, &upload)).await.map_err(refused(out))?;
        print_preview(out, &preview);
        keep_rejected(out, args.rejected, &mut preview)?;
        out.document(&json!({ "dry_run": document(&preview) }));
        return Ok(ExitCode::from(if preview.checked.invalid > 0 && !args.skip_invalid { 2 } else { 0 }));
    }
    if args.skip_invalid && args.rejected.is_some() {
        // Before anything is sent: a file that cannot be written is not found out about afterwards.
        let mut preview = upload::preview(&upload, told(out, &upload)).await.map_err(refused(out))?;
        keep_rejected(out, args.rejected.clone(), &mut preview)?;
    }
    let run = match upload::start(&app.store, &app.clock, &upload, told(out, &upload)).await {
        Ok(run) => run,
        Err(NotSent::Invalid(mut preview)) => {
            print_problems(out, &preview);
            keep_rejected(out, args.rejected, &mut preview)?;
            return Err(input(anyhow!("{}; or send the other rows with --skip-invalid", NotSent::Invalid(preview))));
        }
        Err(other) => return Err(refused(out)(other)),
    };
    finish(app, out, &org, run).await
}

/// Works on the run here, besides whatever else works on the same database, until it is over.
async fn finish(
    app: &App,
    out: Out,
    org: &crate::domain::id::OrgId,
    run: crate::domain::id::RunId,
) -> Result<ExitCode, Failure> {
    let roles = Roles { api: false, scheduler: false, worker: true, only: Some(org.clone()) };
    let mut running = Running::start(app, &roles, None)?;
    let followed = tokio::select! {
        followed = follow::follow(app, &mut running, out, org, run) => Some(followed?),
        () = super::serve::told_to_stop() => None,
    };
    running.stop().await?;
    let (followed, broken_off) = match followed {
        Some(followed) => (followed, false),
        None => (follow::Followed::look(app, org, run).await?.ok_or_else(|| anyhow!("run {run} is gone"))?, true),
    };
    follow::print(out, app, &followed);
    out.document(&json!({ "run": views::run(&followed.run, &followed.sums, &followed.audit, app.clock.now()) }));
    if broken_off && !followed.run.status.is_over() {
        out.note(format!(
            "{run} is not finished, {} of its messages wait: it goes on when herald works on this database again (herald serve)",
            followed.sums.waiting()
        ));
    }
    Ok(ExitCode::from(u8::from(!followed.adds_up() || !followed.run.status.is_over())))
}

/// A bar over the bytes of the file.
fn told(out: Out, upload: &Upload) -> impl Fn(u64) + Send + 'static {
    let bytes = std::fs::metadata(&upload.path).map_or(0, |file| file.len());
    let bar = out.bar(bytes, "checking");
    move |read| {
        bar.set_position(read);
        if read >= bytes {
            bar.finish_and_clear();
        }
    }
}

/// A file or configuration that is wrong is the caller's to mend; a store that refuses is not.
fn refused(_out: Out) -> impl Fn(NotSent) -> Failure {
    |problem| match problem {
        NotSent::Store(_) | NotSent::Broken(_) | NotSent::Ended(_) => Failure::Work(problem.into()),
        NotSent::Unreadable { .. }
        | NotSent::File(_)
        | NotSent::Invalid(_)
        | NotSent::AlreadySent { .. }
        | NotSent::BeingTakenIn { .. }
        | NotSent::NotBegun(_) => input(problem),
    }
}

/// What a file would send.
pub fn print_preview(out: Out, preview: &Preview) {
    let checked = &preview.checked;
    print_problems(out, preview);
    out.line(format!(
        "{} rows: {} good, {} bad; {} repeat a number, {} did not opt in",
        checked.rows, checked.valid, checked.invalid, checked.duplicates, checked.not_opted_in
    ));
    print_texts(out, checked.valid, &preview.texts);
}

/// The texts that so many contacts would get.
fn print_texts(out: Out, contacts: u64, texts: &BTreeMap<String, TextFigures>) {
    let requests = contacts.div_ceil(crate::domain::run::REQUEST_SIZE as u64);
    let segments: u64 = texts.values().map(|text| text.segments).sum();
    out.line(format!(
        "{requests} requests of at most {} contacts; {segments} segments",
        crate::domain::run::REQUEST_SIZE
    ));
    for (locale, text) in texts {
        out.line(format!(
            "  {locale:6} {:>7} rows {:>7} segments{}",
            text.rows,
            text.segments,
            if text.ucs2 > 0 { format!(" ({} not GSM-7)", text.ucs2) } else { String::new() }
        ));
        out.line(format!("         {}", text.sample));
    }
}

/// The problems of a file: first as an instruction, then one by one.
pub fn print_problems(out: Out, preview: &Preview) {
    let checked = &preview.checked;
    if checked.invalid == 0 {
        return;
    }
    out.note(format!("{} of {} rows are bad: {}", checked.invalid, checked.rows, checked.summary));
    for problem in checked.problems.iter().take(SHOWN) {
        out.note(format!("  {problem}"));
    }
    if checked.problems.len() > SHOWN {
        out.note("  … (--rejected FILE writes all of them, as a CSV to correct)");
    }
}

fn keep_rejected(out: Out, path: Option<PathBuf>, preview: &mut Preview) -> Result<(), Failure> {
    if let (Some(path), Some(rejected)) = (path, preview.checked.rejected.as_mut()) {
        let mut file = std::fs::File::create(&path)?;
        std::io::copy(&mut rejected.file, &mut file)?;
        out.note(format!("{} rejected rows are in {}", rejected.rows, path.display()));
    }
    Ok(())
}

fn document(preview: &Preview) -> serde_json::Value {
    let checked = &preview.checked;
    json!({
        "rows": checked.rows, "valid": checked.valid, "invalid": checked.invalid, "duplicates": checked.duplicates,
        "not_opted_in": checked.not_opted_in, "summary": checked.summary.to_string(),
        "problems": checked.problems.iter().map(ToString::to_string).collect::<Vec<_>>(), "texts": texts(&preview.texts),
    })
}

fn texts(texts: &BTreeMap<String, TextFigures>) -> serde_json::Map<String, serde_json::Value> {
    let text = |text: &TextFigures| json!({ "rows": text.rows, "segments": text.segments, "ucs2": text.ucs2, "sample": text.sample });
    texts.iter().map(|(locale, figures)| (locale.clone(), text(figures))).collect()
}
