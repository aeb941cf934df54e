//! A page of the documentation as a test reads it: its blocks, the script that they make, and what a block says that another
//! prints.

use std::{fmt::Write as _, path::Path};

/// A fenced block, or a hidden command.
#[derive(Debug)]
pub struct Block {
    pub kind: Kind,
    /// Where it begins, from 1.
    pub line: usize,
    pub body: String,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// Run, and expected to end with this code.
    Shell { code: u8 },
    /// Written to a file.
    File(String),
    /// What the block before it prints.
    Output,
    /// Only held to be what it says it is.
    Sample(String),
}

/// The blocks of a page, in order.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((place, line)) = lines.next() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if let Some(hidden) = trimmed.strip_prefix("<!-- test:") {
            let command = hidden.trim_end().strip_suffix("-->");
            let body = command.unwrap_or_else(|| panic!("line {}: a hidden command is one line", place + 1));
            blocks.push(Block { kind: Kind::Shell { code: 0 }, line: place + 1, body: body.trim().to_owned() });
        } else if let Some(info) = trimmed.strip_prefix("```") {
            let mut body = String::new();
            let inside = lines.by_ref().map(|(_, line)| line.get(indent.min(line.len())..).unwrap_or(line));
            for line in inside.take_while(|line| line.trim() != "```") {
                writeln!(body, "{line}").unwrap();
            }
            blocks.push(Block { kind: kind(info, place + 1), line: place + 1, body });
        }
    }
    blocks
}

fn kind(info: &str, line: usize) -> Kind {
    let mut words = info.split_whitespace();
    let language = words.next().unwrap_or_else(|| panic!("line {line}: a block says what it is"));
    let option = |name: &str| info.split_whitespace().find_map(|word| word.strip_prefix(name)).map(str::to_owned);
    match (language, option("file=")) {
        ("sh", _) => Kind::Shell { code: option("fails=").map_or(0, |code| code.parse().unwrap()) },
        ("text", _) => Kind::Output,
        (_, Some(path)) => Kind::File(path),
        (language, None) => Kind::Sample(language.to_owned()),
    }
}

impl Block {
    /// A sample can be read as what it says it is.
    pub fn is_what_it_says(&self) -> Result<(), String> {
        let language = match &self.kind {
            Kind::Sample(language) => language.as_str(),
            Kind::File(path) => path.rsplit('.').next().unwrap_or_default(),
            Kind::Shell { .. } | Kind::Output => return Ok(()),
        };
        let problem = match language {
            "toml" => toml::from_str::<toml::Table>(&self.body).err().map(|problem| problem.to_string()),
            "json" => serde_json::from_str::<serde_json::Value>(&self.body).err().map(|problem| problem.to_string()),
            "csv" | "hbs" | "handlebars" | "http" => None,
            other => Some(format!("nobody reads blocks of \"{other}\"")),
        };
        problem.map_or(Ok(()), |problem| Err(format!("line {}: {problem}", self.line)))
    }
}

/// The script that a page is. What each block prints goes into a file of its place's name.
pub fn script(blocks: &[Block], logs: &Path) -> String {
    let mut script = "set -eu -o pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n".to_owned();
    for (place, block) in blocks.iter().enumerate() {
        let (log, body) = (logs.join(place.to_string()), &block.body);
        let log = log.display();
        match &block.kind {
            Kind::Shell { code: 0 } => writeln!(script, "{{\n{body}\n}} >{log} 2>&1"),
            Kind::Shell { code } => writeln!(
                script,
                "code=0\n{{\n{body}\n}} >{log} 2>&1 || code=$?\n[ $code -eq {code} ] || {{ echo \"it ended with $code\" >&2; exit 1; }}"
            ),
            Kind::File(path) => {
                writeln!(script, ": >{log}\nmkdir -p \"$(dirname '{path}')\"\ncat >'{path}' <<'END_OF_FILE'\n{body}END_OF_FILE")
            }
            Kind::Output | Kind::Sample(_) => Ok(()),
        }
        .unwrap();
    }
    script
}

/// A line that should have been printed and was not.
pub fn missing<'a>(expected: &'a str, printed: &str) -> Option<&'a str> {
    let wanted = expected.lines().filter(|line| !line.trim().is_empty() && line.trim() != "…");
    wanted.into_iter().find(|line| !printed.lines().any(|printed| fits(line.trim(), printed.trim())))
}

/// Whether a line is as it is said to be, `…` standing for anything.
fn fits(expected: &str, printed: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = parts.next().and_then(|first| printed.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Where the links of a page lead.
pub fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The anchors of a page: its headings, as they are linked to.
pub fn anchors(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        title
            .chars()
            .filter_map(|c| if c == ' ' { Some('-') } else { (c.is_alphanumeric() || "-_".contains(c)).then_some(c) })
            .collect()
    })
}
