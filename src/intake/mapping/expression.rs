//! One CEL expression, compiled, and and held to what can be evaluated in bounded time and on a bounded stack.
//!
//! The language has no loops of its own: `all`, `exists`, `map` and `filter` walk over a list once. The crate bounds the
//! depth of what it parses but not the work of an evaluation, so that is bounded here: an expression is no longer than
//! [`LONGEST`], walks over lists at most [`MOST_WALKS`] times and never within a walk, and
//! [`MOST_ELEMENTS`] is the longest list or object of an event that is evaluated at all.

use std::collections::BTreeSet;

use cel::{
    Env, Program,
    common::ast::{EntryExpr, Expr, IdedExpr},
    parser::ParseErrors,
};

use crate::keys;

/// The longest expression, in bytes.
pub const LONGEST: usize = 4096;

/// How often one expression may walk over a list.
pub const MOST_WALKS: usize = 4;

/// The longest list or object within an event that expressions are evaluated over.
pub const MOST_ELEMENTS: usize = 1000;

/// The stack that an expression is parsed on. An unoptimized build takes 200 KiB of it for each bracket.
pub(super) const PARSER_STACK: usize = 32 << 20;

/// How many brackets and question marks one expression may open. Each may be a level of nesting, and the crate parses
/// levels by recursion: this is what [`PARSER_STACK`] bears, with room to spare. Those in texts count as well, so that no
/// text can hide any.
const MOST_OPENED: usize = 40;
const OPENING: &str = "([{?";

/// How many signs of any kind: a chain of operators, fields or indexes is as deep as it is long once it is parsed.
const MOST_SIGNS: usize = 250;
const SIGNS: &str = ".+-*/%<>=!&|[({?:";

/// How deep an expression may be once it is parsed: it is evaluated by recursion, on whatever thread asks.
const DEEPEST: usize = 48;

/// What an expression may name.
const FIELDS: [&str; 4] = ["data", "id", "time", "type"];

/// The names of types, which are values too: `type(x) == string`.
const TYPES: [&str; 11] =
    ["bool", "bytes", "double", "duration", "dyn", "int", "list", "map", "null_type", "string", "uint"];

/// The functions that exist, operators and macros aside.
const FUNCTIONS: [&str; 25] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
];

/// What is wrong with an expression, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line and column within the expression, from 1, if they are known.
    pub position: Option<(usize, usize)>,
    /// What is wrong and what was expected.
    pub message: String,
}

/// Compiles an expression, or says everything that is wrong with it.
pub(super) fn compile(env: &Env, text: &str) -> Result<Program, Vec<Fault>> {
    let plain = |message: String| vec![Fault { position: None, message }];
    if text.trim().is_empty() {
        return Err(plain("the expression is empty; expected one like event.data.title".to_owned()));
    }
    if text.len() > LONGEST {
        return Err(plain(format!("the expression has {} bytes; expected at most {LONGEST}", text.len())));
    }
    for (signs, most, what) in
        [(OPENING, MOST_OPENED, "brackets and question marks"), (SIGNS, MOST_SIGNS, "operators, dots and brackets")]
    {
        let found = text.chars().filter(|letter| signs.contains(*letter)).count();
        if found > most {
            return Err(plain(format!("the expression has {found} {what}; expected at most {most}")));
        }
    }
    let program = env.compile(text).map_err(|errors| parse_faults(&errors))?;
    let mut check = Check { text, program: &program, walks: 0, names: BTreeSet::new(), faults: Vec::new() };
    check.all();
    let faults = check.faults;
    if faults.is_empty() { Ok(program) } else { Err(faults) }
}

fn parse_faults(errors: &ParseErrors) -> Vec<Fault> {
    let place = |number: isize| usize::try_from(number).unwrap_or(1).max(1);
    let fault = |error: &cel::ParseError| {
        let message = format!("this is not CEL: {}", error.msg.trim().replace('\n', " "));
        Fault { position: Some((place(error.pos.0), place(error.pos.1))), message }
    };
    errors.errors.first().map(fault).into_iter().collect()
}

/// A walk over the compiled expression, without recursion.
struct Check<'a> {
    text: &'a str,
    program: &'a Program,
    walks: usize,
    /// What macros name: `x` in `list.all(x, …)`.
    names: BTreeSet<&'a str>,
    faults: Vec<Fault>,
}

impl<'a> Check<'a> {
    fn all(&mut self) {
        let mut rest = vec![(self.program.expression(), 0, 0)];
        while let Some((node, depth, within)) = rest.pop() {
            if depth == DEEPEST {
                self.fault(
                    node,
                    format!("is nested too deeply, or too long a chain; expected at most {DEEPEST} levels"),
                );
                return;
            }
            self.node(node, within);
            rest.extend(parts(&node.expr).into_iter().map(|(part, inner)| (part, depth + 1, within + inner)));
        }
        if self.walks > MOST_WALKS {
            let message = format!("walks over lists {} times; expected at most {MOST_WALKS}", self.walks);
            self.faults.push(Fault { position: None, message });
        }
    }

