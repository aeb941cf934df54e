//! Secrets in definitions that come by API: given as values and sealed, kept if they are left out, never shown.
//!
//! Two rules keep what is stored from whoever may write definitions: a reference to the operator's environment or files comes from
//! files alone, and a stored secret is never sent to another address than it was given for.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::change::FieldProblem;
use crate::{
    domain::{account::ProviderKind, id::OrgId},
    secret::{NotSealed, Place, Secret, SecretRef, Secrets},
    store::definitions::Kind,
};

type Object = Map<String, Value>;

/// Whether a definition is anything without a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Must,
    May,
}

/// The secret fields of a definition.
fn fields(kind: Kind, body: &Object) -> &'static [(&'static str, Need)] {
    let provider = body.get("provider").and_then(Value::as_str);
    match kind {
        Kind::Account => match ProviderKind::ALL.into_iter().find(|known| Some(known.as_str()) == provider) {
            Some(ProviderKind::Twilio) => &[("auth_token", Need::Must), ("api_secret", Need::May)],
            Some(ProviderKind::TeleSign) => &[("api_key", Need::Must)],
            Some(ProviderKind::Acs) => {
                &[("connection_string", Need::May), ("access_key", Need::May), ("callback_secret", Need::May)]
            }
            None => &[],
        },
        Kind::Hook | Kind::Endpoint => &[("secret", Need::Must)],
        Kind::Channel | Kind::Template | Kind::Configuration | Kind::List => &[],
    }
}

/// Where a definition's secrets, or what they sign, are sent.
fn sent_to(kind: Kind, body: &Object) -> Vec<Option<&str>> {
    let keys: &[&str] = match kind {
        Kind::Account => &["provider", "base_url", "endpoint"],
        Kind::Endpoint => &["url"],
        Kind::Channel | Kind::Template | Kind::Configuration | Kind::Hook | Kind::List => &[],
    };
    keys.iter().map(|key| body.get(*key).and_then(Value::as_str)).collect()
}

const HOW: &str = "expected {\"value\": \"…\"}";

/// What the definition that is written stands in.
pub(super) struct Desk<'a> {
    pub secrets: &'a Secrets,
    pub org: &'a OrgId,
    pub kind: Kind,
    pub name: &'a str,
    /// What is stored of the same name.
    pub stored: Option<&'a Object>,
}

/// What came of the secrets of a body.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub problems: Vec<FieldProblem>,
    /// Whether a value was given: it is worth trying.
    pub given: bool,
}

impl Desk<'_> {
    /// Puts what is stored of each secret in its place, sealed. What is refused is said, and something harmless stands there, so
    /// that the rest can be judged.
    pub fn take(&self, body: &mut Object) -> Result<Taken, NotSealed> {
        let mut taken = Taken::default();
        let moved = self.stored.is_some_and(|stored| sent_to(self.kind, stored) != sent_to(self.kind, body));
        for (field, need) in fields(self.kind, body) {
            let stored = self.stored.and_then(|stored| stored.get(*field)).filter(|stored| is_reference(stored));
            let reference = match asked(body.get(*field), stored) {
                Asked::Gone if *need == Need::May => None,
                Asked::Keep if stored.is_none() && *need == Need::May => None,
                Asked::Keep if stored.is_some() && !moved => stored.cloned(),
                Asked::Value(value) => {
                    taken.given = true;
                    self.value(field, value, stored.filter(|_| !moved), &mut taken.problems)?
                }
                refused @ (Asked::Keep | Asked::Gone | Asked::Reference | Asked::Nonsense) => {
                    let detail = match refused {
                        Asked::Gone | Asked::Keep if stored.is_none() => format!("missing; {HOW}"),
                        Asked::Gone => format!("is needed; {HOW}, or none of this key to keep the stored one"),
                        Asked::Keep | Asked::Value(_) => {
                            format!(
                                "has to be given anew, as the address has changed: a stored secret is sent to none but its own; {HOW}"
                            )
                        }
                        Asked::Reference => format!(
                            "a reference to the server's environment or files is written in files, for `herald apply`; {HOW}"
                        ),
                        Asked::Nonsense => {
                            format!("is no secret; {HOW}, or none of this key to keep the one that is stored")
                        }
                    };
                    taken.problems.push(FieldProblem::new(&format!("/{field}"), detail));
                    Some(json!({ "sealed": "AAAA" }))
                }
            };
            match reference {
                Some(reference) => drop(body.insert((*field).to_owned(), reference)),
                None => drop(body.remove(*field)),
            }
        }
        Ok(taken)
    }

    fn value(
        &self,
        field: &'static str,
        value: &str,
        stored: Option<&Value>,
        problems: &mut Vec<FieldProblem>,
    ) -> Result<Option<Value>, NotSealed> {
        if let Some(detail) = unfit(self.kind, value) {
            problems.push(FieldProblem::new(&format!("/{field}/value"), detail));
        }
        let place = Place { org: self.org, kind: self.kind.as_str(), name: self.name, field };
        // The same again is no change.
        let same = stored.filter(|stored| stored.get("sealed").is_some()).filter(|stored| {
            let reference: Option<SecretRef> = serde_json::from_value((*stored).clone()).ok();
            reference.and_then(|it| self.secrets.of(place, &it).ok()).is_some_and(|known| known.expose() == value)
        });
        match same {
            Some(same) => Ok(Some(same.clone())),
            None => Ok(Some(json!(self.secrets.seal(place, &Secret::new(value))?))),
        }
    }
}

