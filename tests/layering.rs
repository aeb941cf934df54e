//! The shape of herald, held by tests that read its source: which room may know which, and where SQL, sockets and the
//! clock may appear.
//!
//! They read text, cut into words, strings and marks, so that a comment or a string never counts as code. They do not
//! resolve names as the compiler does: whoever renames an import to get round a rule will succeed, and a reviewer will
//! see it. Each rule has a second test that shows it a breach, because a rule that cannot fail holds nothing.

use std::{fmt, fs, io, path::Path};

// --- The rules, as tables -------------------------------------------------------------------------------------------

/// The rooms from the top down: a room may use those of the rows below its own.
const ROWS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["app"],
    &["http", "console"],
    &["engine", "intake", "inbound", "notify", "definitions"],
    &["book"],
    &["store", "provider", "template"],
    &["domain"],
];

/// Who may use whom within a row: (user, used).
const SIDEWAYS: &[(&str, &str)] = &[("definitions", "intake"), ("notify", "engine"), ("notify", "inbound")];

/// For every room above `domain`. They know `domain` and each other.
const SUPPORT: &[&str] = &["config", "secret", "clock", "telemetry", "keys"];

/// What the row above `domain` may use of the support.
const SUPPORT_OF_THE_LOWER_ROW: &[&str] = &["clock", "secret"];
const LOWER_ROW: &[&str] = &["store", "provider", "template"];

/// Knows nothing of ours, so that it can catch our mistakes.
const SANDBOX: &str = "sandbox";
const USERS_OF_THE_SANDBOX: &[&str] = &["cli", "app"];

/// What makes a rule depend on more than its arguments.
const NOT_PURE: &[&str] =
    &["tokio", "sqlx", "reqwest", "axum", "std::fs", "std::net", "std::env", "std::process", "std::thread", "std::io"];

const SQL_WORDS: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "CREATE", "PRAGMA"];
const SQL_IN: &[&str] = &["src/store/"];

const SOCKET_WORDS: &[&str] = &["TcpListener", "TcpStream", "UdpSocket", "UnixListener", "UnixStream", "reqwest"];
const SOCKETS_IN: &[&str] =
    &["src/engine/transport", "src/http/", "src/sandbox/", "src/cli/", "src/app/", "src/notify/client"];

const CLOCKS: &[&str] = &["Instant", "SystemTime", "Utc", "Local"];
const CLOCKS_IN: &[&str] = &["src/clock.rs", "src/sandbox/time.rs"];

const MOST_LINES: usize = 400;
/// Files that may be longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

// --- The tests: each rule on herald, and on a breach ------------------------------------------------------------------

#[test]
fn domain_is_pure() {
    holds(purity);
    breaks(purity, "src/domain/quota.rs", "use crate::store::Store;", "domain may not use store");
    breaks(purity, "src/domain/quota.rs", "fn f() { crate::clock::now() }", "domain may not use clock");
    breaks(purity, "src/domain/quota.rs", "use std::{collections::BTreeMap, fs::{self, File}};", "std::fs");
    breaks(purity, "src/domain/quota.rs", "fn f() { std::net::TcpStream::connect(a) }", "std::net");
    breaks(purity, "src/domain/quota.rs", "#[tokio::test] fn t() {}", "tokio");
    breaks(purity, "src/domain/quota.rs", "use ::sqlx as database;", "sqlx");
    breaks(purity, "src/domain/quota.rs", "pub async fn pick() {}", "async");
    passes(
        purity,
        "src/domain/quota.rs",
        "use crate::domain::id; use super::phone::E164; use std::fmt; use chrono::Utc;",
    );
}

#[test]
fn store_provider_and_template_do_not_know_each_other() {
    holds(lower_row);
    breaks(lower_row, "src/store/claim.rs", "use crate::{domain::id, provider::Call};", "store may not use provider");
    breaks(lower_row, "src/provider/acs/mod.rs", "use super::super::template::Body;", "provider may not use template");
    breaks(lower_row, "src/template/mod.rs", "use super::store::Store;", "template may not use store");
    breaks(lower_row, "src/store/mod.rs", "use crate::config::Url;", "store may not use config");
    breaks(lower_row, "src/provider/mod.rs", "fn f() -> crate::engine::Lane {}", "provider may not use engine");
    passes(lower_row, "src/store/mod.rs", "use crate::{clock::Clock, domain, secret::Secret, store::claim};");
    passes(lower_row, "src/store/mod.rs", "mod tests { use super::*; mod deep { use super::super::claim; } }");
}

