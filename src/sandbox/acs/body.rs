//! A JSON body, read leniently enough to be logged and strictly enough to be judged.

use std::sync::Arc;

use axum::{
    extract::rejection::BytesRejection,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::errors::ApiError;

/// Recipients that a call which is refused leaves in the log at most.
const LOGGED: usize = 100;

/// What came, whether it is usable or not.
pub(super) struct Body {
    pub bytes: Bytes,
    value: Value,
    fault: Option<ApiError>,
}

/// A recipient as given, for the log.
#[derive(Clone, Default)]
pub(super) struct Given {
    pub to: Arc<str>,
    pub request_id: Option<Arc<str>>,
}

impl Body {
    pub(super) fn read(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Body {
        let Ok(bytes) = body else {
            let fault = Some(ApiError::new(413, "RequestTooLarge", "The body is too large."));
            return Body { bytes: Bytes::new(), value: Value::Null, fault };
        };
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let fault = Some(ApiError::new(415, "UnsupportedMediaType", "The body must be application/json."));
            return Body { bytes, value: Value::Null, fault };
        }
        match serde_json::from_slice(&bytes) {
            Ok(value) => Body { bytes, value, fault: None },
            Err(error) => {
                let fault = Some(ApiError::bad(format!("The body is not JSON: {error}")));
                Body { bytes, value: Value::Null, fault }
            }
        }
    }

    /// The body as the contract has it.
    pub(super) fn as_contract<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        T::deserialize(&self.value).map_err(|error| ApiError::bad(format!("The body is not as it must be: {error}")))
    }

    /// A text at the top, or nothing.
    pub(super) fn text(&self, name: &str) -> Arc<str> {
        self.value.get(name).and_then(Value::as_str).unwrap_or_default().into()
    }

    /// How many fields there are at the top.
    pub(super) fn len(&self) -> u32 {
        self.value.as_object().map_or(0, |fields| fields.len() as u32)
    }

    /// Those whom the call names; a nobody if it names nobody, as the call itself is to be logged.
    pub(super) fn recipients(&self) -> Vec<Given> {
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(Arc::from);
        let listed = self.value.get("smsRecipients").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let given = |value: &Value| Given {
            to: text(value, "to").unwrap_or_default(),
            request_id: text(value, "repeatabilityRequestId"),
        };
        match listed {
            [] => vec![Given::default()],
            listed => listed.iter().take(LOGGED).map(given).collect(),
        }
    }
}
