//! From an event to contacts (SPEC 4): a condition and a mapping in CEL, compiled once; or, without a mapping, the
//! contacts that the event itself carries. Whatever fails ends one contact, in words, with the key that failed.

mod event;
mod expression;

use std::{collections::HashMap, fmt, sync::Arc};

use cel::{Context, Env, ExecutionError, Program, Value as Cel, objects::Map as CelMap};
use serde_json::Value;

pub use event::{BadEvent, BadType, Event, check_type};
pub use expression::{LONGEST, MOST_ELEMENTS, MOST_WALKS};

use super::payload::{ContactRules, Refused, keep_timezone, parse_contact, wish, wished};
use crate::domain::{
    contact::{ChannelType, Contact, OptIn, Slugs, fold},
    definition::Mapping,
    locale::{Locale, NotALocale},
    phone::E164,
};

/// A condition and a mapping, compiled. Evaluating changes nothing in it: share it between threads.
pub struct CompiledMapping {
    env: Arc<Env>,
    when: Option<Program>,
    contact: Option<ContactPrograms>,
}

impl fmt::Debug for CompiledMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledMapping")
            .field("when", &self.when)
            .field("contact", &self.contact)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct ContactPrograms {
    to: Program,
    optin: Option<Program>,
    locale: Option<Program>,
    timezone: Option<Program>,
    /// By the slug's name as written.
    context: Vec<(String, Program)>,
}

/// What is wrong with one expression of a trigger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {}{message}", position.map(|(line, column)| format!("line {line}, column {column}: ")).unwrap_or_default())]
pub struct MappingProblem {
    /// The key within the trigger: `when`, `contact.to`, `contact.context.CaseName`.
    pub key: String,
    /// The expression as written.
    pub expression: String,
    /// Line and column within the expression, from 1, if they are known.
    pub position: Option<(usize, usize)>,
    /// What is wrong and what was expected.
    pub message: String,
}

/// What an event makes of a configuration.
#[derive(Debug, PartialEq)]
pub enum Made {
    /// The condition is false: nothing is sent, and nothing is wrong.
    NotMeant,
    /// These; at least one.
    Contacts(Vec<Result<Contact, Refused>>),
}

impl CompiledMapping {
    /// Compiles what a trigger says; every mistake is found here that can be found without an event.
    ///
    /// # Errors
    /// Everything that is wrong with any of the expressions.
    pub fn compile(when: Option<&str>, mapping: Option<&Mapping>) -> Result<Self, Vec<MappingProblem>> {
        if when.is_none() && mapping.is_none() {
            return Ok(Self { env: Arc::new(Env::stdlib()), when: None, contact: None });
        }
        // The crate's parser takes some 200 KiB of stack for each level of brackets: it gets a stack of its own.
        let compiled = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(expression::PARSER_STACK);
            let spawned = thread.spawn_scoped(scope, || Self::compile_here(when, mapping));
            spawned.ok().and_then(|thread| thread.join().ok())
        });
        compiled.unwrap_or_else(|| {
            let message = "the parser of CEL has failed; expected a simpler expression".to_owned();
            let expression = when.unwrap_or_default().to_owned();
            Err(vec![MappingProblem { key: "when".to_owned(), expression, position: None, message }])
        })
    }

    fn compile_here(when: Option<&str>, mapping: Option<&Mapping>) -> Result<Self, Vec<MappingProblem>> {
        let mut compiler = Compiler { env: Env::stdlib(), problems: Vec::new() };
        let when = when.map(|text| compiler.compile("when", text));
        let contact = mapping.map(|mapping| compiler.contact(mapping));
        if !compiler.problems.is_empty() {
            return Err(compiler.problems);
        }
        Ok(Self { env: Arc::new(compiler.env), when: when.flatten(), contact: contact.flatten() })
    }

    /// The contacts of an event, or that it is not meant.
    pub fn contacts(&self, event: &Event, rules: &ContactRules) -> Made {
        if self.when.is_none() && self.contact.is_none() {
            return Made::Contacts(carried(event, rules));
        }
        let evaluation = match self.evaluation(event) {
            Ok(evaluation) => evaluation,
            Err(refused) => return Made::Contacts(vec![Err(refused)]),
        };
        match self.when.as_ref().map(|when| evaluation.truth("when", when)) {
            Some(Ok(false)) => Made::NotMeant,
            Some(Err(refused)) => Made::Contacts(vec![Err(refused)]),
            Some(Ok(true)) | None => Made::Contacts(match &self.contact {
                Some(programs) => vec![evaluation.contact(programs, rules)],
                None => carried(event, rules),
            }),
        }
    }

    /// The slugs, folded, that the mapping fills; `None`: the events carry their contacts.
    pub fn slugs(&self) -> Option<impl Iterator<Item = String>> {
        self.contact.as_ref().map(|programs| programs.context.iter().map(|(name, _)| fold(name)))
    }

    fn evaluation(&self, event: &Event) -> Result<Evaluation<'_>, Refused> {
        let data = Value::Object(event.data.clone());
        if !is_small(&data) {
            let message = format!(
                "a list or object of the event has more than {MOST_ELEMENTS} elements; expressions are not evaluated over it"
            );
            return Err(Refused::new("event_too_large", "event.data", message));
        }
        let fields = [
            ("type", Cel::from(event.event_type.clone())),
            ("id", Cel::from(event.id.clone())),
            ("time", Cel::Timestamp(event.time.to_utc().fixed_offset())),
            ("data", to_cel(&data)),
        ];
        let mut context = Context::with_env(self.env.clone());
        context.add_variable_from_value("event", Cel::Map(CelMap::from(HashMap::from(fields))));
        Ok(Evaluation { context })
    }
}