/// What a body asks for in the place of a secret.
enum Asked<'a> {
    /// What is stored is to stay.
    Keep,
    /// There is to be none.
    Gone,
    /// This is it.
    Value(&'a str),
    /// It lies somewhere on the server.
    Reference,
    /// None of these.
    Nonsense,
}

fn asked<'a>(given: Option<&'a Value>, stored: Option<&Value>) -> Asked<'a> {
    let object = match given {
        None => return Asked::Keep,
        Some(Value::Null) => return Asked::Gone,
        Some(Value::Object(object)) => object,
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => return Asked::Nonsense,
    };
    let only = |known: &[&str]| object.keys().all(|key| known.contains(&key.as_str()));
    match object.get("value") {
        Some(Value::String(value)) if object.len() == 1 && !value.trim().is_empty() => Asked::Value(value),
        Some(_) => Asked::Nonsense,
        None if object.get("set") == Some(&Value::Bool(true)) && only(&["set", "from"]) => Asked::Keep,
        None if given == stored && !object.contains_key("sealed") => Asked::Keep,
        None if object.contains_key("env") || object.contains_key("file") => Asked::Reference,
        None => Asked::Nonsense,
    }
}

fn is_reference(value: &Value) -> bool {
    serde_json::from_value::<SecretRef>(value.clone()).is_ok()
}

/// What is wrong with a secret that can be judged without using it.
fn unfit(kind: Kind, value: &str) -> Option<&'static str> {
    let signs = matches!(kind, Kind::Hook | Kind::Endpoint);
    let bytes = STANDARD.decode(value.strip_prefix("whsec_").unwrap_or(value)).map(|bytes| bytes.len());
    (signs && !bytes.is_ok_and(|length| (24..=64).contains(&length)))
        .then_some("is no secret of a webhook; expected whsec_ and the base64 of 24 to 64 bytes")
}