#[test]
fn imports_point_downwards() {
    holds(downwards);
    breaks(downwards, "src/engine/sender.rs", "use crate::http::Server;", "engine may not use http");
    breaks(downwards, "src/http/mod.rs", "use crate::app::App;", "http may not use app");
    breaks(downwards, "src/app/mod.rs", "use crate::cli;", "app may not use cli");
    breaks(downwards, "src/config.rs", "use crate::store::Store;", "config may not use store");
    breaks(downwards, "src/engine/mod.rs", "use crate::*;", "the whole crate");
    breaks(downwards, "src/engine/mod.rs", "use crate as herald;", "the whole crate");
    breaks(downwards, "src/engine/mod.rs", "use crate::Store;", "`Store` is not a room");
    breaks(downwards, "src/book/mod.rs", "use crate::definitions::Set;", "book may not use definitions");
    breaks(downwards, "src/store/mod.rs", "use crate::book::Book;", "store may not use book");
    breaks(downwards, "src/keys.rs", "use crate::book::Book;", "keys may not use book");
    passes(downwards, "src/engine/mod.rs", "use crate::{book::Book, keys};");
    passes(downwards, "src/main.rs", "fn main() { herald::cli::run(); }");
    passes(downwards, "src/app/mod.rs", "use crate::{config, http::{self, Server}, engine, store, domain};");
    passes(downwards, "src/engine/mod.rs", "// crate::http\nconst A: &str = \"crate::http\"; pub(crate) fn f<'a>() {}");
}

#[test]
fn the_middle_row_uses_itself_only_as_listed() {
    holds(sideways);
    breaks(sideways, "src/intake/csv.rs", "use crate::engine::Sender;", "intake may not use engine");
    breaks(sideways, "src/inbound/mod.rs", "use crate::definitions::Project;", "inbound may not use definitions");
    breaks(sideways, "src/notify/mod.rs", "use crate::intake::upload;", "notify may not use intake");
    breaks(sideways, "src/inbound/mod.rs", "use crate::notify::Deliverer;", "inbound may not use notify");
    passes(sideways, "src/definitions/mod.rs", "use crate::intake::csv;");
    passes(sideways, "src/notify/mod.rs", "use crate::{engine::Committer, inbound::webhook::sign};");
}

#[test]
fn the_sandbox_stands_alone() {
    holds(sandbox);
    breaks(sandbox, "src/sandbox/twilio/mod.rs", "use crate::domain::phone::E164;", "sandbox may not use domain");
    breaks(sandbox, "src/engine/transport.rs", "use crate::sandbox::Sandbox;", "engine may not use sandbox");
    breaks(sandbox, "src/main.rs", "use herald::sandbox;", "main may not use sandbox");
    passes(sandbox, "src/sandbox/twilio/mod.rs", "use crate::sandbox::settings; pub(in crate::sandbox) fn f() {}");
    passes(sandbox, "src/cli/sandbox.rs", "use crate::sandbox::Sandbox;");
}

#[test]
fn every_module_has_its_room() {
    holds(known_rooms);
    breaks(known_rooms, "src/utils/mod.rs", "", "`utils` is not a room");
    breaks(known_rooms, "src/common.rs", "", "`common` is not a room");
}

#[test]
fn sql_is_only_in_store() {
    holds(sql);
    breaks(sql, "src/engine/mod.rs", "fn f() { q(\"SELECT 1\") }", "SQL");
    breaks(sql, "src/engine/mod.rs", "fn f() { q(r#\"\n  WITH next AS (\"#) }", "SQL");
    breaks(sql, "src/engine/mod.rs", "fn f() { q(\"\\\n  DELETE FROM lanes\") }", "SQL");
    breaks(sql, "src/engine/mod.rs", "fn f() { q(include_str!(\"claim.sql\")) }", "SQL");
    breaks(sql, "src/app/mod.rs", "use sqlx::PgPool;", "sqlx");
    passes(sql, "src/store/claim.rs", "const CLAIM: &str = \"UPDATE requests SET due_at = $1\"; use sqlx::Row;");
    passes(
        sql,
        "src/http/mod.rs",
        "const A: &[&str] = &[\"DELETE\", \"DELETE /v1/x\", \"Select a file\", \"SELECTED\"];",
    );
    passes(sql, "src/http/mod.rs", "/// \"SELECT 1\"\nfn quote() -> char { '\"' } // \"SELECT 1\"");
}

