//! Content templates: what a form asks for becomes a text, and what keeps it from being delivered.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State as Shared},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use super::{
    accounts::Account,
    errors::ApiError,
    whatsapp::{Bars, Channel},
};
use crate::sandbox::{
    form::Form,
    settings::{ApprovalStatus, ContentTemplate, is_sid},
    state::State,
};

/// A value has at most as many characters as a text.
const VALUE_LIMIT: usize = 1600;

type Values = BTreeMap<String, String>;

/// What a content template amounts to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rendered {
    pub text: String,
    pub bars: Bars,
}

/// The content that the form names, if it names one.
pub(super) fn read(form: &Form, account: &Account, channel: Channel) -> Result<Option<Rendered>, ApiError> {
    let (sid, variables) = (form.get("ContentSid"), form.get("ContentVariables"));
    let Some(sid) = sid else {
        return if variables.is_some() { Err(ApiError::of(21654)) } else { Ok(None) };
    };
    let template = account.template(sid).ok_or_else(|| ApiError::of(21655))?;
    let values = variables.map(values).transpose()?.unwrap_or_default();
    if form.get("Body").is_some() || form.get("MediaUrl").is_some() {
        return Err(ApiError::of(20400));
    }
    let Some(template) = template else {
        // Any content is approved, and says what it is given.
        let text = values.values().map(String::as_str).collect::<Vec<&str>>().join(" ");
        return Ok(Some(Rendered { text, bars: Bars::default() }));
    };
    let (text, complete) = render(template, &values);
    let bars = match channel {
        Channel::Sms => Bars::default(),
        Channel::WhatsApp => {
            Bars { always: (!complete).then_some(63028), outside_window: unless_approved(template.status) }
        }
    };
    Ok(Some(Rendered { text, bars }))
}

/// A JSON object of strings, each with something in it that may stand in the middle of a text.
fn values(variables: &str) -> Result<Values, ApiError> {
    let values: Values = serde_json::from_str(variables).map_err(|_| ApiError::of(21656))?;
    for value in values.values() {
        if value.is_empty() || value.contains(['\n', '\r', '\t']) || value.contains("     ") {
            return Err(ApiError::of(21656));
        }
        if value.chars().count() > VALUE_LIMIT {
            return Err(ApiError::of(21658));
        }
    }
    Ok(values)
}

/// The text, and whether every placeholder got a value. Values that no placeholder asks for are ignored.
fn render(template: &ContentTemplate, values: &Values) -> (String, bool) {
    let (mut text, mut complete) = (String::new(), true);
    let mut rest = template.text.as_str();
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else { break };
        text.push_str(before);
        match values.get(name.trim()).or_else(|| template.defaults.get(name.trim())) {
            Some(value) => text.push_str(value),
            None => complete = false,
        }
        rest = behind;
    }
    text.push_str(rest);
    (text, complete)
}

/// Content may always be sent to somebody who has just written; a conversation begins with approved content only.
fn unless_approved(status: ApprovalStatus) -> Option<u32> {
    match status {
        ApprovalStatus::Approved => None,
        ApprovalStatus::Paused | ApprovalStatus::Disabled => Some(63054),
        ApprovalStatus::Unsubmitted | ApprovalStatus::Received | ApprovalStatus::Pending | ApprovalStatus::Rejected => {
            Some(63027)
        }
    }
}

impl Account {
    /// Nothing if the account has no such content; no template if it has any content at all.
    fn template(&self, sid: &str) -> Option<Option<&ContentTemplate>> {
        if !is_sid("HX", sid) {
            return None;
        }
        match self.templates.as_slice() {
            [] => Some(None),
            all => all.iter().find(|template| template.sid == sid).map(Some),
        }
    }
}

/// `GET /v1/Content/{HX}/ApprovalRequests`.
pub(super) async fn approval(
    Shared(state): Shared<Arc<State>>,
    Path(sid): Path<String>,
    headers: HeaderMap,
) -> Response {
    let account = match state.twilio.accounts.caller(&headers) {
        Ok(account) => account,
        Err(error) => return error.into_response(),
    };
    let Some(template) = account.template(&sid) else { return ApiError::of(20404).into_response() };
    Json(json!({
        "sid": sid,
        "account_sid": &*account.sid,
        "url": format!("https://content.twilio.com/v1/Content/{sid}/ApprovalRequests"),
        "whatsapp": {
            "type": "whatsapp",
            "name": template.map_or("sandbox", |template| &template.name),
            "category": template.map_or("UTILITY", |template| &template.category),
            "content_type": "twilio/text",
            "status": template.map_or(ApprovalStatus::Approved, |template| template.status),
            "rejection_reason": template.map_or("", |template| &template.rejection_reason),
            "allow_category_change": true,
        },
    }))
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::{Values, render, values};
    use crate::sandbox::settings::ContentTemplate;

    #[test]
    fn placeholders_take_values_then_defaults() {
        let mut template =
            ContentTemplate::new("HX00000000000000000000000000000001", "Dear {{1}}, {{ shop }} {{2}}!{{");
        template.defaults.insert("2".into(), "opens".into());
        let given = |pairs: &[(&str, &str)]| -> Values {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        for (pairs, expected) in [
            (&[("1", "Ana"), ("shop", "Kiosk")][..], ("Dear Ana, Kiosk opens!{{", true)),
            (&[("1", "Ana"), ("shop", "{{1}}"), ("2", "shuts"), ("3", "x")][..], ("Dear Ana, {{1}} shuts!{{", true)),
            (&[("1", "Ana")][..], ("Dear Ana,  opens!{{", false)),
        ] {
            let (text, complete) = render(&template, &given(pairs));
            assert_eq!((text.as_str(), complete), expected);
        }
    }

    #[test]
    fn variables_are_an_object_of_usable_strings() {
        let long = format!(r#"{{"1":"{}"}}"#, "x".repeat(1601));
        for (variables, code) in [
            (r#"{"1":"x","name":"y"}"#, None),
            ("{}", None),
            (r#"{"1":"a    b"}"#, None),
            (r#"{"1":"a     b"}"#, Some(21656)),
            (r#"{"1":""}"#, Some(21656)),
            (r#"{"1":"a\nb"}"#, Some(21656)),
            (r#"{"1":null}"#, Some(21656)),
            (r#"{"1":7}"#, Some(21656)),
            (r#"["x"]"#, Some(21656)),
            ("x", Some(21656)),
            (&long, Some(21658)),
        ] {
            assert_eq!(values(variables).err().map(|error| error.code), code, "{variables}");
        }
    }
}
