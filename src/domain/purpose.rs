//! What a text is for: the rules of quiet hours and frequency, and what some providers want to be told, go by it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a template is for: quiet hours and frequency caps concern marketing only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// About the contact's own business: a case, an order, an appointment.
    Transactional,
    /// Advertising.
    Marketing,
}

impl Purpose {
    /// The name in manifests, on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transactional => "transactional",
            Self::Marketing => "marketing",
        }
    }
}

/// A text that names no purpose.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not a purpose; expected \"transactional\" or \"marketing\"")]
pub struct NotAPurpose(String);

impl FromStr for Purpose {
    type Err = NotAPurpose;

    fn from_str(text: &str) -> Result<Self, NotAPurpose> {
        let found = [Self::Transactional, Self::Marketing].into_iter().find(|purpose| purpose.as_str() == text.trim());
        found.ok_or_else(|| NotAPurpose(text.to_owned()))
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
