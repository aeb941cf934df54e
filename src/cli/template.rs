//! `herald template preview`: what a contact would get of a template, and what it costs, without sending anything.

use std::{fs::File, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, anyhow};
use serde_json::json;

use super::{Context, Failure, input, out::Out};
use crate::{
    domain::{
        contact::{Contact, OptIn, Slugs},
        definition::Channel,
        locale::Locale,
    },
    http::preview::{Character, Previews, Shown, previews},
    intake::csv::{self, CheckOptions, Expect},
};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// What a contact would get, in one language or in all, with encoding and segments.
    #[command(after_help = "Example: herald template preview case-created --locale fr --set CustomerName=Ana")]
    Preview(Args),
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The template's name.
    name: String,
    /// The contact's locale, like fr-CA; every language of the template if left out.
    #[arg(long, value_name = "TAG")]
    locale: Option<Locale>,
    /// A slug's value; may be given several times.
    #[arg(long = "set", value_name = "SLUG=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// The channel that it would leave through: says whether look-alikes are replaced.
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// A file to take the slugs and the locale of one contact from.
    #[arg(long, value_name = "FILE", requires = "row")]
    csv: Option<PathBuf>,
    /// Which row: the line on which it begins, as problems name it; the header is line 1.
    #[arg(long, value_name = "LINE", requires = "csv", value_parser = clap::value_parser!(u64).range(2..))]
    row: Option<u64>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected SLUG=VALUE, like CustomerName=Ana")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub async fn run(context: Context, command: Command) -> Result<ExitCode, Failure> {
    let Command::Preview(args) = command;
    let app = context.app().await?;
    let book = app.organization(context.org.as_ref()).await.map_err(input)?;
    let ready = book.template(&args.name).map_err(input)?;
    let channel_type = ready.template.source().channel_type;
    let channel = args.channel.as_deref().map(|name| book.channel(name)).transpose().map_err(input)?;
    if let Some(channel) = channel.filter(|channel| channel.channel_type != channel_type) {
        let problem = anyhow!("that is a channel for {}; expected one for {channel_type}", channel.channel_type);
        return Err(input(problem));
    }
    let (mut slugs, mut wanted) = (Slugs::default(), None);
    if let (Some(path), Some(line)) = (&args.csv, args.row) {
        let expect = Expect {
            channel_type,
            configuration: None,
            required_slugs: &[].into(),
            default_country: book.organization.default_country,
            attested: Some(OptIn::Yes),
        };
        let contact = contact(path, line, expect).map_err(input)?;
        (slugs, wanted) = (contact.slugs, contact.locale);
    }
    args.set.iter().for_each(|(name, value)| slugs.set(name, value));
    let wanted = args.locale.or(wanted);
    let smart_encoding = channel.map(Channel::smart_encoding).unwrap_or_default();
    let shown = previews(args.name, Some(ready.version), &ready.template, wanted.as_ref(), &slugs, smart_encoding);
    shown.previews.iter().for_each(|one| print(context.out, one));
    context.out.document(&json!({ "preview": shown }));
    Ok(ExitCode::from(if is_good(&shown) { 0 } else { 2 }))
}

fn is_good(shown: &Previews) -> bool {
    shown.previews.iter().all(|one| one.problem.is_none())
}

/// One row of a file, read as an upload reads it.
fn contact(path: &PathBuf, line: u64, expect: Expect<'_>) -> anyhow::Result<Contact> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut found = None;
    let mut judge = |row: &csv::Row<'_>, contact: &Contact| {
        if row.number == line {
            found = Some(contact.clone());
        }
        Ok(())
    };
    let checked = csv::check(file, expect, CheckOptions::new(&mut judge, &mut |_| ()))?;
    found.ok_or_else(|| match checked.problems.iter().find(|problem| problem.line == line) {
        Some(problem) => anyhow!("{problem}"),
        None => anyhow!("no good row begins on line {line} of {}", path.display()),
    })
}

fn print(out: Out, one: &Shown) {
    match (&one.text, &one.problem) {
        (Some(text), _) => out.line(format!("{}: {text}", one.locale)),
        (None, Some(problem)) => {
            out.line(format!("{}: cannot be made: {} ({})", one.locale, problem.detail, problem.code))
        }
        (None, None) => {}
    }
    if !one.missing.is_empty() {
        out.line(format!("    missing: {}", one.missing.join(", ")));
    }
    if let Some(content) = &one.approved {
        out.line(format!("    as approved content {} with {}", content.content_sid, json!(content.variables)));
    }
    let (Some(sms), Some(characters)) = (&one.sms, one.characters) else { return };
    out.line(format!(
        "    {characters} characters, {}, {} units in {} segment{}, {} left",
        sms.encoding,
        sms.units,
        sms.segments,
        if sms.segments == 1 { "" } else { "s" },
        sms.left
    ));
    // A text in Greek or Japanese is UCS-2 as a whole: a few of its characters say as much as all.
    for character in sms.ucs2.iter().take(SHOWN) {
        out.line(format!("    not in GSM-7: {}", told(character)));
    }
    if sms.ucs2.len() > SHOWN {
        out.line(format!("    and {} other characters", sms.ucs2.len() - SHOWN));
    }
    let smart = &sms.smart_encoding;
    for character in &smart.replaced {
        out.line(format!("    replaced: {}", told(character)));
    }
    if !smart.on && smart.saves > 0 {
        out.line(format!("    smart_encoding would save {} of {} segments", smart.saves, smart.segments_without));
    }
}

/// Characters that are shown of a text.
const SHOWN: usize = 5;

fn told(one: &Character) -> String {
    let instead = one.replacement.map(|text| format!(", for which {text:?} would do")).unwrap_or_default();
    let first = one.places.first().map_or(0, |place| place + 1);
    let more = if one.places.len() > 1 { format!(" and {} more", one.places.len() - 1) } else { String::new() };
    format!("{:?} ({}) at character {first}{more}{instead}", one.character, one.name)
}
