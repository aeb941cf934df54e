//! `herald send` without a file: to a stored list, to everybody with a case of a kind, or to the configuration's own audience.

use std::process::ExitCode;

use anyhow::anyhow;
use serde_json::json;

use super::{Args, Context, Failure, SHOWN, finish, input, print_texts, texts};
use crate::{
    app::App,
    domain::{
        contact::OptIn,
        definition::{AudienceRef, CaseQuery},
    },
    intake::{
        audience::{self, NotStarted, Preview, Start},
        begin::NotBegun,
        upload::OnInvalid,
    },
};

/// Whom the arguments mean: `--list`, `--cases`, or nobody in particular.
pub(super) fn named(args: &Args) -> Option<AudienceRef> {
    let list = args.list.clone().map(AudienceRef::List);
    let cases = args.cases.clone().map(|status| {
        let status = Some(status).filter(|status| status != super::ANY_STATUS);
        AudienceRef::Cases(CaseQuery { status })
    });
    list.or(cases)
}

pub(super) async fn run(context: &Context, app: &App, args: &Args) -> Result<ExitCode, Failure> {
    let out = context.out;
    let book = app.organization(context.org.as_ref()).await.map_err(input)?;
    let configuration = book.configuration(&args.configuration).map_err(input)?.clone();
    let org = book.organization.id.clone();
    let own = configuration.configuration.audience.clone();
    let audience = named(args).or(own).ok_or_else(|| {
        let name = &configuration.configuration.name;
        input(anyhow!(
            "outbound configuration \"{name}\" has no [audience] of its own; say to whom: --csv FILE, --list NAME or --cases STATUS"
        ))
    })?;
    let start = Start {
        book,
        configuration,
        audience,
        on_invalid: if args.skip_invalid { OnInvalid::Skip } else { OnInvalid::Refuse },
        attested: args.opted_in.then_some(OptIn::Yes),
    };
    if args.dry_run {
        let preview = audience::preview(&app.store, &start).await.map_err(refused)?;
        print(context, &preview);
        out.document(&json!({ "dry_run": document(&preview) }));
        return Ok(ExitCode::from(if preview.bad > 0 && !args.skip_invalid { 2 } else { 0 }));
    }
    match audience::start(&app.store, &app.clock, &start, None).await {
        Ok(run) => finish(app, out, &org, run.id).await,
        Err(NotStarted::Invalid(preview)) => {
            problems(context, &preview);
            Err(input(anyhow!("{}; or send to the others with --skip-invalid", NotStarted::Invalid(preview))))
        }
        Err(other) => Err(refused(other)),
    }
}

/// An audience or a configuration that is wrong is the caller's to mend; a store that refuses is not.
fn refused(problem: NotStarted) -> Failure {
    match problem {
        NotStarted::Store(_)
        | NotStarted::Ended(_)
        | NotStarted::NotBegun(NotBegun::Store(_) | NotBegun::Broken(_)) => Failure::Work(problem.into()),
        NotStarted::Nobody(_)
        | NotStarted::Invalid(_)
        | NotStarted::NotBegun(NotBegun::Inactive(_) | NotBegun::Unusable(_)) => input(problem),
    }
}

fn print(context: &Context, preview: &Preview) {
    let out = context.out;
    problems(context, preview);
    let Preview { rows, good, bad, not_opted_in, .. } = preview;
    out.line(format!("{rows} contacts: {good} good, {bad} bad; {not_opted_in} did not opt in"));
    print_texts(out, *good, &preview.texts);
}

fn problems(context: &Context, preview: &Preview) {
    if preview.bad == 0 {
        return;
    }
    context.out.note(format!("{} of {} contacts are bad: {}", preview.bad, preview.rows, preview.summary()));
    for bad in preview.problems.iter().take(SHOWN) {
        context.out.note(format!("  {}: {}", bad.what, bad.refused));
    }
}

fn document(preview: &Preview) -> serde_json::Value {
    let problems: Vec<String> = preview.problems.iter().map(|bad| format!("{}: {}", bad.what, bad.refused)).collect();
    json!({
        "rows": preview.rows, "valid": preview.good, "invalid": preview.bad, "duplicates": 0,
        "not_opted_in": preview.not_opted_in, "summary": preview.summary(), "problems": problems,
        "texts": texts(&preview.texts),
    })
}