/// A stored definition as it may be shown: of each secret, that there is one and where it comes from.
pub fn without_secrets(kind: Kind, body: &str) -> Object {
    let mut shown: Object = serde_json::from_str(body).unwrap_or_default();
    for (field, _) in fields(kind, &shown.clone()) {
        let Some(value) = shown.get_mut(*field) else { continue };
        let from = match serde_json::from_value::<SecretRef>(value.clone()) {
            Ok(SecretRef::Env(name)) => format!("env {name}"),
            Ok(SecretRef::File(_)) => "file".to_owned(),
            Ok(SecretRef::Sealed(_)) => "sealed".to_owned(),
            Err(_) => "unknown".to_owned(),
        };
        *value = json!({ "set": true, "from": from });
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    fn object(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_secret_is_sealed_kept_or_refused_and_never_sent_elsewhere() {
        let secrets = Secrets::from_environment().with_override("KEY", KEY).sealed_with(SecretRef::Env("KEY".into()));
        let org: OrgId = "acme".parse().unwrap();
        let env = json!({ "env": "TOKEN" });
        let stored = object(
            json!({ "provider": "twilio", "account_sid": "AC", "auth_token": env, "base_url": "https://a.example" }),
        );
        let taken = |name: &'static str, stored: Option<&Object>, token: Option<Value>, base_url: &str| {
            let mut body = object(json!({ "provider": "twilio", "account_sid": "AC", "base_url": base_url }));
            token.map(|token| body.insert("auth_token".into(), token));
            let desk = Desk { secrets: &secrets, org: &org, kind: Kind::Account, name, stored };
            let taken = desk.take(&mut body).unwrap();
            (
                body["auth_token"].clone(),
                taken.problems.into_iter().map(|it| format!("{} {}", it.pointer, it.detail)).collect::<Vec<_>>(),
            )
        };
        let home = "https://a.example";
        for token in [None, Some(json!({ "set": true, "from": "env TOKEN" })), Some(env.clone())] {
            assert_eq!(taken("main", Some(&stored), token.clone(), home), (env.clone(), vec![]), "{token:?}");
            let (_, refused) = taken("main", Some(&stored), token.clone(), "https://b.example");
            assert!(refused[0].starts_with("/auth_token has to be given anew"), "{token:?}: {refused:?}");
        }
        let (sealed, none) = taken("main", Some(&stored), Some(json!({ "value": "hunter2" })), "https://b.example");
        assert!(none.is_empty() && sealed["sealed"].is_string() && !sealed.to_string().contains("hunter2"));
        let mut kept = stored.clone();
        kept.insert("auth_token".into(), sealed.clone());
        assert_eq!(taken("main", Some(&kept), Some(json!({ "value": "hunter2" })), home).0, sealed, "the same again");
        assert_ne!(taken("main", Some(&kept), Some(json!({ "value": "hunter3" })), home).0, sealed);

        for (stored, token, expected) in [
            (None, None, "missing"),
            (None, Some(Value::Null), "missing"),
            (Some(&stored), Some(Value::Null), "is needed"),
            (None, Some(env.clone()), "a reference to the server's environment"),
            (Some(&stored), Some(json!({ "env": "PATH" })), "a reference to the server's environment"),
            (Some(&stored), Some(json!({ "file": "/etc/hostname" })), "a reference to the server's environment"),
            (Some(&kept), Some(sealed.clone()), "is no secret"),
            (Some(&stored), Some(json!("hunter2")), "is no secret"),
            (Some(&stored), Some(json!({ "value": " " })), "is no secret"),
            (Some(&stored), Some(json!({ "value": "hunter2", "env": "T" })), "is no secret"),
        ] {
            let (_, refused) = taken("main", stored, token.clone(), home);
            assert!(refused.len() == 1 && refused[0].contains(expected), "{token:?}: {refused:?}");
            assert!(!refused[0].contains("hunter2") && refused[0].contains("{\"value\""), "{refused:?}");
        }
        let body = serde_json::to_string(&kept).unwrap();
        assert_eq!(without_secrets(Kind::Account, &body)["auth_token"], json!({ "set": true, "from": "sealed" }));
        let body = serde_json::to_string(&stored).unwrap();
        assert_eq!(without_secrets(Kind::Account, &body)["auth_token"], json!({ "set": true, "from": "env TOKEN" }));
    }

    #[test]
    fn a_webhooks_secret_is_one() {
        for (value, good) in [("whsec_hunter2", false), ("", false), (KEY, true), (&format!("whsec_{KEY}"), true)] {
            assert_eq!(unfit(Kind::Hook, value).is_none(), good, "{value}");
            assert_eq!(unfit(Kind::Account, value), None);
        }
    }
}
