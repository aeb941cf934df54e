//! What the documentation says is done: every page is a session that a reader could type, played from its beginning to its end
//! against the real binary in a folder of its own.
//!
//! - `sh` blocks are run, one after another, by one shell; `sh fails=2` must end with that exit code.
//! - `toml`, `json`, `csv`, `handlebars` blocks with `file=PATH` are written there; the others must be what they say they are.
//! - A `text` block is what the block before it prints: each of its lines, with `…` for whatever differs from time to time.
//! - `<!-- test: COMMAND -->` is run as well, and not shown to readers: what a test needs and they do not.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at what is not as it should be")]

use std::{
    fmt::Write as _,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use herald::sandbox::Settings;

#[path = "docs/page.rs"]
mod page;

use page::{Block, Kind, blocks};

/// A secret of the form that Standard Webhooks wants.
const SECRET: &str = "whsec_dGVzdC10ZXN0LXRlc3QtdGVzdC10ZXN0LXRlc3QtdGU=";

/// The longest that a page may take, in seconds.
const DEADLINE_S: &str = "120";

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages that there are: none is left out by forgetting it.
fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(project().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect();
    pages.push(project().join("README.md"));
    pages.sort();
    pages
}

#[test]
fn every_page_is_played() {
    let playing: Vec<_> = pages().into_iter().map(|page| std::thread::spawn(move || (play(&page), page))).collect();
    let mut wrong = String::new();
    for thread in playing {
        let (played, page) = thread.join().unwrap();
        if let Err(problem) = played {
            writeln!(wrong, "{}: {problem}", page.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn links_within_the_documentation_lead_somewhere() {
    let mut wrong = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in page::links(&text).filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let there = target.exists()
                && (anchor.is_empty()
                    || page::anchors(&fs::read_to_string(&target).unwrap()).any(|known| known == anchor));
            if !there {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// With `UPDATE_DOCS` set the page is written instead.
#[test]
fn every_problem_code_is_documented() {
    let (page, now) = (project().join("docs/api-errors.md"), codes());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, &now).unwrap();
    }
    assert!(
        fs::read_to_string(&page).unwrap() == now,
        "docs/api-errors.md is old: UPDATE_DOCS=1 cargo test --test docs"
    );
}

/// The page of codes: of answers, of rows, and of messages.
fn codes() -> String {
    let mut page = "# Codes\n\nCodes are stable: programs go by them, people read the sentence beside them. This page is made of herald's own \
        tables, and a test holds it against them.\n\n## Of answers and rows\n\nAn answer that is not what was asked for is \
        `application/problem+json` with a `code`; each row that is refused has one as well.\n\n"
        .to_owned();
    page.push_str(&herald::http::codes::markdown());
    page.push_str("\n## Of messages\n\nWhy a message stands where it does: `code` of `GET /v1/messages`, of a report, of a webhook.\n\n");
    page.push_str("| code | what it means |\n| --- | --- |\n");
    for reason in herald::domain::reason::Reason::ALL {
        writeln!(page, "| `{}` | {} |", reason.code(), reason.sentence()).unwrap();
    }
    page
}

/// An address that nobody listens on.
fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn play(page: &Path) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let (herald, sandbox) = (free(), free());
    let text = fs::read_to_string(page).unwrap().replace("127.0.0.1:8080", &herald).replace("127.0.0.1:4010", &sandbox);
    let blocks = blocks(&text);
    blocks.iter().try_for_each(Block::is_what_it_says)?;
    let (work, logs) = (folder.path().join("work"), folder.path().join("logs"));
    fs::create_dir_all(&logs).unwrap();
    for name in ["examples", "templates"] {
        copy(&project().join(name), &work.join(name), &[("127.0.0.1:4010", &sandbox)]);
    }
    let script = folder.path().join("page.sh");
    fs::write(&script, page::script(&blocks, &logs)).unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_herald")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    // A page that waits for what never comes is ended.
    let ran = Command::new("timeout")
        .args(["--kill-after=5", DEADLINE_S, "bash"])
        .arg(&script)
        .current_dir(&work)
        .env("PATH", path)
        .env("HERALD_LISTEN", &herald)
        // The sandbox's own credentials, and secrets as anybody could make them.
        .env("ACME_TWILIO_TOKEN", Settings::DEFAULT_AUTH_TOKEN)
        .env("ACME_TELESIGN_KEY", Settings::DEFAULT_API_KEY)
        .env("ACME_ACS_KEY", Settings::DEFAULT_ACS_ACCESS_KEY)
        .env("ACME_HOOK_SECRET", SECRET)
        .env("ACME_ENDPOINT_SECRET", SECRET)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let log = |place: usize| fs::read_to_string(logs.join(place.to_string())).unwrap_or_default();
    if !ran.status.success() {
        let last = (0..blocks.len()).rev().find(|place| logs.join(place.to_string()).exists()).unwrap_or(0);
        let said = String::from_utf8_lossy(&ran.stderr);
        return Err(format!("line {}: {}\n{}\n{said}", blocks[last].line, blocks[last].body, log(last)));
    }
    for (place, block) in blocks.iter().enumerate().filter(|(_, block)| block.kind == Kind::Output) {
        let before = (0..place).rev().find(|before| matches!(blocks[*before].kind, Kind::Shell { .. }));
        let printed = log(before.ok_or_else(|| format!("line {}: no block before it prints anything", block.line))?);
        if let Some(missing) = page::missing(&block.body, &printed) {
            return Err(format!("line {}: \"{missing}\" was not printed; this was:\n{printed}", block.line));
        }
    }
    Ok(())
}

/// Copies a folder, putting other words in the place of some.
fn copy(from: &Path, to: &Path, other: &[(&str, &str)]) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target, other);
        } else {
            let text = fs::read_to_string(entry.path()).unwrap();
            fs::write(target, other.iter().fold(text, |text, (is, becomes)| text.replace(is, becomes))).unwrap();
        }
    }
}
