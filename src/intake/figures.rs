//! What an audience's texts amount to: counted as it is taken in, kept with the run, read by the plan.
//!
//! A row that is known to get nothing (it repeats a number, did not agree, has opted out) costs nothing, and is not counted.

use std::{collections::HashMap, sync::Arc};

use super::texts::text_for;
use crate::{
    domain::{
        contact::{ChannelType, Contact, OptIn},
        definition::SmartEncoding,
        figures::{Alphabet, Amount, Figures, TextKind},
        id::OrgId,
        locale::Locale,
        phone::{Country, E164},
    },
    store::{
        Store, StoreError,
        consents::Consent,
        runs::{NewMessage, Repeat},
    },
    template::{Encoding, Segments, Template, segments},
};

/// Beginnings of numbers whose country is remembered: more than numbering plans have areas in use by one audience.
const REMEMBERED: usize = 20_000;
/// Digits of a number that tell its country.
const TELLING: u32 = 7;

/// Counts texts, one by one.
#[derive(Debug, Default)]
pub struct Counter {
    figures: Figures,
    /// Finding a number's country can take longer than rendering its text.
    countries: HashMap<u64, Option<Country>>,
}

impl Counter {
    /// Counts a contact's text, unless the contact did not agree to any.
    pub fn count(&mut self, contact: &Contact, locale: &Locale, counted: &Segments) {
        if contact.opted_in == OptIn::No {
            return;
        }
        let alphabet = match counted.encoding {
            Encoding::Gsm7 => Alphabet::Gsm7,
            Encoding::Ucs2 => Alphabet::Ucs2,
        };
        let kind = TextKind { locale: locale.to_string(), alphabet, country: self.country(contact.to) };
        self.figures.add(kind, Amount { messages: 1, segments: u64::from(counted.segments) });
    }

    /// What was counted.
    pub fn figures(self) -> Figures {
        self.figures
    }

    fn country(&mut self, number: E164) -> Option<Country> {
        if self.countries.len() > REMEMBERED {
            self.countries.clear();
        }
        let digits = number.digits();
        let beginning = digits / 10u64.pow((digits.max(1).ilog10() + 1).saturating_sub(TELLING));
        *self.countries.entry(beginning).or_insert_with(|| number.country())
    }
}

/// What these contacts' texts amount to. Whom nothing can be said to is not counted.
pub fn of<'a>(
    template: &Template,
    smart_encoding: SmartEncoding,
    contacts: impl IntoIterator<Item = &'a Contact>,
) -> Figures {
    let mut counter = Counter::default();
    for contact in contacts {
        if let Ok(rendered) = text_for(template, contact, smart_encoding) {
            counter.count(contact, &rendered.locale, &segments(&rendered.text));
        }
    }
    counter.figures()
}

/// Who of an audience gets nothing, as far as is known when it is taken in.
#[derive(Debug)]
pub struct Spared<'a> {
    store: &'a Store,
    org: &'a OrgId,
    channel_type: ChannelType,
    template: Arc<Template>,
    smart_encoding: SmartEncoding,
    /// Whether anybody has opted out: if nobody has, nobody is looked up.
    opt_outs: bool,
}

impl<'a> Spared<'a> {
    /// For an audience of a template's, written to by this type of channel.
    pub async fn of(
        store: &'a Store,
        org: &'a OrgId,
        channel_type: ChannelType,
        template: Arc<Template>,
        smart_encoding: SmartEncoding,
    ) -> Result<Self, StoreError> {
        let opt_outs = store.has_opt_outs(org, channel_type).await?;
        Ok(Self { store, org, channel_type, template, smart_encoding, opt_outs })
    }

    /// What the texts of those amount to who get nothing although they agreed: they repeat a number, or have opted out.
    pub async fn among(&self, messages: &[NewMessage]) -> Result<Figures, StoreError> {
        let (_, spared) = self.parted(messages).await?;
        Ok(of(&self.template, self.smart_encoding, spared))
    }

    /// What the texts of all the others amount to.
    pub async fn figures_of(&self, messages: &[NewMessage]) -> Result<Figures, StoreError> {
        let (written_to, _) = self.parted(messages).await?;
        Ok(of(&self.template, self.smart_encoding, written_to))
    }

    async fn parted<'m>(&self, messages: &'m [NewMessage]) -> Result<(Vec<&'m Contact>, Vec<&'m Contact>), StoreError> {
        let consents = if self.opt_outs {
            let people: Vec<E164> = messages.iter().map(|message| message.contact.to).collect();
            self.store.consents(self.org, self.channel_type, &people).await?
        } else {
            Default::default()
        };
        let gets_something = |message: &&NewMessage| {
            message.repeat == Repeat::First && consents.get(&message.contact.to) != Some(&Consent::Out)
        };
        let (written_to, spared): (Vec<&NewMessage>, Vec<&NewMessage>) = messages.iter().partition(gets_something);
        let contacts = |part: Vec<&'m NewMessage>| part.into_iter().map(|message| &message.contact).collect();
        Ok((contacts(written_to), contacts(spared)))
    }
}
