//! The description as the fuzzer reads it: operations, their parameters and bodies, and what each may answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use herald::http::codes::ANSWERS;
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use crate::{
    asked::Sent,
    house::{House, Who},
};

/// What is read of `/openapi.json`.
pub struct Description {
    document: Value,
    /// In the order in which they are asked: what only looks first, what takes away last.
    pub operations: Vec<Operation>,
    /// The schemas that others are made of: they alone do not say all that there is.
    parts: BTreeSet<String>,
    /// Made once for each schema of an answer, by its text.
    validators: Mutex<BTreeMap<String, Arc<Validator>>>,
}

/// One operation.
#[derive(Clone)]
pub struct Operation {
    pub method: String,
    pub path: String,
    pub said: Value,
    /// The whole description's schemas: what a reference leads to.
    pub schemas: Value,
}

/// The order of the methods.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

impl Description {
    pub async fn read(house: &House) -> Self {
        let answer = house.stage.client.get(format!("{}/openapi.json", house.stage.base_url)).send().await.unwrap();
        let document: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let mut operations = Vec::new();
        for method in METHODS {
            // Backwards: what ends something comes before what goes on with it in the alphabet.
            for (path, item) in document["paths"].as_object().unwrap().iter().rev() {
                // Events are signed, which no schema says: `tests/doors` asks there.
                if item[method].is_object() && !path.starts_with("/hooks/") {
                    operations.push(Operation {
                        method: method.to_uppercase(),
                        path: path.clone(),
                        said: item[method].clone(),
                        schemas: document["components"]["schemas"].clone(),
                    });
                }
            }
        }
        let mut parts = BTreeSet::new();
        gather_parts(&document, &mut parts);
        Self { document, operations, parts, validators: Mutex::default() }
    }

    /// The methods that a path takes.
    pub fn methods(&self, path: &str) -> Vec<&str> {
        let mut taken: Vec<&str> =
            self.operations.iter().filter(|one| one.path == path).map(|one| one.method.as_str()).collect();
        taken.sort_unstable();
        taken
    }

    /// Whether an answer is one of those that are described.
    pub fn holds(&self, operation: &Operation, sent: &Sent) -> Result<(), String> {
        let answer = &operation.said["responses"][sent.status.to_string()];
        let answer = self.resolved(answer).ok_or_else(|| format!("{} is not described", sent.status))?;
        let content = answer["content"].as_object().cloned().unwrap_or_default();
        if content.is_empty() {
            return if sent.body.is_empty() { Ok(()) } else { Err("no body is described".to_owned()) };
        }
        let (_, said) = content
            .iter()
            .find(|(kind, _)| bare(kind) == bare(&sent.kind))
            .ok_or_else(|| format!("the type {:?} is not described", sent.kind))?;
        if !bare(&sent.kind).ends_with("json") {
            return Ok(());
        }
        let body: Value = serde_json::from_str(&sent.body).map_err(|problem| format!("is no JSON: {problem}"))?;
        let faults: Vec<String> = self
            .validator(&said["schema"])
            .iter_errors(&body)
            .map(|problem| format!("{}: {problem}", problem.instance_path()))
            .collect();
        if !faults.is_empty() {
            return Err(format!("is not of the described form: {}", faults.join("; ")));
        }
        if bare(&sent.kind) == "application/problem+json" { code_holds(&body, sent.status) } else { Ok(()) }
    }

    fn resolved<'d>(&'d self, said: &'d Value) -> Option<&'d Value> {
        match said["$ref"].as_str() {
            Some(reference) => self.document.pointer(&reference[1..]),
            None => Some(said).filter(|said| said.is_object()),
        }
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let mut known = self.validators.lock().unwrap();
        known.entry(schema.to_string()).or_insert_with(|| Arc::new(self.made(schema))).clone()
    }

    fn made(&self, schema: &Value) -> Validator {
        let mut components = self.document["components"]["schemas"].clone();
        for (name, schema) in components.as_object_mut().unwrap() {
            self.close(schema, self.parts.contains(name));
        }
        let mut schema = schema.clone();
        self.close(&mut schema, false);
        let whole = json!({ "allOf": [schema], "components": { "schemas": components } });
        jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true).build(&whole).unwrap()
    }

    /// Lets an object hold what is described and nothing beyond, unless it is only a part of one.
    fn close(&self, schema: &mut Value, part: bool) {
        if let Value::Array(schemas) = schema {
            schemas.iter_mut().for_each(|schema| self.close(schema, part));
            return;
        }
        let Value::Object(fields) = schema else { return };
        let made = fields.contains_key("allOf");
        let open = fields.contains_key("additionalProperties");
        for (name, below) in fields.iter_mut() {
            match name.as_str() {
                "allOf" => self.close(below, true),
                "oneOf" | "anyOf" => self.close(below, part),
                "items" => self.close(below, false),
                "properties" => {
                    below.as_object_mut().unwrap().values_mut().for_each(|field| self.close(field, false));
                }
                _ => {}
            }
        }
        if !part && !open && (made || fields.contains_key("properties")) {
            fields.insert("unevaluatedProperties".to_owned(), json!(false));
        }
    }
}

/// The names of the schemas that stand in an `allOf`.
fn gather_parts(value: &Value, parts: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for one in fields.get("allOf").and_then(Value::as_array).into_iter().flatten() {
                parts
                    .extend(one["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).map(str::to_owned));
            }
            fields.values().for_each(|value| gather_parts(value, parts));
        }
        Value::Array(values) => values.iter().for_each(|value| gather_parts(value, parts)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The type without its parameters.
fn bare(kind: &str) -> &str {
    kind.split(';').next().unwrap_or(kind).trim()
}

/// The code is one of the table, and comes with this status.
fn code_holds(body: &Value, status: u16) -> Result<(), String> {
    let name = body["code"].as_str().unwrap_or_default();
    let code = ANSWERS.iter().find(|code| code.name == name);
    match code {
        Some(code) if code.statuses.contains(&status) && body["status"] == status => Ok(()),
        _ => Err(format!("http/codes.rs does not say that \"{name}\" comes with {status}")),
    }
}

impl Operation {
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The scope that it needs, if it needs a key.
    pub fn scope(&self) -> Option<&str> {
        self.said["security"][0]["key"][0].as_str()
    }

    /// The key that just may.
    pub fn least_key(&self) -> Who {
        match self.scope() {
            None => Who::Nobody,
            Some("read") => Who::Reads,
            Some("send") => Who::Sends,
            Some(_) => Who::Admin,
        }
    }

    pub fn parameters(&self) -> impl Iterator<Item = &Value> {
        self.said["parameters"].as_array().into_iter().flatten()
    }

    /// What a parameter is called in answers: one of a path stands in the list that the path leads into, like `accounts.name`.
    pub fn known_as(&self, parameter: &Value) -> String {
        let name = parameter["name"].as_str().unwrap();
        let before = self.path.split(&format!("/{{{name}}}")).next().unwrap();
        let list = before.rsplit(['/', '-']).next().unwrap();
        if parameter["in"] == "path" && name != "number" { format!("{list}.{name}") } else { name.to_owned() }
    }

    /// The first type of body that it takes, with its schema.
    pub fn body(&self) -> Option<(&str, &Value)> {
        let (kind, content) = self.said["requestBody"]["content"].as_object()?.iter().next()?;
        Some((kind, &content["schema"]))
    }

    /// What a schema is, where it may be a reference.
    pub fn resolved<'o>(&'o self, schema: &'o Value) -> &'o Value {
        let name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
        name.map_or(schema, |name| &self.schemas[name])
    }
}
