//! What may be sent of each kind of definition. Its keys are those of the files, and are described from the same tables; what is
//! sent is taken as it is and judged as a whole, so that everything that is wrong is said at once.

use serde::Deserialize;
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{AdditionalProperties, Object as ObjectSchema, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type},
    },
};

use super::edit::Object;
use crate::{
    definitions::{KnownKey, known_keys, organization_keys},
    store::definitions::Kind,
};

macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident: $keys:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Deserialize)]
        #[serde(transparent)]
        pub(super) struct $name(pub Object);

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                schema($keys)
            }
        }

        impl ToSchema for $name {}
    )*};
}

bodies! {
    /// The organization's settings.
    OrganizationBody: vec![organization_keys()];
    /// Credentials at a provider.
    AccountBody: named(Kind::Account);
    /// A sender.
    ChannelBody: named(Kind::Channel);
    /// Texts in several languages.
    TemplateBody: named(Kind::Template);
    /// What is sent, from where, to whom, on what trigger.
    ConfigurationBody: named(Kind::Configuration);
    /// A place that other systems post their events to.
    HookBody: named(Kind::Hook);
    /// A place that the organization's events are posted to.
    EndpointBody: named(Kind::Endpoint);
}

/// The keys of a kind, in each of its forms, and the name that stands beside them when it is made.
fn named(kind: Kind) -> Vec<Vec<KnownKey>> {
    let mut forms = known_keys(kind);
    for form in &mut forms {
        if form.iter().all(|key| key.path != "name") {
            form.push(KnownKey { path: "name", required: false, expected: NAME, secret: false });
        }
    }
    forms
}

const NAME: &str = "the name, when it is made: 1 to 60 of a-z, A-Z, 0-9, -, _ and .";

fn schema(forms: Vec<Vec<KnownKey>>) -> RefOr<Schema> {
    let mut schemas: Vec<ObjectSchema> = forms.iter().map(|keys| object(keys, "")).collect();
    match (schemas.pop(), schemas.is_empty()) {
        (Some(only), true) => only.into(),
        (last, _) => {
            let all = schemas.into_iter().chain(last);
            all.fold(OneOfBuilder::new(), |forms, one| forms.item(Schema::Object(one))).into()
        }
    }
}

/// The keys below a path as an object.
fn object(keys: &[KnownKey], above: &str) -> ObjectSchema {
    let mut builder = ObjectBuilder::new().schema_type(SchemaType::new(Type::Object));
    let mut done: Vec<&str> = Vec::new();
    for key in keys {
        let Some(rest) = key.path.strip_prefix(above) else { continue };
        let (name, inner) = rest.split_once('.').map_or((rest, false), |(name, _)| (name, true));
        if done.contains(&name) {
            continue;
        }
        done.push(name);
        let value: RefOr<Schema> =
            if inner { object(keys, &format!("{above}{name}.")).into() } else { value(key).into() };
        if name == "*" {
            builder = builder.additional_properties(Some(AdditionalProperties::RefOr(value)));
            continue;
        }
        builder = builder.property(name, value);
        if key.required && !inner {
            builder = builder.required(name);
        }
    }
    builder.build()
}

fn value(key: &KnownKey) -> ObjectSchema {
    let builder = ObjectBuilder::new().description(Some(key.expected));
    if !key.secret {
        return builder.schema_type(SchemaType::AnyValue).build();
    }
    let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).write_only(true);
    let set = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
    builder
        .schema_type(SchemaType::new(Type::Object))
        .description(Some("The secret itself; left out, the one that is stored is kept"))
        .property("value", text)
        .property("set", set.description(Some("true: the one that is stored is kept, as if this key were left out")))
        .examples([Value::from_iter([("value", "…")])])
        .build()
}
