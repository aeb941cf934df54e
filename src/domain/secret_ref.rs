//! A reference to a secret: where it is to be found. The secret itself never stands in a definition.

use std::{fmt, path::PathBuf};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

/// Where a secret is to be found; itself nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// In the environment variable of this name: `{ env = "NAME" }`.
    Env(String),
    /// In the file at this path, relative to the working directory: `{ file = "PATH" }`.
    File(PathBuf),
    /// Here, encrypted: `{ sealed = "…" }`. The API writes these; nobody does by hand.
    Sealed(Sealed),
}

/// A secret as it is kept at rest: what only herald's own seal key opens, and only where it was sealed for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Sealed(pub String);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Sealed(_) => f.write_str("the sealed secret"),
        }
    }
}

/// How a secret is written in a file.
pub const HOW: &str = r#"a secret is written as a reference, { env = "NAME" } or { file = "PATH" }"#;

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reference)
    }
}

struct Reference;

/// Every shape but a table is refused here by hand: serde's own messages repeat the value.
macro_rules! refuse {
    ($($visit:ident($type:ty))*) => {
        $(fn $visit<E: Error>(self, _: $type) -> Result<SecretRef, E> {
            Err(E::custom(format_args!("{HOW}, never as the value itself")))
        })*
    };
}

impl<'de> Visitor<'de> for Reference {
    type Value = SecretRef;

    refuse! { visit_bool(bool) visit_i64(i64) visit_i128(i128) visit_u64(u64) visit_u128(u128) visit_f64(f64) visit_str(&str) visit_bytes(&[u8]) }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HOW)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<SecretRef, A::Error> {
        Err(A::Error::custom(format_args!("{HOW}, not as a list")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
        let mut found: Option<SecretRef> = None;
        while let Some(key) = map.next_key::<String>()? {
            let reference = match key.as_str() {
                "env" => SecretRef::Env(text(&mut map, "env", is_variable_name)?),
                "file" => SecretRef::File(text(&mut map, "file", |path| !path.is_empty())?.into()),
                "sealed" => SecretRef::Sealed(Sealed(text(&mut map, "sealed", is_base64)?)),
                other => return Err(A::Error::custom(format_args!("unknown key \"{other}\": {HOW}"))),
            };
            if found.replace(reference).is_some() {
                return Err(A::Error::custom(format_args!("{HOW}: one of the two, not both")));
            }
        }
        found.ok_or_else(|| A::Error::custom(format_args!("{HOW}; neither is given")))
    }
}

fn text<'de, A: MapAccess<'de>>(map: &mut A, key: &str, fits: fn(&str) -> bool) -> Result<String, A::Error> {
    let expected = match key {
        "env" => "the name of an environment variable (letters, digits, _)",
        "sealed" => "what herald itself has sealed",
        _ => "a path",
    };
    map.next_value::<String>()
        .ok()
        .filter(|value| fits(value))
        .ok_or_else(|| A::Error::custom(format_args!("{key}: expected {expected}; the secret itself does not go here")))
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_base64(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='))
}
