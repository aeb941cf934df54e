//! `herald consent`: who may be written to and who may not; one person, or a file of them.

use std::{fs::File, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};

use super::{Context, Failure, input, out::Out};
use crate::{
    app::App,
    domain::{
        contact::ChannelType,
        id::{ConsentChangeId, OrgId},
        phone::{Country, E164},
    },
    http::consents::{self as views, channel_types, of_person},
    intake::{
        consents::{self, ConsentImport, ImportedConsents, NotImported},
        csv::consents::{CheckedConsents, Unsaid},
        upload::OnInvalid,
    },
    store::consents::{Consent, ConsentChange},
};

/// Row problems that are shown; the rest can be written to a file.
const SHOWN: usize = 20;
/// Who says what an operator says.
const OPERATOR: &str = "operator";

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Takes in a CSV file: a column with the number; channel, state and at if they are there.
    #[command(after_help = "Example: herald consent import opt-outs.csv --channel sms")]
    Import(ImportArgs),
    /// Says what holds for one person from now on.
    #[command(after_help = "Example: herald consent set +4915112345678 --channel sms --state opted_out")]
    Set {
        /// The number, in international form.
        number: String,
        /// `sms` or `whatsapp`; both if left out.
        #[arg(long)]
        channel: Option<ChannelType>,
        /// `opted_in`, `opted_out` or `unknown`.
        #[arg(long)]
        state: Consent,
        /// Why, for the history.
        #[arg(long)]
        note: Option<String>,
    },
    /// Shows what holds for one person, and how it came to be so.
    #[command(after_help = "Example: herald consent show +4915112345678")]
    Show {
        /// The number, in international form.
        number: String,
    },
}

#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// The file.
    file: PathBuf,
    /// For rows that do not say: `sms` or `whatsapp`; both if left out.
    #[arg(long)]
    channel: Option<ChannelType>,
    /// For rows that do not say: `opted_out` (unless said otherwise), `opted_in` or `unknown`.
    #[arg(long)]
    state: Option<Consent>,
    /// Takes the good rows in, whatever the others are.
    #[arg(long)]
    skip_invalid: bool,
    /// Writes the rejected rows to this file, to be corrected and taken in.
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
}

pub async fn run(context: Context, command: Command) -> Result<ExitCode, Failure> {
    let app = context.app().await?;
    let book = app.organization(context.org.as_ref()).await.map_err(input)?;
    let (org, country) = (&book.organization.id, book.organization.default_country);
    match command {
        Command::Import(args) => import(&context, &app, org, country, args).await?,
        Command::Set { number, channel, state, note } => {
            let person = read(&number, country)?;
            let now = app.clock.now();
            let source = note.map_or_else(|| "command line".to_owned(), |note| format!("command line: {note}"));
            let change = |channel_type| ConsentChange {
                id: ConsentChangeId::new(now, rand::random()),
                channel_type,
                of: person,
                consent: state,
                source: source.clone(),
                actor: OPERATOR.to_owned(),
                at: now,
            };
            let changes: Vec<ConsentChange> = channel_types(channel).into_iter().map(change).collect();
            app.store.set_consents(org, &changes).await?;
            print(context.out, &json!(of_person(&app.store, org, person, None).await?));
        }
        Command::Show { number } => {
            print(context.out, &json!(of_person(&app.store, org, read(&number, country)?, None).await?));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(number: &str, country: Option<Country>) -> Result<E164, Failure> {
    E164::parse(number, country).map_err(|problem| input(anyhow!("\"{number}\" {problem}")))
}

/// One person: what holds, then what happened, the newest first.
fn print(out: Out, person: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |one: &Value| {
        let parts = ["channel", "state", "changed_at", "source", "actor"].map(|name| text(&one[name]));
        format!("{:9} {:10} {:24}  {} ({})", parts[0], parts[1], parts[2], parts[3], parts[4])
    };
    out.line(text(&person["number"]));
    for consent in person["consents"].as_array().into_iter().flatten() {
        out.line(format!("  {}", line(consent)));
    }
    let history = person["history"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !history.is_empty() {
        out.line("history, the newest first:");
    }
    for change in history {
        out.line(format!("  {}", line(change)));
    }
    out.document(person);
}

async fn import(
    context: &Context,
    app: &App,
    org: &OrgId,
    default_country: Option<Country>,
    args: ImportArgs,
) -> Result<(), Failure> {
    let out = context.out;
    let file = File::open(&args.file).with_context(|| format!("cannot read {}", args.file.display())).map_err(input)?;
    let bytes = file.metadata().map_or(0, |file| file.len());
    let bar = out.bar(bytes, "checking");
    let name = args.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let import = ConsentImport {
        org: org.clone(),
        file,
        unsaid: Unsaid {
            channel_type: args.channel,
            consent: args.state.unwrap_or(Consent::Out),
            default_country,
            now: app.clock.now(),
        },
        on_invalid: if args.skip_invalid { OnInvalid::Skip } else { OnInvalid::Refuse },
        shown: SHOWN,
        source: format!("file {name}"),
        actor: OPERATOR.to_owned(),
    };
    let told = move |read| {
        bar.set_position(read);
        if read >= bytes {
            bar.finish_and_clear();
        }
    };
    let imported = consents::import(&app.store, import, told).await;
    match imported {
        Ok(mut imported) => {
            tell(out, &imported.checked);
            keep_rejected(out, args.rejected, &mut imported.checked)?;
            let ImportedConsents { checked, changed } = &imported;
            out.line(format!(
                "{} of {} rows were taken in; {changed} consents have changed",
                checked.valid, checked.rows
            ));
            out.document(&json!({ "import": views::imported(&imported) }));
            Ok(())
        }
        Err(NotImported::Invalid(mut checked)) => {
            tell(out, &checked);
            keep_rejected(out, args.rejected, &mut checked)?;
            Err(input(anyhow!("{}; or take in the other rows with --skip-invalid", NotImported::Invalid(checked))))
        }
        Err(NotImported::File(problem)) => Err(input(problem)),
        Err(other @ (NotImported::Store(_) | NotImported::Broken(_))) => Err(Failure::Work(other.into())),
    }
}

/// The problems of a file: first as an instruction, then one by one.
fn tell(out: Out, checked: &CheckedConsents) {
    if !checked.ignored.is_empty() {
        out.note(format!("columns that mean nothing here: {}", checked.ignored.join(", ")));
    }
    if checked.invalid == 0 {
        return;
    }
    out.note(format!("{} of {} rows are bad: {}", checked.invalid, checked.rows, checked.summary));
    for problem in &checked.problems {
        out.note(format!("  {problem}"));
    }
    if checked.problems.len() == SHOWN {
        out.note("  … (--rejected FILE writes all of them, as a CSV to correct)");
    }
}

fn keep_rejected(out: Out, path: Option<PathBuf>, checked: &mut CheckedConsents) -> Result<(), Failure> {
    if let (Some(path), Some(rejected)) = (path, checked.rejected.as_mut()) {
        let mut file = File::create(&path)?;
        std::io::copy(&mut rejected.file, &mut file)?;
        out.note(format!("{} rejected rows are in {}", rejected.rows, path.display()));
    }
    Ok(())
}
