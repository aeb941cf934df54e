//! What the rules about people go by (SPEC 7, 4 and 6), gathered for a whole request at once: who has had how much marketing, to
//! whom the same text goes round in a loop, and by whose clocks it is night.
//!
//! A request costs one statement for the guard against loops; marketing costs another where the organization has a cap.

use std::{cell::RefCell, collections::BTreeMap};

use chrono_tz::Tz;

use super::{
    judge::{Content, said},
    sender::Job,
};
use crate::{
    domain::{
        contact::{ChannelType, TIMEZONE},
        frequency::{self, Said},
        phone::{Country, E164},
        purpose::Purpose,
        quiet::{Clocks, Quiet, QuietHours},
        rate::Rate,
        reason::{Reason, Why},
        time::Timestamp,
    },
    store::{
        StoreError,
        messages::{StoredMessage, slugs_of},
        recent::Recent,
    },
};

/// What the rules about people go by.
#[derive(Debug, Default)]
pub struct People {
    /// The organization's cap on marketing.
    pub cap: Option<Rate>,
    /// How many messages count against one of the request's under that cap, by place.
    pub had: BTreeMap<i64, u64>,
    /// What was accepted lately for people who might be written to in a loop.
    pub said: BTreeMap<E164, Vec<Said>>,
    /// By whose clocks it is night.
    pub nights: Option<Nights>,
}

impl People {
    /// Whether the recipient has had as much marketing as the organization allows; why, if so.
    pub fn capped(&self, seq: i64) -> Option<Why> {
        let (cap, had) = (self.cap?, *self.had.get(&seq)?);
        let why = || Why::detailed(Reason::FrequencyCapped, format!("{had} before this one; {cap} are allowed"));
        (had >= cap.count).then(why)
    }

    /// Whether the text goes round in a loop; why, if so.
    pub fn loops(&self, message: &StoredMessage, text: &str) -> Option<Why> {
        let said = self.said.get(&message.to)?;
        let why = || Why::detailed(Reason::Looping, format!("{} times before this one", frequency::LOOP));
        frequency::loops(said, message.id, text).then(why)
    }

    /// Until when the recipient is to be left alone.
    pub fn quiet(&self, message: &StoredMessage, now: Timestamp) -> Option<Quiet> {
        self.nights.as_ref()?.quiet(message, now)
    }
}

/// The organization's quiet hours, and what was found of them at one moment: most people of a request live by few clocks.
#[derive(Debug)]
pub struct Nights {
    hours: QuietHours,
    organization: Tz,
    known: RefCell<Vec<(By, Option<Quiet>)>>,
}

/// By what a person's clocks are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Own(Tz),
    Country(Option<Country>),
}

impl Nights {
    /// With nobody looked at yet.
    pub fn new(hours: QuietHours, organization: Tz) -> Self {
        Self { hours, organization, known: RefCell::default() }
    }

    fn quiet(&self, message: &StoredMessage, now: Timestamp) -> Option<Quiet> {
        // What cannot be read is refused when it comes in; should it stand here all the same, it says nothing.
        let own = message.read_slugs().ok().and_then(|slugs| slugs.get(TIMEZONE)?.trim().parse().ok());
        let by = own.map_or_else(|| By::Country(message.to.country()), By::Own);
        if let Some((_, quiet)) = self.known.borrow().iter().find(|(known, _)| *known == by) {
            return *quiet;
        }
        let country = match by {
            By::Own(_) => None,
            By::Country(country) => country,
        };
        let quiet = Clocks { own, country, organization: self.organization }.quiet(self.hours, now);
        self.known.borrow_mut().push((by, quiet));
        quiet
    }
}

impl Job<'_> {
    /// Gathers it for the messages of the request.
    pub(super) async fn people(
        &self,
        messages: &[StoredMessage],
        content: &Result<Content, Why>,
        now: Timestamp,
    ) -> Result<People, StoreError> {
        let channel_type = self.route.channel.channel_type;
        let said = self.said_lately(channel_type, content).await?;
        let organization = &self.book.organization;
        if purpose(content) != Purpose::Marketing {
            return Ok(People { said, ..People::default() });
        }
        let had = match organization.frequency_cap {
            Some(cap) => {
                let seqs: Vec<i64> = messages.iter().map(|message| message.id.seq).collect();
                self.shared.store.marketing_before(self.request, &seqs, (channel_type, cap), now).await?
            }
            None => Vec::new(),
        };
        Ok(People {
            cap: organization.frequency_cap,
            had: had.into_iter().collect(),
            said,
            nights: organization.quiet_hours.map(|hours| Nights::new(hours, organization.timezone)),
        })
    }

    /// What was said lately to people who might be written to in a loop, in the words that they got.
    async fn said_lately(
        &self,
        channel_type: ChannelType,
        content: &Result<Content, Why>,
    ) -> Result<BTreeMap<E164, Vec<Said>>, StoreError> {
        let mut lately: BTreeMap<E164, Vec<Said>> = BTreeMap::new();
        for recent in self.shared.store.crowds(self.request, channel_type).await? {
            let content =
                if recent.pinned == self.pinned { content.clone() } else { self.content(&recent.pinned).await? };
            let text = text(&recent, content, channel_type);
            let one = Said { at: recent.accepted_at, id: recent.id, text };
            lately.entry(recent.to).or_default().push(one);
        }
        Ok(lately)
    }
}

/// What the messages are for: nobody is spared what brings its own text, for it answers them.
fn purpose(content: &Result<Content, Why>) -> Purpose {
    match content {
        Ok(Content::Template(template)) => template.source().purpose,
        Ok(Content::Own) | Err(_) => Purpose::Transactional,
    }
}

fn text(recent: &Recent, content: Result<Content, Why>, channel_type: ChannelType) -> Option<String> {
    let slugs = slugs_of(&recent.slugs).ok()?;
    said(&content.ok()?, channel_type, &recent.locale, &slugs).ok().map(|said| said.text)
}
