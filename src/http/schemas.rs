//! How herald's own types appear in the API's description. The types themselves know nothing of it.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type},
    },
};

use crate::{
    domain::{
        account::ProviderKind,
        contact::ChannelType,
        fairness::Priority,
        id::{
            ConfigurationId, ConsentChangeId, ConversationId, DeliveryId, KeyId, MessageId, ReplyId, RequestId, RunId,
        },
        locale::Locale,
        message::Status,
        phone::E164,
        run::RunStatus,
        time::Timestamp,
        timeline::{ActivityState, Place},
    },
    store::{consents::Consent, conversations::ConversationState, endpoints::DeliveryState},
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

/// One of a few words.
pub(super) fn word(words: impl IntoIterator<Item = &'static str>, description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .enum_values(Some(words))
        .description(Some(description))
        .into()
}

macro_rules! words {
    ($($name:ident: $words:expr, $description:literal;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                word($words, $description)
            }
        }
        impl ToSchema for $name {}
    )*};
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

/// The form of an id: its prefix, and 128 bits in Crockford's base 32.
macro_rules! id {
    ($prefix:literal) => {
        Some(concat!("^", $prefix, "_[0-7][0-9A-HJKMNP-TV-Z]{25}$"))
    };
}

const DATE_TIME: Option<SchemaFormat> = Some(SchemaFormat::KnownFormat(KnownFormat::DateTime));

texts! {
    Timestamp: None, DATE_TIME, "A point in time, in UTC with milliseconds";
    RunId: id!("run"), None, "A run's id";
    MessageId: Some("^msg_[0-7][0-9A-HJKMNP-TV-Z]{25}_[1-9][0-9]{0,17}$"), None, "A message's id: its run and its place there";
    RequestId: Some("^req_[0-7][0-9A-HJKMNP-TV-Z]{25}_[1-9][0-9]{0,17}$"), None, "A request's id: its run and its number there";
    ConfigurationId: id!("cfg"), None, "An outbound configuration's id";
    ConversationId: id!("cnv"), None, "A conversation's id";
    DeliveryId: id!("dlv"), None, "A webhook's id";
    ReplyId: id!("rpl"), None, "An inbound message's id";
    ConsentChangeId: id!("cns"), None, "A change of consent's id";
    KeyId: id!("key"), None, "An API key's id";
    E164: Some("^\\+[0-9]{1,15}$"), None, "A phone number in international form";
    Place: Some("^-?[0-9]{1,18}\\.(rpl|cns|msg)_[0-7][0-9A-HJKMNP-TV-Z]{25}(_[1-9][0-9]{0,17})?$"), None, "A place on a timeline";
    Locale: None, None, "A BCP 47 language tag";
}

words! {
    Status: Status::ALL.map(Status::as_str), "Where a message stands";
    RunStatus: RunStatus::ALL.map(RunStatus::as_str), "Where a run stands";
    Priority: Priority::ALL.map(Priority::as_str), "Whose turn a run's messages have: the first is served first";
    ChannelType: [ChannelType::Sms, ChannelType::WhatsApp].map(ChannelType::as_str), "A kind of channel";
    ProviderKind: ProviderKind::ALL.map(ProviderKind::as_str), "A provider";
    Consent: Consent::ALL.map(Consent::name), "What a person has said of being written to";
    ConversationState: [ConversationState::Open, ConversationState::Ended].map(ConversationState::as_str), "Whether a conversation still goes on";
    DeliveryState: [DeliveryState::Waiting, DeliveryState::Failed].map(DeliveryState::as_str), "Whether a webhook is still tried";
    ActivityState: ActivityState::ALL.map(ActivityState::as_str), "Where an activity on a timeline stands";
}
