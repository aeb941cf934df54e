//! What a contact may ask of a WhatsApp message (SPEC 5), and what a variable of approved content may hold. Whether a text or
//! approved content is sent in the end is the engine's decision.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::contact::{OptIn, Slugs};

/// Whether the approved content is to be sent: a name of the payload, a column, and a slug.
pub const SEND_AS_TEMPLATE: &str = "sendastemplate";
/// Values for single variables of the approved content: likewise.
pub const TEMPLATE_PARAMETERS: &str = "templateparameters";

/// The longest run of blanks that WhatsApp takes in a variable.
const MOST_BLANKS: usize = 4;

/// How a contact wants to be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendAs {
    /// With the approved content, whether or not free text would be allowed.
    Template,
    /// With the text, if it is allowed.
    Text,
}

impl SendAs {
    /// Reads what JSON, a file or a slug says; `None` if it says neither yes nor no.
    pub fn parse(text: &str) -> Option<Self> {
        OptIn::parse(text).map(|said| match said {
            OptIn::Yes => Self::Template,
            OptIn::No => Self::Text,
        })
    }

    /// As it stands among the slugs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Template => "true",
            Self::Text => "false",
        }
    }
}

/// What a contact asks of its WhatsApp message; nothing, most often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// `sendastemplate`, if it was given.
    pub send_as: Option<SendAs>,
    /// `templateparameters`: values of single variables, by name.
    pub parameters: BTreeMap<String, String>,
}

/// A wish that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadWish {
    /// The variable that is meant, if it is one.
    pub variable: Option<String>,
    /// What is wrong and what was expected; never a value.
    pub message: String,
}

impl BadWish {
    fn new(variable: Option<&str>, message: impl Into<String>) -> Self {
        Self { variable: variable.map(str::to_owned), message: message.into() }
    }
}

impl Wishes {
    /// What stands among a contact's slugs.
    ///
    /// # Errors
    /// If something stands there that could not have come in through the door.
    pub fn of(slugs: &Slugs) -> Result<Self, BadWish> {
        let send_as = slugs.get(SEND_AS_TEMPLATE).filter(|text| !text.trim().is_empty());
        let send_as = send_as.map(|text| {
            let wrong = || BadWish::new(None, format!("{SEND_AS_TEMPLATE} {EXPECTED_SWITCH}"));
            SendAs::parse(text).ok_or_else(wrong)
        });
        let parameters = slugs.get(TEMPLATE_PARAMETERS).map(parse_parameters).transpose()?.unwrap_or_default();
        Ok(Self { send_as: send_as.transpose()?, parameters })
    }
}

/// What is said of a `sendastemplate` that is neither.
pub const EXPECTED_SWITCH: &str = "is neither true nor false; expected one of them";

/// Reads `templateparameters` from a text: a JSON object of texts. A blank text is none.
///
/// # Errors
/// As [`read_parameters`].
pub fn parse_parameters(text: &str) -> Result<BTreeMap<String, String>, BadWish> {
    if text.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    let object: Map<String, Value> = serde_json::from_str(text)
        .map_err(|_| BadWish::new(None, "is not a JSON object of names and texts, like {\"1\": \"Ana\"}"))?;
    of_object(&object)
}

/// Reads `templateparameters` from JSON: an object of texts, or a text that holds one. Numbers and truths count as their texts;
/// `null` is as good as absent.
///
/// # Errors
/// What is wrong, and with which variable.
pub fn read_parameters(value: &Value) -> Result<BTreeMap<String, String>, BadWish> {
    match value {
        Value::Null => Ok(BTreeMap::new()),
        Value::Object(object) => of_object(object),
        Value::String(text) => parse_parameters(text),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => Err(BadWish::new(
            None,
            "expected an object of names and texts, like {\"1\": \"Ana\"}, or a text that holds one",
        )),
    }
}

/// The one text that the same parameters always have.
pub fn canonical(parameters: &BTreeMap<String, String>) -> String {
    let object: Map<String, Value> =
        parameters.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect();
    Value::Object(object).to_string()
}