    fn node(&mut self, node: &'a IdedExpr, within: usize) {
        match &node.expr {
            Expr::Comprehension(walk) => {
                self.walks += 1;
                self.names.extend([walk.iter_var.as_str(), walk.accu_var.as_str()]);
                self.names.extend(walk.iter_var2.as_deref());
                if within > 0 {
                    self.fault(node, "walks over a list within a walk over a list; expected one at a time".to_owned());
                }
            }
            Expr::Ident(name) if !self.known(name) => {
                self.fault(node, format!("there is no \"{name}\"; expected event (with {})", FIELDS.join(", ")));
            }
            Expr::Select(select) => {
                let event = matches!(&select.operand.expr, Expr::Ident(name) if name == "event");
                if event && !FIELDS.contains(&select.field.as_str()) {
                    let meant =
                        keys::nearest(&select.field, &FIELDS).map(|field| format!("did you mean event.{field}?"));
                    let meant = meant.unwrap_or_else(|| format!("did you mean event.data.{}?", select.field));
                    let message = format!("an event has no \"{}\"; {meant}", select.field);
                    self.fault_at(self.offset(node).map(|dot| after_dot(self.text, dot)), message);
                }
            }
            Expr::Call(call) if is_word(&call.func_name) && !FUNCTIONS.contains(&call.func_name.as_str()) => {
                let meant = keys::nearest(&call.func_name, &FUNCTIONS).map(|name| format!("did you mean {name}?"));
                let meant = meant.unwrap_or_else(|| format!("expected one of: {}", FUNCTIONS.join(", ")));
                let message = format!("there is no function \"{}\"; {meant}", call.func_name);
                self.fault_at(self.offset(node).map(|open| before_bracket(self.text, open, &call.func_name)), message);
            }
            Expr::Unspecified
            | Expr::Call(_)
            | Expr::Ident(_)
            | Expr::List(_)
            | Expr::Literal(_)
            | Expr::Map(_)
            | Expr::Struct(_) => {}
        }
    }

    fn known(&self, name: &str) -> bool {
        name == "event" || name.starts_with('@') || self.names.contains(name) || TYPES.contains(&name)
    }

    fn fault(&mut self, node: &IdedExpr, message: String) {
        self.fault_at(self.offset(node), message);
    }

    fn fault_at(&mut self, offset: Option<usize>, message: String) {
        self.faults.push(Fault { position: offset.map(|offset| place(self.text, offset)), message });
    }

    /// Where a part begins, in characters: a field at its dot, a call at its bracket.
    fn offset(&self, node: &IdedExpr) -> Option<usize> {
        let (start, _) = self.program.source_info().offset_for(node.id)?;
        // The crate counts bytes.
        self.text.get(..usize::try_from(start).ok()?).map(|before| before.chars().count())
    }
}

/// Where a field's name begins, from its dot.
fn after_dot(text: &str, dot: usize) -> usize {
    let skipped = text.chars().skip(dot).take_while(|c| *c == '.' || c.is_whitespace());
    dot + skipped.count()
}

/// Where a function's name begins, from the bracket behind it.
fn before_bracket(text: &str, open: usize, name: &str) -> usize {
    let before: String = text.chars().take(open).collect();
    before.trim_end().strip_suffix(name).map_or(open, |rest| rest.chars().count())
}

fn is_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Line and column of a character.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before: Vec<char> = text.chars().take(offset).collect();
    let line = 1 + before.iter().filter(|c| **c == '\n').count();
    (line, 1 + before.iter().rev().take_while(|c| **c != '\n').count())
}

/// The expressions within an expression, and whether each is evaluated once (0) or once an element (1).
fn parts(expr: &Expr) -> Vec<(&IdedExpr, usize)> {
    let once = |node| (node, 0);
    match expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).map(once).collect(),
        Expr::List(list) => list.elements.iter().map(once).collect(),
        Expr::Select(select) => vec![once(&*select.operand)],
        Expr::Map(map) => map.entries.iter().flat_map(|entry| entry_parts(&entry.expr)).map(once).collect(),
        Expr::Struct(made) => made.entries.iter().flat_map(|entry| entry_parts(&entry.expr)).map(once).collect(),
        Expr::Comprehension(walk) => vec![
            (&walk.loop_step, 1),
            (&walk.loop_cond, 1),
            (&walk.result, 0),
            (&walk.accu_init, 0),
            (&walk.iter_range, 0),
        ],
    }
}

fn entry_parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}
