//! A definition as the API is given it, as the files that it would be; and problems of those files as places in what was given.

use serde_json::{Map, Value};

use super::{
    change::FieldProblem,
    files,
    made::{self, Made},
    problem::Problem,
    stored::folder,
};
use crate::{store::definitions::Kind, template::MANIFEST};

/// The key of a template's texts, which are files of their own.
const TEXTS: &str = "texts";

/// Puts a definition among files. What cannot be written in one is said.
pub(super) fn to_files(
    made: &mut Made,
    kind: Kind,
    name: &str,
    body: &Map<String, Value>,
) -> Result<(), Vec<FieldProblem>> {
    let mut body = body.clone();
    let mut problems = Vec::new();
    let mut path = made::path(kind, name);
    if kind == Kind::Template {
        let folder = format!("{}/{name}", folder(kind));
        path = format!("{folder}/{MANIFEST}");
        texts(made, &folder, body.remove(TEXTS), &mut problems);
    }
    match table("", &body) {
        Ok(table) => match toml::to_string(&table) {
            Ok(text) => made.add(path, text),
            Err(problem) => problems.push(FieldProblem::new("", problem.to_string())),
        },
        Err(problem) => problems.push(problem),
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn texts(made: &mut Made, folder: &str, texts: Option<Value>, problems: &mut Vec<FieldProblem>) {
    let texts = match texts {
        Some(Value::Object(texts)) => texts,
        None | Some(Value::Null) => Map::new(),
        Some(_) => {
            let detail = "is no object; expected a text for each locale, like {\"en\": \"Hello {{CustomerName}}\"}";
            return problems.push(FieldProblem::new("/texts", detail));
        }
    };
    for (locale, text) in texts {
        match text {
            // The one line end at the end of a file is its editor's.
            Value::String(text) if !locale.contains('/') => {
                made.add(format!("{folder}/{locale}.hbs"), format!("{text}\n"))
            }
            Value::String(_) => problems.push(FieldProblem::new(&below("/texts", &locale), "is no locale")),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                problems.push(FieldProblem::new(&below("/texts", &locale), "is no text; expected one"));
            }
        }
    }
}

/// JSON as TOML, which knows no null: what is null is not there.
fn table(pointer: &str, object: &Map<String, Value>) -> Result<toml::Table, FieldProblem> {
    let there = object.iter().filter(|(_, value)| !value.is_null());
    there.map(|(key, value)| Ok((key.clone(), toml_value(&below(pointer, key), value)?))).collect()
}

fn toml_value(pointer: &str, value: &Value) -> Result<toml::Value, FieldProblem> {
    Ok(match value {
        Value::Null => return Err(FieldProblem::new(pointer, "is null; expected a value")),
        Value::Bool(value) => toml::Value::Boolean(*value),
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => toml::Value::Integer(whole),
            (None, Some(real)) if number.is_f64() => toml::Value::Float(real),
            (None, _) => return Err(FieldProblem::new(pointer, "is too large a number")),
        },
        Value::Array(values) => {
            let read = values.iter().enumerate().map(|(at, value)| toml_value(&format!("{pointer}/{at}"), value));
            toml::Value::Array(read.collect::<Result<_, _>>()?)
        }
        Value::Object(object) => toml::Value::Table(table(pointer, object)?),
    })
}

fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Where in the body of the definition that is written a problem is; `None` if it is another's.
pub(super) fn in_body(kind: Kind, name: &str, body: &Map<String, Value>, problem: &Problem) -> Option<FieldProblem> {
    let manifest = format!("{}/{name}/{MANIFEST}", folder(kind));
    if problem.file == made::path(kind, name) || kind == Kind::Template && problem.file == manifest {
        let pointer = pointer(body, problem.key.as_deref().unwrap_or_default());
        return Some(FieldProblem::new(&pointer, in_words(&problem.message)));
    }
    let text = problem.file.strip_prefix(&format!("{}/{name}/", folder(kind))).filter(|_| kind == Kind::Template)?;
    let locale = text.strip_suffix(".hbs").unwrap_or(text);
    // A text is told by the locale that it was read as; it was written as whoever wrote it pleased.
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let texts = body.get(TEXTS).and_then(Value::as_object);
    let written = texts.and_then(|texts| texts.keys().find(|key| plain(key) == plain(locale)));
    let line = problem.line.map(|line| format!("line {line}, ")).unwrap_or_default();
    let pointer = below("/texts", written.map_or(locale, String::as_str));
    Some(FieldProblem::new(&pointer, format!("{line}{}", in_words(&problem.message))))
}

