//! Credentials at a provider (`accounts/NAME.toml`): which providers there are, and what each wants to be told.

use serde::{Deserialize, Serialize};

use super::{contact::ChannelType, secret_ref::SecretRef};

/// The providers that herald can hand messages to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProviderKind {
    /// Twilio: SMS and WhatsApp.
    Twilio,
    /// TeleSign: SMS.
    TeleSign,
    /// Azure Communication Services: SMS.
    Acs,
}

impl ProviderKind {
    /// Every provider.
    pub const ALL: [Self; 3] = [Self::Twilio, Self::TeleSign, Self::Acs];

    /// The name in definitions, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::TeleSign => "telesign",
            Self::Acs => "acs",
        }
    }

    /// The name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Twilio => "Twilio",
            Self::TeleSign => "TeleSign",
            Self::Acs => "Azure Communication Services",
        }
    }

    /// Whether messages on such a channel can be handed to it.
    pub const fn carries(self, channel_type: ChannelType) -> bool {
        match (self, channel_type) {
            (_, ChannelType::Sms) | (Self::Twilio, ChannelType::WhatsApp) => true,
            (Self::TeleSign | Self::Acs, ChannelType::WhatsApp) => false,
        }
    }

    /// Whether it takes pictures and files along with a text.
    pub const fn carries_media(self) -> bool {
        match self {
            Self::Twilio => true,
            Self::TeleSign | Self::Acs => false,
        }
    }
}

/// Credentials at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "provider", rename_all = "lowercase")]
pub enum Account {
    /// Twilio: SMS and WhatsApp.
    Twilio(TwilioSettings),
    /// TeleSign: SMS.
    TeleSign(TeleSignSettings),
    /// Azure Communication Services: SMS.
    Acs(AcsSettings),
}

impl Account {
    /// Which provider it is at.
    pub const fn provider(&self) -> ProviderKind {
        match self {
            Self::Twilio(_) => ProviderKind::Twilio,
            Self::TeleSign(_) => ProviderKind::TeleSign,
            Self::Acs(_) => ProviderKind::Acs,
        }
    }

    /// Sends its calls to another place than the provider's own: a sandbox, a proxy.
    pub fn redirect(&mut self, base_url: String) {
        let place = match self {
            Self::Twilio(settings) => &mut settings.base_url,
            Self::TeleSign(settings) => &mut settings.base_url,
            Self::Acs(settings) => &mut settings.base_url,
        };
        *place = Some(base_url);
    }
}

/// A Twilio account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwilioSettings {
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// The primary auth token: signs callbacks, and sends unless an API key is given.
    pub auth_token: SecretRef,
    /// An API key's sid (`SK…`), to send with instead of the auth token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// That key's secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_secret: Option<SecretRef>,
    /// A Messaging Service's sid (`MG…`) that the account's senders are members of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messaging_service: Option<String>,
    /// Another place than `https://api.twilio.com`: the sandbox, a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
}

/// A TeleSign customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeleSignSettings {
    /// The customer id, as TeleSign's portal shows it.
    pub customer_id: String,
    /// The API key (base64): authenticates calls, and verifies callbacks.
    pub api_key: SecretRef,
    /// How calls are authenticated.
    #[serde(default)]
    pub auth: TeleSignAuth,
    /// Another place than `https://rest-ww.telesign.com`: the self-service address, the sandbox, a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
}

/// How calls to TeleSign are authenticated (PROVIDERS B.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TeleSignAuth {
    /// TeleSign's own scheme: each call is signed, the key never travels.
    #[default]
    Digest,
    /// Customer id and API key in each call.
    Basic,
}

/// An Azure Communication Services resource. Either the connection string, or the endpoint and one of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcsSettings {
    /// `endpoint=https://…;accesskey=…`, as the portal shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<SecretRef>,
    /// The resource's address, `https://NAME.communication.azure.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// One of its two keys (base64).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<SecretRef>,
    /// The version of the API, `2021-03-07` unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// What Event Grid must say with each event, beside the unguessable address: nothing else about its events is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_secret: Option<SecretRef>,
    /// Another place than the endpoint: the sandbox, a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
}