#[test]
fn sockets_are_only_in_the_transport_and_the_servers() {
    holds(sockets);
    breaks(sockets, "src/provider/mod.rs", "use reqwest::Client;", "reqwest");
    breaks(sockets, "src/intake/mod.rs", "fn f(s: tokio::net::TcpStream) {}", "TcpStream");
    breaks(sockets, "src/engine/sender.rs", "use std::net::UdpSocket;", "UdpSocket");
    passes(sockets, "src/engine/transport/client.rs", "use reqwest::Client;");
    breaks(sockets, "src/notify/deliverer.rs", "fn f(c: &reqwest::Client) {}", "reqwest");
    passes(sockets, "src/notify/client.rs", "use reqwest::Client;");
}

#[test]
fn the_time_comes_only_from_the_clock() {
    holds(time);
    breaks(time, "src/engine/mod.rs", "fn f() { std::time::Instant::now() }", "Instant::now");
    breaks(time, "src/domain/time.rs", "fn f() { Utc::now() }", "Utc::now");
    breaks(time, "src/sandbox/faults.rs", "fn f() { g(chrono::Local :: now) }", "Local::now");
    passes(time, "src/clock.rs", "fn f() { SystemTime::now() }");
    passes(time, "src/engine/mod.rs", "fn f(c: &Clock) { c.now(); time::now() }");
}

#[test]
fn every_file_says_first_what_it_is_for() {
    holds(opening);
    breaks(opening, "src/engine/mod.rs", "use std::fmt;\n//! late", "does not open with `//!`");
    passes(opening, "src/engine/mod.rs", "//! Sends.");
}

#[test]
fn no_file_is_longer_than_can_be_read() {
    holds(length);
    breaks(length, "src/engine/mod.rs", &"\n".repeat(MOST_LINES + 1), "401 lines");
    passes(length, "src/engine/mod.rs", &"\n".repeat(MOST_LINES));
    for (path, reason) in LONG_FILES {
        assert!(!reason.is_empty(), "{path} has no reason to be long");
        let lines =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).map(|text| text.lines().count());
        assert!(lines.is_ok_and(|lines| lines > MOST_LINES), "{path} is no longer long: take it out of the list");
    }
}

// --- The rules --------------------------------------------------------------------------------------------------------

type Rule = fn(&Source) -> Vec<Breach>;

fn purity(source: &Source) -> Vec<Breach> {
    if source.room() != "domain" {
        return Vec::new();
    }
    let mut breaches = ours(source, |_, _| false);
    for path in source.paths() {
        let written = path.names.join("::");
        for banned in NOT_PURE {
            if written == *banned || written.starts_with(&format!("{banned}::")) {
                breaches.push(source.breach(path.line, format!("domain may not use {banned}")));
            }
        }
    }
    let awaits = source.tokens.iter().filter(|token| token.is_word("async"));
    breaches.extend(awaits.map(|token| source.breach(token.line, "domain may not be async".to_owned())));
    breaches
}

fn lower_row(source: &Source) -> Vec<Breach> {
    if !LOWER_ROW.contains(&source.room()) {
        return Vec::new();
    }
    ours(source, |_, used| used == "domain" || SUPPORT_OF_THE_LOWER_ROW.contains(&used))
}

fn downwards(source: &Source) -> Vec<Breach> {
    ours(source, |user, used| {
        if used == SANDBOX || user == SANDBOX || SUPPORT.contains(&used) {
            return true; // `sandbox`, `purity` and `lower_row` judge these
        }
        match (row(user), row(used)) {
            (Some(user), Some(used)) => user <= used,
            (None, Some(_)) => used == "domain", // the support
            (_, None) => false,
        }
    })
}

fn sideways(source: &Source) -> Vec<Breach> {
    ours(source, |user, used| row(user).is_none() || row(user) != row(used) || SIDEWAYS.contains(&(user, used)))
}

fn sandbox(source: &Source) -> Vec<Breach> {
    ours(source, |user, used| user != SANDBOX && (used != SANDBOX || USERS_OF_THE_SANDBOX.contains(&user)))
}

fn known_rooms(source: &Source) -> Vec<Breach> {
    let room = source.room();
    if room == "lib" || known(room) {
        return Vec::new();
    }
    vec![source.breach(1, format!("`{room}` is not a room: ROWS and SUPPORT in this test name them all"))]
}

