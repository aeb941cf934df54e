//! A form body, read leniently enough to be logged and strictly enough to be judged.

use axum::http::{HeaderMap, header};

/// What Twilio knows; anything else is ignored, and counted in the log.
const KNOWN: &[&str] = &[
    "To",
    "From",
    "Body",
    "MessagingServiceSid",
    "StatusCallback",
    "MediaUrl",
    "ContentSid",
    "ContentVariables",
    "ApplicationSid",
    "ValidityPeriod",
    "ScheduleType",
    "SendAt",
    "SmartEncoded",
    "ShortenUrls",
    "Attempt",
    "ProvideFeedback",
    "ContentRetention",
    "AddressRetention",
    "RiskCheck",
    "SendAsMms",
    "FallbackFrom",
    "PersistentAction",
    "TrafficType",
    "ForceDelivery",
    "MaxPrice",
];

/// The parameters of a call, in the order in which they came.
pub(super) struct Form {
    params: Vec<(String, String)>,
    /// What is wrong with the body as such, as a code.
    pub fault: Option<u32>,
}

impl Form {
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Form {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Form { params: Vec::new(), fault: Some(20415) };
        }
        let params: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
        Form { fault: (!is_utf8(body)).then_some(20001), params }
    }

    /// A body that was not read.
    pub(super) fn too_large() -> Form {
        Form { params: Vec::new(), fault: Some(20413) }
    }

    /// The value of a parameter; one that is empty is as good as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a parameter that may be repeated.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.params.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub(super) fn len(&self) -> u32 {
        self.params.len() as u32
    }

    /// How many parameters Twilio does not know.
    pub(super) fn unknown(&self) -> u32 {
        self.params.iter().filter(|(name, _)| !KNOWN.contains(&name.as_str())).count() as u32
    }
}

/// Whether the body is UTF-8 once its `%XX` are decoded; the parser would quietly put a replacement character.
fn is_utf8(body: &[u8]) -> bool {
    if !body.contains(&b'%') {
        return std::str::from_utf8(body).is_ok();
    }
    let mut decoded = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = |b: u8| char::from(b).to_digit(16).map(|digit| digit as u8);
        let pair = tail.first().and_then(|high| hex(*high)).zip(tail.get(1).and_then(|low| hex(*low)));
        match (byte, pair) {
            (b'%', Some((high, low))) => {
                decoded.push(high * 16 + low);
                rest = &tail[2..];
            }
            (byte, _) => {
                decoded.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(decoded).is_ok()
}