fn of_object(object: &Map<String, Value>) -> Result<BTreeMap<String, String>, BadWish> {
    let mut parameters = BTreeMap::new();
    for (name, value) in object {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return Err(BadWish::new(Some(name), "is a list or an object; expected a text"));
            }
        };
        if name.trim().is_empty() {
            return Err(BadWish::new(None, "has a variable without a name; expected one like \"1\""));
        }
        if let Some(fault) = variable_fault(&text) {
            return Err(BadWish::new(Some(name), fault));
        }
        parameters.insert(name.trim().to_owned(), text);
    }
    Ok(parameters)
}

/// What WhatsApp would not take in a variable, if there is something.
pub fn variable_fault(value: &str) -> Option<&'static str> {
    let breaks = |c: char| matches!(c, '\n' | '\r' | '\t' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    if value.trim().is_empty() {
        Some("is empty; WhatsApp takes no empty variable")
    } else if value.contains(breaks) {
        Some("has a line break or a tab in it; WhatsApp takes neither in a variable")
    } else if value.contains(&" ".repeat(MOST_BLANKS + 1)) {
        Some("has more than four blanks in a row; WhatsApp takes no more in a variable")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_objects_of_texts_or_texts_of_objects() {
        for (given, expected) in [
            (json!({ "1": "Ana", "2": 7, "3": true, "4": null }), Ok(r#"{"1":"Ana","2":"7","3":"true"}"#)),
            (json!("{\"2\": \"b\", \"1\": \"a\"}"), Ok(r#"{"1":"a","2":"b"}"#)),
            (json!({ " 1 ": "Ana" }), Ok(r#"{"1":"Ana"}"#)),
            (json!(" "), Ok("{}")),
            (json!(null), Ok("{}")),
            (json!({}), Ok("{}")),
            (json!("[1]"), Err((None, "is not a JSON object"))),
            (json!("{"), Err((None, "is not a JSON object"))),
            (json!([1]), Err((None, "expected an object"))),
            (json!({ "": "x" }), Err((None, "without a name"))),
            (json!({ "1": [] }), Err((Some("1"), "is a list or an object"))),
            (json!({ "1": " " }), Err((Some("1"), "is empty"))),
            (json!({ "1": "a\nb" }), Err((Some("1"), "line break"))),
            (json!("{\"1\": \"a\\tb\"}"), Err((Some("1"), "line break or a tab"))),
            (json!({ "1": "a     b" }), Err((Some("1"), "more than four blanks"))),
        ] {
            match (read_parameters(&given), expected) {
                (Ok(found), Ok(text)) => assert_eq!(canonical(&found), text, "{given}"),
                (Err(found), Err((variable, words))) => {
                    assert_eq!(found.variable.as_deref(), variable, "{given}");
                    assert!(found.message.contains(words), "{given}: {found}");
                }
                (found, _) => panic!("{given}: {found:?}"),
            }
        }
        assert_eq!(variable_fault("a    b"), None);
    }

    #[test]
    fn wishes_are_read_from_the_slugs() {
        let wishes = |values: &[(&str, &str)]| {
            let mut slugs = Slugs::default();
            values.iter().for_each(|(name, value)| slugs.insert(name, *value).unwrap());
            Wishes::of(&slugs)
        };
        assert_eq!(wishes(&[("CustomerName", "Ana"), (SEND_AS_TEMPLATE, " ")]), Ok(Wishes::default()));
        let given = wishes(&[("SendAsTemplate", "True"), (TEMPLATE_PARAMETERS, "{\"1\":\"Ana\"}")]).unwrap();
        assert_eq!((given.send_as, given.parameters["1"].as_str()), (Some(SendAs::Template), "Ana"));
        assert_eq!(wishes(&[(SEND_AS_TEMPLATE, "no")]).unwrap().send_as, Some(SendAs::Text));
        assert!(wishes(&[(SEND_AS_TEMPLATE, "maybe")]).unwrap_err().to_string().contains("neither true nor false"));
        assert!(wishes(&[(TEMPLATE_PARAMETERS, "Ana")]).is_err());
        for way in [SendAs::Template, SendAs::Text] {
            assert_eq!(SendAs::parse(way.as_str()), Some(way));
        }
    }
}