fn sql(source: &Source) -> Vec<Breach> {
    if within(&source.path, SQL_IN) {
        return Vec::new();
    }
    let texts = source.tokens.iter().filter(|token| token.kind == Kind::Text && is_sql(&token.text));
    let mut breaches: Vec<_> = texts.map(|token| source.breach(token.line, format!("SQL: {:?}", token.text))).collect();
    let words = source.tokens.iter().filter(|token| token.is_word("sqlx"));
    breaches.extend(words.map(|token| source.breach(token.line, "sqlx".to_owned())));
    breaches
}

/// A keyword and then something that an HTTP method is not followed by.
fn is_sql(text: &str) -> bool {
    let text = text.trim_start();
    let rest = SQL_WORDS.iter().find_map(|word| text.strip_prefix(word));
    let statement = rest.is_some_and(|rest| {
        let next = rest.trim_start();
        next.len() < rest.len() && !next.is_empty() && !next.starts_with('/')
    });
    statement || text.ends_with(".sql")
}

fn sockets(source: &Source) -> Vec<Breach> {
    if within(&source.path, SOCKETS_IN) {
        return Vec::new();
    }
    let words = source.tokens.iter().filter(|token| SOCKET_WORDS.iter().any(|word| token.is_word(word)));
    words.map(|token| source.breach(token.line, format!("a socket: {}", token.text))).collect()
}

fn time(source: &Source) -> Vec<Breach> {
    if CLOCKS_IN.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let mut breaches = Vec::new();
    for three in source.tokens.windows(3) {
        let [clock, mark, now] = three else { continue };
        if CLOCKS.iter().any(|name| clock.is_word(name)) && mark.is_mark("::") && now.is_word("now") {
            breaches.push(source.breach(clock.line, format!("{}::now, and not the clock", clock.text)));
        }
    }
    breaches
}

fn opening(source: &Source) -> Vec<Breach> {
    if source.text.starts_with("//!") {
        return Vec::new();
    }
    vec![source.breach(1, "does not open with `//!`".to_owned())]
}

fn length(source: &Source) -> Vec<Breach> {
    let lines = source.text.lines().count();
    if lines <= MOST_LINES || LONG_FILES.iter().any(|(path, _)| *path == source.path) {
        return Vec::new();
    }
    vec![source.breach(MOST_LINES + 1, format!("{lines} lines; split it at {MOST_LINES}"))]
}

/// What a file uses of our other rooms against the rule `may(user, used)`.
fn ours(source: &Source, may: impl Fn(&str, &str) -> bool) -> Vec<Breach> {
    let user = source.room();
    let mut breaches = Vec::new();
    if user == "lib" {
        return breaches; // it only names the rooms
    }
    for path in source.paths() {
        let Some(("crate", rest)) = path.names.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
            continue;
        };
        match rest.first().map(String::as_str) {
            None | Some("*") => breaches.push(source.breach(path.line, format!("{user} may not use the whole crate"))),
            Some(used) if used == user => {}
            Some(used) if !known(used) => breaches.push(source.breach(path.line, format!("`{used}` is not a room"))),
            Some(used) if may(user, used) => {}
            Some(used) => breaches.push(source.breach(path.line, format!("{user} may not use {used}"))),
        }
    }
    breaches
}

fn row(room: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&room))
}

fn known(room: &str) -> bool {
    row(room).is_some() || SUPPORT.contains(&room) || room == SANDBOX
}

fn within(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place) || path.strip_suffix(".rs") == place.strip_suffix('/'))
}

// --- Judging ----------------------------------------------------------------------------------------------------------

struct Breach {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

fn listed(breaches: &[Breach]) -> String {
    breaches.iter().map(|breach| format!("\n  {breach}")).collect()
}

#[track_caller]
fn holds(rule: Rule) {
    let mut sources = Vec::new();
    let read = read_folder(Path::new(env!("CARGO_MANIFEST_DIR")), "src", &mut sources);
    assert!(read.is_ok() && sources.len() > 20, "found only {} files in src: {read:?}", sources.len());
    let breaches: Vec<_> = sources.iter().flat_map(rule).collect();
    assert!(breaches.is_empty(), "{} breaches:{}", breaches.len(), listed(&breaches));
}

#[track_caller]
fn breaks(rule: Rule, path: &str, text: &str, what: &str) {
    let breaches = rule(&Source::new(path, text));
    let found = breaches.iter().any(|breach| breach.path == path && breach.what.contains(what));
    assert!(found, "{what:?} was not found in {text:?}, only:{}", listed(&breaches));
}

#[track_caller]
fn passes(rule: Rule, path: &str, text: &str) {
    let breaches = rule(&Source::new(path, text));
    assert!(breaches.is_empty(), "found in {text:?}:{}", listed(&breaches));
}

fn read_folder(root: &Path, folder: &str, sources: &mut Vec<Source>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read_folder(root, &path, sources)?;
        } else if path.ends_with(".rs") {
            sources.push(Source::new(&path, &fs::read_to_string(entry.path())?));
        }
    }
    Ok(())
}

