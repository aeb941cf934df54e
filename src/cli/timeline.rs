//! `herald timeline`: what happened to a contact, or about a case, newest first.

use std::process::ExitCode;

use anyhow::anyhow;
use serde_json::{Value, json};

use super::{Context, Failure, input};
use crate::{
    domain::{phone::E164, timeline::Place},
    http::timeline::items,
    inbound::timeline::Timelines,
};

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false, args = ["number", "regarding"])]
pub struct Args {
    /// The contact's number, like +4915112345678; in national form if the organization has a default country.
    number: Option<String>,
    /// What the messages are about: the regardingobjectid that they came with.
    #[arg(long, value_name = "ID")]
    regarding: Option<String>,
    /// Goes on after an earlier page: its last line says where.
    #[arg(long, value_name = "PLACE")]
    after: Option<Place>,
}

pub async fn run(context: Context, args: Args) -> Result<ExitCode, Failure> {
    let app = context.app().await?;
    let book = app.organization(context.org.as_ref()).await.map_err(input)?;
    let timelines = Timelines { store: app.store.clone(), books: app.books.clone() };
    let now = app.clock.now();
    let page = match (args.number, args.regarding) {
        (Some(number), _) => {
            let contact = E164::parse(&number, book.organization.default_country)
                .map_err(|problem| input(anyhow!("the number {problem}")))?;
            timelines.of_contact(&book, contact, args.after, now).await?
        }
        (None, regarding) => timelines.regarding(&book, &regarding.unwrap_or_default(), args.after, now).await?,
    };
    let shown = json!(items(&page));
    for item in shown.as_array().into_iter().flatten() {
        context.out.line(line(item));
    }
    if page.items.is_empty() {
        context.out.line("nothing has happened there");
    }
    if let Some(next) = page.next {
        context.out.line(format!("more: --after {next}"));
    }
    context.out.document(&json!({ "timeline": shown, "next": page.next }));
    Ok(ExitCode::SUCCESS)
}

/// One item for people: when, what, where it stands, and what was said.
fn line(item: &Value) -> String {
    let text = |key: &str| item[key].as_str().unwrap_or_default();
    let stands = match (item["state"].as_str(), item["code"].as_str()) {
        (Some(state), Some(code)) => format!("  {state} ({}, {code})", text("status")),
        (Some(state), None) => format!("  {state} ({})", text("status")),
        (None, _) => String::new(),
    };
    // What people wrote moves no cursor and changes no colour.
    let plain = |text: &str| text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}");
    let said = item["text"].as_str().map(|text| format!("\n    {}", plain(text).replace('\n', "\n    ")));
    format!("{}  {}{stands}{}", text("created_at"), text("subject"), said.unwrap_or_default())
}
