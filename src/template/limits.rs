//! A look at a text before and beside the parser: limits that keep the parser's recursion shallow, and words for a text
//! that it cannot read. It never decides what a good text means.

use super::problem::{ALLOWED, CompileFault};

/// A place in a text: line and column, both from 1.
pub(super) type Place = (usize, usize);

/// Far more than any message needs. A parser that meets endless nesting would run out of stack, and some texts (a long row
/// of backslashes) cost it time that grows with the square of their length.
const CHARACTERS: usize = 5_000;
const BLOCKS: usize = 32;
const BRACKETS: usize = 100;

/// Refuses what must not reach the parser.
///
/// Limits count openings anywhere in the text, also where they might be literal: a count cannot be outwitted by quotes and
/// escapes, a depth can.
pub(super) fn check(text: &str) -> Result<(), (Place, CompileFault)> {
    let too_many = |at, what, limit| Err((place(text, at), CompileFault::TooMany { what, limit }));
    if let Some((at, _)) = text.char_indices().nth(CHARACTERS) {
        return too_many(at, "characters", CHARACTERS);
    }
    if let Some(at) = text.find("{{{{") {
        return Err((place(text, at), CompileFault::NotForMessages { what: "raw blocks" }));
    }
    let mut blocks = text.char_indices().map(|(at, _)| at).filter(|at| opens_block(&text[*at..]));
    if let Some(at) = blocks.nth(BLOCKS) {
        return too_many(at, "blocks", BLOCKS);
    }
    if let Some((at, _)) = brackets(text).nth(BRACKETS) {
        return too_many(at, "brackets", BRACKETS);
    }
    Ok(())
}

fn opens_block(rest: &str) -> bool {
    rest.strip_prefix("{{").is_some_and(|tag| {
        let tag = tag.trim_start_matches([' ', '\t', '\n', '\r', '~']);
        tag.starts_with(['#', '^']) || tag.starts_with("else")
    })
}

/// Round, square, and single curly brackets: all that can nest inside `{{…}}`.
fn brackets(text: &str) -> impl Iterator<Item = (usize, char)> {
    text.char_indices().filter(|(at, c)| match c {
        '(' | '[' => true,
        '{' => !text[..*at].ends_with('{') && !text[at + 1..].starts_with('{'),
        _ => false,
    })
}

/// Line and column of a byte offset.
pub(super) fn place(text: &str, at: usize) -> Place {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// Says what is wrong with a text that the parser has refused at `refused`. The parser itself would list grammar rules.
pub(super) fn diagnose(text: &str, refused: Place) -> (Place, CompileFault) {
    let (at, words) = match unbalanced(text) {
        Some((at, words)) => (place(text, at), words),
        None => (refused, format!("what stands here cannot be read; expected {ALLOWED}")),
    };
    (at, CompileFault::Syntax(words))
}

/// The first tag that is not closed, or closes nothing.
fn unbalanced(text: &str) -> Option<(usize, String)> {
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("{{").map(|found| from + found) {
        if text[..at].ends_with('\\') && !text[..at].ends_with("\\\\") {
            from = at + 2;
            continue;
        }
        let end = if text[at..].starts_with("{{!--") { "--}}" } else { "}}" };
        let Some(length) = text[at + 2..].find(end) else {
            return Some((at, format!("this {{{{ is never closed; expected {end}")));
        };
        let tag = text[at + 2..at + 2 + length].trim_matches(|c: char| c.is_whitespace() || c == '~');
        let name = tag.get(1..).unwrap_or_default().split_whitespace().next().unwrap_or_default();
        match tag.chars().next() {
            None => return Some((at, "there is nothing between {{ and }}; expected a slug".to_owned())),
            Some('#') => open.push((at, name)),
            Some('/') => match open.pop() {
                Some((_, opened)) if opened == name => {}
                Some((_, opened)) => {
                    return Some((at, format!("{{{{#{opened}}}}} is open here; expected {{{{/{opened}}}}}")));
                }
                None => return Some((at, format!("there is no open block here that {{{{/{name}}}}} could close"))),
            },
            Some('^') if open.is_empty() => return Some((at, "there is no open block here".to_owned())),
            Some(_) if tag == "else" && open.is_empty() => {
                return Some((at, "there is no open block here that {{else}} could belong to".to_owned()));
            }
            Some(_) => {}
        }
        from = at + 2 + length + end.len();
    }
    let (at, name) = open.pop()?;
    Some((at, format!("this {{{{#{name}}}}} is never closed; expected {{{{/{name}}}}}")))
}