// --- Reading Rust as far as the rules need it ---------------------------------------------------------------------------

struct Source {
    path: String,
    text: String,
    tokens: Vec<Token>,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned(), tokens: Lexer::new(text).tokens() }
    }

    fn breach(&self, line: usize, what: String) -> Breach {
        Breach { path: self.path.clone(), line, what }
    }

    /// The first name below `src`.
    fn room(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        below.split('/').next().unwrap_or(below).trim_end_matches(".rs")
    }

    /// The file's place in the tree of modules, below `crate`.
    fn module(&self) -> Vec<String> {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path).trim_end_matches(".rs");
        let mut names: Vec<_> = below.split('/').map(str::to_owned).collect();
        if names.last().is_some_and(|name| name == "mod" || name == "lib") {
            names.pop();
        }
        names
    }

    /// Every path that the file names, with `use` groups unfolded and `crate`, `self` and `super` worked out: those of
    /// ours start with `crate`.
    fn paths(&self) -> Vec<Named> {
        let mut reader = PathReader { tokens: &self.tokens, at: 0, found: Vec::new() };
        let mut module = self.module();
        let mut open = Vec::new(); // for each open brace, whether it is a module's
        let mut paths = Vec::new();
        while let Some(token) = self.tokens.get(reader.at) {
            if token.is_mark("{") {
                open.push(false);
            } else if token.is_mark("}") && open.pop() == Some(true) {
                module.pop();
            } else if let Some(name) = inline_module(&self.tokens, reader.at) {
                module.push(name.to_owned());
                open.push(true);
                reader.at += 2;
            } else if token.is_word("use") && !self.tokens.get(reader.at + 1).is_some_and(|next| next.is_mark("<")) {
                reader.at += 1;
                reader.tree(&[]);
            } else if token.kind == Kind::Word {
                reader.inline();
            }
            reader.at += 1;
            paths.extend(reader.found.drain(..).map(|path| path.resolved(&module)));
        }
        paths
    }
}

/// `mod name {`
fn inline_module(tokens: &[Token], at: usize) -> Option<&str> {
    match tokens.get(at..at + 3)? {
        [word, name, brace] if word.is_word("mod") && name.kind == Kind::Word && brace.is_mark("{") => Some(&name.text),
        _ => None,
    }
}

struct Named {
    line: usize,
    names: Vec<String>,
}

impl Named {
    fn resolved(mut self, module: &[String]) -> Named {
        let supers = self.names.iter().take_while(|name| *name == "super").count();
        let first = self.names.first().map_or("", String::as_str);
        let ours = match first {
            "super" => module.get(..module.len().saturating_sub(supers)),
            "self" => Some(module),
            "herald" if module == ["main"] => Some(&[][..]),
            _ => None,
        };
        if let Some(ours) = ours {
            let rest = self.names.split_off(supers.max(1));
            self.names = ["crate".to_owned()].into_iter().chain(ours.iter().cloned()).chain(rest).collect();
        }
        self
    }
}

struct PathReader<'a> {
    tokens: &'a [Token],
    at: usize,
    found: Vec<Named>,
}

