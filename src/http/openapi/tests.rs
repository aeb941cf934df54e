//! The description against the routes themselves, and against what a reader of it needs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::TAGS;

fn document() -> Value {
    json!(crate::http::routes().1)
}

/// Every operation: method, path, what is said of it.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((method.clone(), path.clone(), operation.clone()));
        }
    }
    all
}

/// The router's own routes, read out of what it says of itself: each path with its methods.
fn routes() -> BTreeMap<String, BTreeSet<String>> {
    let text = format!("{:?}", crate::http::routes().0);
    let named = text.split("Node { paths: {").nth(1).unwrap().split('}').next().unwrap().to_owned();
    // A path with a parameter has braces of its own: the list is read to the end of its last quote instead.
    let whole = &text[text.find(&named).unwrap()..];
    let mut routes = BTreeMap::new();
    for entry in whole.split("RouteId(").skip(1) {
        let Some((id, rest)) = entry.split_once("): \"") else { break };
        let path = rest.split('"').next().unwrap().to_owned();
        let mark = format!("RouteId({id}): MethodRouter(MethodRouter {{ ");
        let handlers = text.split(&mark).nth(1).map(|rest| rest.split("fallback").next().unwrap()).unwrap_or_default();
        let methods = ["get", "put", "post", "delete", "patch"];
        let taken = methods.into_iter().filter(|method| !handlers.contains(&format!("{method}: None")));
        routes.insert(path, taken.map(str::to_owned).collect());
    }
    routes
}

#[test]
fn every_route_is_described() {
    let described: BTreeSet<(String, String)> =
        operations(&document()).into_iter().map(|(method, path, _)| (path, method)).collect();
    let routed: BTreeSet<(String, String)> = routes()
        .into_iter()
        .filter(|(path, _)| path.starts_with("/v1/") || path.starts_with("/hooks/"))
        .flat_map(|(path, methods)| methods.into_iter().map(move |method| (path.clone(), method)))
        .collect();
    assert!(routed.len() >= 20, "the routes cannot be read any more: {routed:?}");
    let missing: Vec<_> = routed.difference(&described).collect();
    assert!(missing.is_empty(), "these routes have no `#[utoipa::path]`, or were not merged: {missing:?}");
    let invented: Vec<_> = described.difference(&routed).filter(|(path, _)| path.starts_with("/v1/")).collect();
    assert!(invented.is_empty(), "these are described and lead nowhere: {invented:?}");
}

#[test]
fn every_operation_says_what_its_reader_needs() {
    let mut names = BTreeSet::new();
    let mut faults = Vec::new();
    for (method, path, operation) in operations(&document()) {
        let what = format!("{} {path}", method.to_uppercase());
        let name = operation["operationId"].as_str().unwrap_or_default().to_owned();
        let mut found = lacks(&path, &operation);
        if !names.insert(name.clone()) {
            found.push(format!("another operation is called {name}; rename one of the handlers"));
        }
        faults.extend(found.into_iter().map(|fault| format!("{what}: {fault}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What an operation's description lacks.
fn lacks(path: &str, operation: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |good: bool, fault: String| faults.extend((!good).then_some(fault));
    let tags: Vec<&str> = operation["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let known = tags.len() == 1 && TAGS.iter().any(|(name, _)| *name == tags[0]);
    check(known, format!("{tags:?} is not one of TAGS in http/openapi.rs"));
    let summary = operation["summary"].as_str().unwrap_or_default();
    check(
        !summary.is_empty() && !summary.ends_with('.'),
        format!("a line says what it does, without a stop: {summary:?}"),
    );
    let answers = operation["responses"].as_object().unwrap();
    check(answers.keys().any(|status| status.starts_with('2')), "no answer is good".to_owned());
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    for part in path.split('{').skip(1).filter_map(|part| part.split('}').next()) {
        let described = parameters.iter().any(|one| one["in"] == "path" && one["name"] == part);
        check(described, format!("nothing says what {{{part}}} is"));
    }
    for one in &parameters {
        let said = one["description"].as_str().is_some_and(|said| !said.is_empty()) && one["schema"].is_object();
        check(said, format!("what is {}?", one["name"]));
    }
    if path.starts_with("/v1/") {
        let scope = operation["security"][0]["key"][0].as_str();
        let scopes = [Some("read"), Some("send"), Some("admin")];
        check(scopes.contains(&scope), "say which scope it needs: security((\"key\" = [\"read\"]))".to_owned());
        for status in ["400", "401", "403", "429", "500", "503"] {
            check(answers.contains_key(status), format!("{status} is not said"));
        }
    }
    faults
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let text = document.to_string();
    for rest in text.split("\"$ref\":\"#").skip(1) {
        let pointer = rest.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer} is not there");
    }
    assert!(!text.contains("\"nullable\""), "`nullable` is not of OpenAPI 3.1");
    assert_eq!(document["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
    assert_eq!(document["info"]["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    // Every schema is one of JSON Schema's 2020-12, which OpenAPI 3.1 takes over.
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|problem| panic!("{name}: {problem}"));
    }
}

/// Of two types of one name only one would be described.
#[test]
fn no_two_types_have_one_name() {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for (path, text) in crate::http::codes::tests::sources("src/http") {
        for rest in text.split("ToSchema)]").skip(1) {
            let Some(item) = rest.lines().find(|line| line.contains("struct ") || line.contains("enum ")) else {
                continue;
            };
            let declared = item.split_once("struct ").or(item.split_once("enum ")).unwrap().1;
            let attributes = rest.split(item).next().unwrap();
            let renamed = attributes.split("schema(as = ").nth(1);
            let name: String =
                renamed.unwrap_or(declared).chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if let Some(other) = found.insert(name.clone(), path.clone()) {
                panic!("{path} and {other} both describe a {name}: give one of them another with #[schema(as = …)]");
            }
        }
    }
    assert!(found.len() > 30, "only {} types were found", found.len());
}
