//! How herald's own types appear in the API's description. The types themselves know nothing of it.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type},
    },
};

use crate::domain::{
    figures::Alphabet,
    id::{ConfigurationId, ConversationId, DeliveryId, KeyId, MessageId, RunId},
    locale::Locale,
    phone::E164,
    plan::Bound,
    time::Timestamp,
};

/// A text with a name of its own.
fn text(pattern: Option<&str>, format: Option<SchemaFormat>, description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .pattern(pattern)
        .format(format)
        .description(Some(description))
        .into()
}

macro_rules! texts {
    ($($name:ident: $pattern:expr, $format:expr, $description:literal;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                text($pattern, $format, $description)
            }
        }
        impl ToSchema for $name {}
    )*};
}

const DATE_TIME: Option<SchemaFormat> = Some(SchemaFormat::KnownFormat(KnownFormat::DateTime));

texts! {
    Timestamp: None, DATE_TIME, "A point in time, in UTC with milliseconds";
    RunId: Some("^run_[0-9A-Z]{26}$"), None, "A run's id";
    MessageId: Some("^msg_[0-9A-Z]{26}_[0-9]+$"), None, "A message's id: its run and its place there";
    ConfigurationId: Some("^cfg_[0-9A-Z]{26}$"), None, "An outbound configuration's id";
    ConversationId: Some("^cnv_[0-9A-Z]{26}$"), None, "A conversation's id";
    DeliveryId: Some("^dlv_[0-9A-Z]{26}$"), None, "A webhook's id";
    KeyId: Some("^key_[0-9A-Z]{26}$"), None, "An API key's id";
    E164: Some("^\\+[0-9]{1,15}$"), None, "A phone number in international form";
    Locale: None, None, "A BCP 47 language tag";
    Bound: Some("^(quota|pace|quiet_hours|nothing)$"), None, "What keeps a run from being over at once";
    Alphabet: Some("^(gsm7|ucs2)$"), None, "The alphabet that a text is sent in";
}
