//! What commands print: text for people or one JSON document on standard output; everything else on standard error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the one place that prints")]

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

/// What goes to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One document, for programs.
    Json,
}

/// Where a command prints.
#[derive(Clone, Copy, Debug)]
pub struct Out(Format);

impl Out {
    pub fn new(format: Format) -> Self {
        Self(format)
    }

    /// Whether a program reads.
    pub fn is_json(self) -> bool {
        self.0 == Format::Json
    }

    /// A line for people; nothing where a program reads.
    pub fn line(self, text: impl AsRef<str>) {
        if self.0 == Format::Text {
            println!("{}", text.as_ref());
        }
    }

    /// The one document, where a program reads.
    pub fn document(self, value: &Value) {
        if self.0 == Format::Json {
            println!("{value:#}");
        }
    }

    /// A line about what is going on, never on standard output.
    pub fn note(self, text: impl AsRef<str>) {
        eprintln!("{}", text.as_ref());
    }

    /// What went wrong, with its causes.
    pub fn problem(self, problem: &anyhow::Error) {
        let causes: Vec<String> = problem.chain().skip(1).map(|cause| format!("\n  because: {cause}")).collect();
        eprintln!("error: {problem}{}", causes.concat());
        self.document(&serde_json::json!({ "error": format!("{problem:#}") }));
    }

    /// A progress bar on a terminal; hidden elsewhere.
    pub fn bar(self, length: u64, what: &'static str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("  {msg:10} [{bar:32}] {human_pos}/{human_len}  {per_sec:>14}  {eta}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what);
        bar
    }

    /// Whether somebody watches standard error.
    pub fn is_watched(self) -> bool {
        std::io::stderr().is_terminal()
    }
}