struct Compiler {
    env: Env,
    problems: Vec<MappingProblem>,
}

impl Compiler {
    fn compile(&mut self, key: &str, text: &str) -> Option<Program> {
        match expression::compile(&self.env, text) {
            Ok(program) => Some(program),
            Err(faults) => {
                self.problems.extend(faults.into_iter().map(|fault| MappingProblem {
                    key: key.to_owned(),
                    expression: text.to_owned(),
                    position: fault.position,
                    message: fault.message,
                }));
                None
            }
        }
    }

    fn contact(&mut self, mapping: &Mapping) -> Option<ContactPrograms> {
        let to = self.compile("contact.to", &mapping.to);
        let optin = mapping.optin.as_deref().map(|text| self.compile("contact.optin", text));
        let locale = mapping.locale.as_deref().map(|text| self.compile("contact.locale", text));
        let timezone = mapping.timezone.as_deref().map(|text| self.compile("contact.timezone", text));
        let mut context: Vec<(String, Program)> = Vec::new();
        for (name, text) in &mapping.context {
            let key = format!("contact.context.{name}");
            if let Some((other, _)) = context.iter().find(|(other, _)| fold(other) == fold(name)) {
                let message = format!("is the same slug as {other} (case does not count); expected each slug once");
                self.problems.push(MappingProblem { key, expression: text.clone(), position: None, message });
                continue;
            }
            context.extend(self.compile(&key, text).map(|program| (name.clone(), program)));
        }
        let (optin, locale, timezone) = (optin.flatten(), locale.flatten(), timezone.flatten());
        Some(ContactPrograms { to: to?, optin, locale, timezone, context })
    }
}

/// One event, ready to be asked.
struct Evaluation<'a> {
    context: Context<'a, 'a>,
}

impl Evaluation<'_> {
    fn contact(&self, programs: &ContactPrograms, rules: &ContactRules) -> Result<Contact, Refused> {
        let key = "contact.to";
        let to = self.value(key, &programs.to)?;
        let Cel::String(to) = &to else {
            return Err(refused("invalid_number", key, format!("expected a number as text, found {}", to.type_of())));
        };
        let to = E164::parse(to, rules.default_country);
        let to = to.map_err(|problem| refused("invalid_number", key, problem.to_string()))?;
        let opted_in = match &programs.optin {
            Some(program) if self.truth("contact.optin", program)? => OptIn::Yes,
            Some(_) => OptIn::No,
            None => rules.attested.ok_or_else(|| {
                let message = "the mapping has none, and nobody has attested that all have agreed";
                refused("missing_value", "contact.optin", message.to_owned())
            })?,
        };
        let locale = programs.locale.as_ref().map(|program| self.locale("contact.locale", program)).transpose()?;
        let mut slugs = Slugs::default();
        for (name, program) in &programs.context {
            let key = format!("contact.context.{name}");
            let value = self.value(&key, program)?;
            if let Some(known) = wished(name).filter(|_| rules.channel_type == ChannelType::WhatsApp) {
                wish(&mut slugs, known, &value.json().unwrap_or_default(), &format!("trigger.{key}"))?;
            } else if let Some(text) = text(&key, &value)? {
                let ambiguous = |problem: crate::domain::contact::AmbiguousSlug| {
                    refused("ambiguous_slug", &key, problem.to_string())
                };
                slugs.insert(name, text).map_err(ambiguous)?;
            }
        }
        if let Some(program) = &programs.timezone {
            self.timezone("contact.timezone", program, &mut slugs)?;
        }
        Ok(Contact { to, opted_in, locale: locale.flatten(), slugs })
    }

    fn timezone(&self, key: &str, program: &Program, slugs: &mut Slugs) -> Result<(), Refused> {
        match text(key, &self.value(key, program)?)? {
            Some(text) if !text.trim().is_empty() => keep_timezone(slugs, &text, &format!("trigger.{key}")),
            _ => Ok(()),
        }
    }

    fn value(&self, key: &str, program: &Program) -> Result<Cel, Refused> {
        program.execute(&self.context).map_err(|problem| refused("mapping_failed", key, said(&problem)))
    }

    fn truth(&self, key: &str, program: &Program) -> Result<bool, Refused> {
        let value = self.value(key, program)?;
        let Cel::Bool(truth) = value else {
            return Err(refused("mapping_failed", key, format!("expected true or false, found {}", value.type_of())));
        };
        Ok(truth)
    }

    fn locale(&self, key: &str, program: &Program) -> Result<Option<Locale>, Refused> {
        match text(key, &self.value(key, program)?)? {
            Some(text) if !text.trim().is_empty() => {
                let wrong = |problem: NotALocale| refused("invalid_locale", key, problem.to_string());
                text.parse().map(Some).map_err(wrong)
            }
            _ => Ok(None),
        }
    }
}

