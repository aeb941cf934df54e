//! Values made of schemas: good ones, and odd ones.

use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Map, Value, json};

use crate::{described::Operation, house::Found};

/// What is to be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the schema allows.
    Good,
    /// What it may not.
    Odd,
}

/// Texts that break what is not careful.
pub const ODD: &[&str] = &[
    "",
    " ",
    "\0",
    "a\0b",
    "null",
    "-1",
    "0",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "99999999999999999999999999",
    "1e400",
    "NaN",
    "%",
    "%00",
    "%ff",
    "..%2f..",
    "a/b",
    "' OR 1=1 --",
    "\"; DROP",
    "<script>alert(1)</script>",
    "{{Slug}}",
    "ß\u{301}\u{202e}\u{feff}",
    "\u{1f469}\u{200d}\u{1f4bb}",
    "\u{ffff}\u{fffe}",
    "٠١٢٣٤٥٦٧٨٩",
    "+٤٩١٥١٥٥٥٠٠٠٠١",
    "run_00000000000000000000000000",
    "run_ZZZZZZZZZZZZZZZZZZZZZZZZZZ",
    "msg_00000000000000000000000000_9223372036854775807",
    "cnv_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
    "9223372036854775807.cnv_00000000000000000000000000",
    "9223372036854775807.cns_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
    "-9223372036854775808.rpl_00000000000000000000000000",
    "9223372036854775807.msg_00000000000000000000000000_9223372036854775807",
    "sms.18446744073709551615",
    "whatsapp.999999999999999",
    "+0",
    "+999999999999999999999",
    "1969-12-31T23:59:59Z",
    "9999-12-31T23:59:59.999Z",
    "\r\n",
    "\u{85}",
];

/// The longest text in a path, a query or a header, in characters.
const LONGEST: usize = 3_000;

/// A text for a schema that asks for one.
pub fn text(operation: &Operation, name: &str, schema: &Value, kind: Kind, found: &Found, dice: &mut StdRng) -> String {
    let mut drawn = value(operation, name, schema, kind, found, dice);
    while kind == Kind::Good && drawn.is_null() {
        drawn = value(operation, name, schema, kind, found, dice);
    }
    let text = match drawn {
        Value::String(text) => text,
        other => other.to_string(),
    };
    // What is longer does not go into an address.
    text.chars().take(LONGEST).collect()
}

/// A value for a schema.
pub fn value(operation: &Operation, name: &str, schema: &Value, kind: Kind, found: &Found, dice: &mut StdRng) -> Value {
    let schema = operation.resolved(schema);
    if kind == Kind::Odd && dice.random_bool(0.4) {
        return odd(dice);
    }
    if let Some(example) = schema.get("example").filter(|_| dice.random_bool(0.2)) {
        return example.clone();
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.choose(dice).cloned().unwrap_or_default();
    }
    if let Some(forms) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
        let form = forms.choose(dice).cloned().unwrap_or_default();
        return value(operation, name, &form, kind, found, dice);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = Map::new();
        for part in parts {
            if let Value::Object(fields) = value(operation, name, part, Kind::Good, found, dice) {
                whole.extend(fields);
            }
        }
        return whole.into();
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    };
    match types.choose(dice).copied() {
        Some("string") => string(name, schema, kind, found, dice),
        Some("integer" | "number") => number(schema, dice),
        Some("boolean") => json!(dice.random_bool(0.5)),
        Some("null") => Value::Null,
        Some("array") => {
            let most = if kind == Kind::Odd { 12 } else { 2 };
            let length = dice.random_range(0..=most);
            (0..length).map(|_| value(operation, name, &schema["items"], kind, found, dice)).collect()
        }
        _ => object(operation, schema, kind, found, dice),
    }
}

fn object(operation: &Operation, schema: &Value, kind: Kind, found: &Found, dice: &mut StdRng) -> Value {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut fields = Map::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let wanted = if required.contains(&name.as_str()) { 0.97 } else { 0.5 };
        let wanted = if kind == Kind::Good && wanted > 0.9 { 1.0 } else { wanted };
        if dice.random_bool(wanted) {
            fields.insert(name.clone(), value(operation, name, field, kind, found, dice));
        }
    }
    if fields.is_empty() && schema.get("properties").is_none() {
        // Anything goes: what the example's templates ask for is as good as any.
        let slugs = ["CustomerName", "CaseName", "OrderNumber", "DeliveryDate"];
        fields.extend(slugs.map(|name| (name.to_owned(), json!("Ana"))));
    }
    if kind == Kind::Odd && dice.random_bool(0.15) {
        fields.insert(ODD.choose(dice).unwrap().to_string(), odd(dice));
    }
    fields.into()
}

/// A text: one that was found under this name or in this form, or an invented one.
fn string(name: &str, schema: &Value, kind: Kind, found: &Found, dice: &mut StdRng) -> Value {
    let known = found.like(name, schema["pattern"].as_str());
    if let Some(known) = known.choose(dice).filter(|_| dice.random_bool(0.9)) {
        return json!(known);
    }
    if kind == Kind::Odd {
        return json!(ODD.choose(dice).unwrap());
    }
    let words = schema["pattern"].as_str().and_then(|form| form.strip_prefix("^(")?.strip_suffix(")$"));
    if let Some(words) = words {
        return json!(words.split('|').collect::<Vec<_>>().choose(dice).unwrap());
    }
    let least = usize::try_from(schema["minLength"].as_u64().unwrap_or(1)).unwrap();
    let most = usize::try_from(schema["maxLength"].as_u64().unwrap_or(20)).unwrap().min(2_000);
    let length = dice.random_range(least..=most.max(least));
    let letters: String = (0..length).map(|_| *b"abcdefghij klmn-opq_".choose(dice).unwrap() as char).collect();
    json!(letters)
}

fn number(schema: &Value, dice: &mut StdRng) -> Value {
    let least = schema["minimum"].as_i64().unwrap_or(0);
    let most = schema["maximum"].as_i64().unwrap_or(i64::from(i32::MAX)).max(least);
    let near = [least, most, least.saturating_add(1).min(most), dice.random_range(least..=most)];
    json!(near.choose(dice).unwrap())
}

/// Anything.
fn odd(dice: &mut StdRng) -> Value {
    let other = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.5),
        json!(1e300),
        json!([]),
        json!({}),
        json!([[[{ "a": [null] }]]]),
        json!("x".repeat(70_000)),
    ];
    if dice.random_bool(0.6) { json!(ODD.choose(dice).unwrap()) } else { other.choose(dice).unwrap().clone() }
}
