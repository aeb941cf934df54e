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
        id::{ConfigurationId, ConsentChangeId, ConversationId, DeliveryId, KeyId, MessageId, ReplyId, RunId},
        locale::Locale,
        message::Status,
        phone::E164,
        run::RunStatus,
        time::Timestamp,
        timeline::ActivityState,
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

const DATE_TIME: Option<SchemaFormat> = Some(SchemaFormat::KnownFormat(KnownFormat::DateTime));

texts! {
    Timestamp: None, DATE_TIME, "A point in time, in UTC with milliseconds";
    RunId: Some("^run_[0-9A-Z]{26}$"), None, "A run's id";
    MessageId: Some("^msg_[0-9A-Z]{26}_[0-9]+$"), None, "A message's id: its run and its place there";
    ConfigurationId: Some("^cfg_[0-9A-Z]{26}$"), None, "An outbound configuration's id";
    ConversationId: Some("^cnv_[0-9A-Z]{26}$"), None, "A conversation's id";
    DeliveryId: Some("^dlv_[0-9A-Z]{26}$"), None, "A webhook's id";
    ReplyId: Some("^rpl_[0-9A-Z]{26}$"), None, "An inbound message's id";
    ConsentChangeId: Some("^cns_[0-9A-Z]{26}$"), None, "A change of consent's id";
    KeyId: Some("^key_[0-9A-Z]{26}$"), None, "An API key's id";
    E164: Some("^\\+[0-9]{1,15}$"), None, "A phone number in international form";
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