/// The contacts that an event carries in the shape of SPEC 5.
fn carried(event: &Event, rules: &ContactRules) -> Vec<Result<Contact, Refused>> {
    let under = |place: String| move |found: Refused| Refused { field: format!("{place}{}", found.field), ..found };
    match (event.data.get("contact"), event.data.get("contacts")) {
        (Some(contact), None) => vec![parse_contact(contact, rules).map_err(under("/data/contact".to_owned()))],
        (None, Some(Value::Array(contacts))) if !contacts.is_empty() => {
            let each = contacts.iter().enumerate();
            each.map(|(place, contact)| parse_contact(contact, rules).map_err(under(format!("/data/contacts/{place}"))))
                .collect()
        }
        (Some(_), Some(_)) => {
            vec![Err(Refused::new("no_contact", "/data", "has both contact and contacts; expected one of them"))]
        }
        (None, Some(_)) => {
            vec![Err(Refused::new("no_contact", "/data/contacts", "expected a list of at least one contact"))]
        }
        (None, None) => {
            let message = "has neither contact nor contacts, and the configuration has no mapping ([trigger.contact])";
            vec![Err(Refused::new("no_contact", "/data", message))]
        }
    }
}

fn refused(code: &'static str, key: &str, message: String) -> Refused {
    Refused::new(code, format!("trigger.{key}"), message)
}

/// A slug's value, or `None` for null.
fn text(key: &str, value: &Cel) -> Result<Option<String>, Refused> {
    if let Cel::Timestamp(time) = value {
        return Ok(Some(time.to_rfc3339()));
    }
    match value.json() {
        Ok(Value::Null) => Ok(None),
        Ok(Value::String(text)) => Ok(Some(text)),
        Ok(plain @ (Value::Bool(_) | Value::Number(_))) => Ok(Some(plain.to_string())),
        Ok(Value::Array(_) | Value::Object(_)) | Err(_) => {
            let message = format!("expected a text, a number or a truth, found {}", value.type_of());
            Err(refused("mapping_failed", key, message))
        }
    }
}

/// What failed, without the values: they are people's.
fn said(problem: &ExecutionError) -> String {
    use ExecutionError as E;
    if let E::NoSuchKey(name) = problem {
        format!("the event has no \"{name}\" there; use has() if it may be missing")
    } else if let E::NoSuchOverload(overload) = problem {
        overload.to_string()
    } else if let E::UndeclaredReference(name) = problem {
        format!("there is no \"{name}\"")
    } else if let E::FunctionError { function, .. } = problem {
        format!("{function}() cannot be applied to that value")
    } else if matches!(problem, E::IndexOutOfBounds(_)) {
        "a list of the event has no element of that number".to_owned()
    } else if matches!(problem, E::DivisionByZero(_) | E::RemainderByZero(_)) {
        "division by zero".to_owned()
    } else if matches!(problem, E::Overflow(..)) {
        "a number became too large".to_owned()
    } else {
        "cannot be evaluated over this event: a value is not of the kind that the expression needs".to_owned()
    }
}

/// Whether no list and no object in it is longer than [`MOST_ELEMENTS`].
fn is_small(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.len() <= MOST_ELEMENTS && list.iter().all(is_small),
        Value::Object(object) => object.len() <= MOST_ELEMENTS && object.values().all(is_small),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// JSON as CEL sees it: a whole number is an `int` wherever it fits, so that `event.data.count + 1` means something.
fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(truth) => Cel::Bool(*truth),
        Value::String(text) => Cel::from(text.clone()),
        Value::Array(list) => Cel::List(Arc::new(list.iter().map(to_cel).collect())),
        Value::Object(object) => {
            let entries: HashMap<String, Cel> =
                object.iter().map(|(key, value)| (key.clone(), to_cel(value))).collect();
            Cel::Map(CelMap::from(entries))
        }
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Cel::Int(whole),
            (None, Some(whole)) => Cel::UInt(whole),
            (None, None) => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
    }
}

#[cfg(test)]
mod tests;
