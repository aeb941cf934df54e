//! The command line: one file a command. Here: what they have in common.

mod apply;
mod check;
mod consent;
mod demo;
mod follow;
mod key;
mod list;
mod org;
mod out;
mod progress;
mod run;
mod sandbox;
mod send;
mod serve;
mod template;
mod timeline;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    app::App,
    clock::Clock,
    config::{Config, ConfigProblem, LogFormat, Overrides},
    domain::id::OrgId,
    inbound::keywords::Keywords,
    secret::Secrets,
    store::StoreError,
    telemetry,
};
pub use out::Format;
use out::Out;

/// Outbound bulk messaging that never loses a message and never sends one twice.
#[derive(Debug, Parser)]
#[command(
    name = "herald",
    version,
    arg_required_else_help = true,
    after_help = "Begin with `herald demo`: it needs nothing and shows everything."
)]
pub struct Cli {
    /// The settings file; ./herald.toml if it is there.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The database: sqlite:FILE or postgres://USER@HOST/DATABASE.
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// What goes to standard output: text for people, or one JSON document and nothing else.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// What is logged to standard error, like `info` or `herald=debug`.
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// The organization, where the database holds several.
    #[arg(long, global = true, value_name = "ID")]
    org: Option<OrgId>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole thing on real input, with nothing to install: try this first.
    #[command(after_help = "Example: herald demo")]
    Demo(demo::Args),
    /// API, webhooks, scheduler and worker in one process.
    #[command(after_help = "Example: herald serve --listen 0.0.0.0:8080 --role api,scheduler,worker")]
    Serve(serve::Args),
    /// Loads an organization's definitions from files: all or nothing.
    #[command(after_help = "Example: herald apply examples/acme --dry-run")]
    Apply(apply::Args),
    /// Validates definitions, templates, store and accounts, and lists every problem at once.
    #[command(after_help = "Example: herald check examples/acme --providers")]
    Check(check::Args),
    /// Sends through an outbound configuration to everybody in a CSV file, a stored list or a query over cases, and follows it.
    #[command(
        after_help = "Example: herald send shipping-delay --csv customers.csv --dry-run\n         herald send case-resolved --cases resolved"
    )]
    Send(send::Args),
    /// Looks at runs and controls them.
    #[command(subcommand, after_help = "Example: herald run list")]
    Run(run::Command),
    /// What happened to a contact, or about a case, newest first.
    #[command(after_help = "Example: herald timeline +4915112345678")]
    Timeline(timeline::Args),
    /// Who may be written to and who may not.
    #[command(subcommand, after_help = "Example: herald consent import opt-outs.csv")]
    Consent(consent::Command),
    /// Templates, before anything is sent.
    #[command(
        subcommand,
        after_help = "Example: herald template preview case-created --locale fr --set CustomerName=Ana"
    )]
    Template(template::Command),
    /// Stored audiences.
    #[command(subcommand, after_help = "Example: herald list import customers --csv customers.csv")]
    List(list::Command),
    /// The provider simulator alone: Twilio (SMS and WhatsApp), TeleSign, Azure Communication Services.
    #[command(after_help = "Example: herald sandbox --listen 127.0.0.1:4010")]
    Sandbox(sandbox::Args),
    /// Organizations without files: everything else can then be defined by API.
    #[command(subcommand, after_help = "Example: herald org create acme --name \"Acme\"")]
    Org(org::Command),
    /// API keys.
    #[command(subcommand, after_help = "Example: herald key create crm --scope send")]
    Key(key::Command),
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub enum Failure {
    /// The work failed: exit code 1.
    Work(anyhow::Error),
    /// What was given is wrong: exit code 2.
    Input(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(problem: E) -> Self {
        Self::Work(problem.into())
    }
}

/// What is wrong with what was given.
fn input(problem: impl Into<anyhow::Error>) -> Failure {
    Failure::Input(problem.into())
}

/// What every command gets.
struct Context {
    config: Config,
    out: Out,
    org: Option<OrgId>,
}

impl Context {
    /// Over the database that is there.
    async fn app(&self) -> Result<App, Failure> {
        App::open_existing(self.config.clone(), Secrets::from_environment(), Clock::system()).await.map_err(|problem| {
            match problem {
                StoreError::Missing(_) | StoreError::Url(_) => input(problem),
                StoreError::Open { .. }
                | StoreError::Newer { .. }
                | StoreError::Altered(_)
                | StoreError::Locked(_)
                | StoreError::Unreachable(_)
                | StoreError::Damaged { .. }
                | StoreError::Refused(_) => Failure::Work(problem.into()),
            }
        })
    }

    /// Over the database, made if it is not there.
    async fn app_anew(&self) -> Result<App, Failure> {
        Ok(App::open(self.config.clone(), Secrets::from_environment(), Clock::system()).await?)
    }
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(problem) => problem.exit(),
    };
    let out = Out::new(cli.output);
    match run_command(cli) {
        Ok(code) => code,
        Err(Failure::Work(problem)) => {
            out.problem(&problem);
            ExitCode::from(1)
        }
        Err(Failure::Input(problem)) => {
            out.problem(&problem);
            ExitCode::from(2)
        }
    }
}

fn run_command(cli: Cli) -> Result<ExitCode, Failure> {
    let config = load(&cli).map_err(input)?;
    Keywords::configured(&config.keywords).map_err(input)?;
    telemetry::init_logs(&config.log).map_err(input)?;
    let context = Context { config, out: Out::new(cli.output), org: cli.org };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Demo(args) => demo::run(context, args).await,
            Command::Serve(args) => serve::run(context, args).await,
            Command::Apply(args) => apply::run(context, args).await,
            Command::Check(args) => check::run(context, args).await,
            Command::Send(args) => send::run(context, args).await,
            Command::Run(command) => run::run(context, command).await,
            Command::Timeline(args) => timeline::run(context, args).await,
            Command::Consent(command) => consent::run(context, command).await,
            Command::Template(command) => template::run(context, command).await,
            Command::List(command) => list::run(context, command).await,
            Command::Sandbox(args) => sandbox::run(context, args).await,
            Command::Org(command) => org::run(context, command).await,
            Command::Key(command) => key::run(context, command).await,
        }
    })
}

fn load(cli: &Cli) -> Result<Config, ConfigProblem> {
    let mut overrides = Overrides::default();
    if let Some(url) = &cli.database_url {
        overrides = overrides.with("database_url", url.as_str());
    }
    if let Some(filter) = &cli.log {
        overrides = overrides.with("log.filter", filter.as_str());
    }
    if let Command::Serve(args) = &cli.command
        && let Some(listen) = args.listen
    {
        overrides = overrides.with("listen", listen.to_string());
    }
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut config = Config::load(cli.config.as_deref(), environment, &overrides)?;
    // A command that a person watches says only what is wrong, unless asked; a server says what it does.
    let quiet = cli.log.is_none() && !matches!(cli.command, Command::Serve(_)) && config.log == Config::default().log;
    if quiet {
        config.log.filter = "error".to_owned();
        config.log.format = LogFormat::Pretty;
    }
    Ok(config)
}