impl<'a> PathReader<'a> {
    fn here(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn takes(&mut self, mark: &str) -> bool {
        let is = self.here().is_some_and(|token| token.is_mark(mark));
        self.at += usize::from(is);
        is
    }

    /// One tree of a `use`; ends on the mark behind it.
    fn tree(&mut self, before: &[String]) {
        let mut names = before.to_vec();
        self.takes("::");
        while let Some(token) = self.here() {
            if self.takes("{") {
                while !self.takes("}") && self.here().is_some() {
                    self.tree(&names);
                    self.takes(",");
                }
                return;
            }
            let line = token.line;
            if token.kind != Kind::Word && !token.is_mark("*") {
                self.at += usize::from(!token.is_mark(";") && !token.is_mark("}") && !token.is_mark(","));
                return;
            }
            if !token.is_word("self") || names.is_empty() {
                names.push(token.text.clone());
            }
            self.at += 1;
            if self.takes("::") {
                continue;
            }
            if self.here().is_some_and(|token| token.is_word("as")) {
                self.at += 2;
            }
            self.found.push(Named { line, names });
            return;
        }
    }

    /// A path in the code, of two names or more; ends on its last token.
    fn inline(&mut self) {
        let Some(first) = self.here() else { return };
        let mut names = vec![first.text.clone()];
        while let Some([mark, next]) = self.tokens.get(self.at + 1..self.at + 3) {
            if !mark.is_mark("::") || next.kind != Kind::Word {
                break;
            }
            names.push(next.text.clone());
            self.at += 2;
        }
        if names.len() > 1 {
            self.found.push(Named { line: first.line, names });
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Text,
    Mark,
}

struct Token {
    line: usize,
    kind: Kind,
    text: String,
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }

    fn is_mark(&self, mark: &str) -> bool {
        self.kind == Kind::Mark && self.text == mark
    }
}

/// Cuts a file into tokens; comments, lifetimes and characters are left out.
struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
}

impl Lexer {
    fn new(text: &str) -> Lexer {
        Lexer { chars: text.chars().collect(), at: 0, line: 1 }
    }

    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn next(&mut self) -> char {
        let next = self.peek(0);
        self.at += 1;
        self.line += usize::from(next == '\n');
        next
    }

    fn ended(&self) -> bool {
        self.at >= self.chars.len()
    }

    fn tokens(mut self) -> Vec<Token> {
        let mut tokens = Vec::new();
        while !self.ended() {
            let line = self.line;
            if let Some((kind, text)) = self.token() {
                tokens.push(Token { line, kind, text });
            }
        }
        tokens
    }

    fn token(&mut self) -> Option<(Kind, String)> {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => {
                while !self.ended() && self.peek(0) != '\n' {
                    self.next();
                }
                None
            }
            ('/', '*') => {
                self.block_comment();
                None
            }
            ('"', _) => Some((Kind::Text, self.string())),
            ('\'', _) => {
                self.character_or_lifetime();
                None
            }
            (':', ':') => {
                self.at += 2;
                Some((Kind::Mark, "::".to_owned()))
            }
            (first, _) if first.is_alphanumeric() || first == '_' => self.word(),
            _ => {
                let mark = self.next();
                (!mark.is_whitespace()).then(|| (Kind::Mark, mark.to_string()))
            }
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while !self.ended() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => {
                    depth += 1;
                    self.at += 2;
                }
                ('*', '/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => {
                    self.next();
                }
            }
        }
    }

    /// A name, a number, or the letters before a string (`r#"…"#`, `b"…"`, `b'…'`).
    fn word(&mut self) -> Option<(Kind, String)> {
        let mut word = String::new();
        while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
            word.push(self.next());
        }
        let raw = matches!(word.as_str(), "r" | "br" | "cr");
        let mut hashes = 0;
        while raw && self.peek(hashes) == '#' {
            hashes += 1;
        }
        if raw && self.peek(hashes) == '"' {
            return Some((Kind::Text, self.raw_string(hashes)));
        }
        if raw && hashes == 1 {
            self.next(); // a raw name: the name follows
            return None;
        }
        if matches!(word.as_str(), "b" | "c") && self.peek(0) == '"' {
            return Some((Kind::Text, self.string()));
        }
        Some((Kind::Word, word))
    }

    fn string(&mut self) -> String {
        let mut text = String::new();
        self.next();
        while !self.ended() {
            match self.next() {
                '"' => break,
                '\\' => match self.next() {
                    'n' | 't' | 'r' | '\n' => text.push(' '), // white space is all that the rules ask about
                    escaped => text.push(escaped),
                },
                plain => text.push(plain),
            }
        }
        text
    }

    fn raw_string(&mut self, hashes: usize) -> String {
        let mut text = String::new();
        self.at += hashes + 1;
        while !self.ended() {
            if self.peek(0) == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == '#') {
                self.at += hashes + 1;
                break;
            }
            text.push(self.next());
        }
        text
    }

    fn character_or_lifetime(&mut self) {
        self.next();
        if self.peek(0) == '\\' {
            self.next();
            self.next();
            while !self.ended() && self.next() != '\'' {}
        } else if self.peek(1) == '\'' {
            self.next();
            self.next();
        } else {
            while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
                self.next();
            }
        }
    }
}