/// Puts the organization itself among files.
pub(super) fn organization_to_files(made: &mut Made, body: &Map<String, Value>) -> Result<(), Vec<FieldProblem>> {
    let table = table("", body).map_err(|problem| vec![problem])?;
    let text = toml::to_string(&table).map_err(|problem| vec![FieldProblem::new("", problem.to_string())])?;
    made.add(files::ORGANIZATION, text);
    Ok(())
}

/// Where in the organization's body a problem is; `None` if it is another's.
pub(super) fn in_organization(body: &Map<String, Value>, problem: &Problem) -> Option<FieldProblem> {
    let key = problem.key.as_deref().unwrap_or_default();
    (problem.file == files::ORGANIZATION).then(|| FieldProblem::new(&pointer(body, key), problem.message.clone()))
}

/// What is a file on disk is a text here.
fn in_words(message: &str) -> String {
    match message.split_once("expected a file ") {
        Some((before, file)) if file.ends_with(".hbs") => {
            format!("{before}expected one under texts, \"{}\"", file.trim_end_matches(".hbs"))
        }
        _ => message.to_owned(),
    }
}

/// A key of a file as a JSON pointer. A name may have dots in it: the longest that is there is taken.
fn pointer(body: &Map<String, Value>, key: &str) -> String {
    let parts: Vec<&str> = if key.is_empty() { Vec::new() } else { key.split('.').collect() };
    let mut place = Some(body);
    let (mut pointer, mut at) = (String::new(), 0);
    while at < parts.len() {
        let lengths = (1..=parts.len() - at).rev();
        let known = lengths
            .map(|length| (length, parts[at..at + length].join(".")))
            .find(|(_, name)| place.is_some_and(|place| place.contains_key(name)));
        let (length, name) = known.unwrap_or_else(|| (1, parts[at].to_owned()));
        pointer = below(&pointer, &name);
        place = place.and_then(|place| place.get(&name)).and_then(Value::as_object);
        at += length;
    }
    pointer
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_a_place_in_the_body() {
        let body = json!({ "trigger": { "contact": { "context": { "a.b": "x", "c/d": "y" } } }, "name": "n" });
        let Value::Object(body) = body else { unreachable!() };
        for (key, expected) in [
            ("", ""),
            ("name", "/name"),
            ("trigger.when", "/trigger/when"),
            ("trigger.contact.context.a.b", "/trigger/contact/context/a.b"),
            ("trigger.contact.context.c/d", "/trigger/contact/context/c~1d"),
            ("audience.list", "/audience/list"),
        ] {
            assert_eq!(pointer(&body, key), expected, "{key}");
        }
    }

    #[test]
    fn what_no_file_can_say_is_told_with_its_place() {
        let mut made = Made::default();
        let body = json!({ "a": { "b": [1, null] } });
        let Value::Object(body) = body else { unreachable!() };
        let refused = to_files(&mut made, Kind::Channel, "x", &body).unwrap_err();
        assert_eq!(refused, [FieldProblem::new("/a/b/1", "is null; expected a value")]);
        let body = json!({ "a": u64::MAX, "c": null });
        let Value::Object(body) = body else { unreachable!() };
        let refused = to_files(&mut made, Kind::Channel, "x", &body).unwrap_err();
        assert_eq!(refused, [FieldProblem::new("/a", "is too large a number")]);
    }
}
