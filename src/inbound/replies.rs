//! What people write back, read many at a time: what it says of consent, which channel it came to, which message it answers, and
//! what of it is kept.

use std::collections::BTreeMap;

use super::keywords::{Keyword, Keywords, KnownConsent};
use crate::{
    book::Book,
    domain::{
        contact::ChannelType,
        definition::Channel,
        id::{ConsentChangeId, ConversationId, ReplyId},
        phone::E164,
        time::Timestamp,
    },
    store::{
        Store, StoreError,
        callbacks::Effects,
        consents::{Consent, ConsentChange},
        replies::{Answered, Incoming, NewReply},
    },
    template::MAX_CHARACTERS,
};

/// A reply as it was recorded.
pub(super) struct Received {
    /// The provider's id of it.
    pub provider_id: String,
    /// Who wrote.
    pub from: E164,
    /// To which number.
    pub to: String,
    /// By which kind of channel.
    pub channel_type: ChannelType,
    /// What.
    pub text: String,
    /// Links to what they attached.
    pub media: Vec<String>,
    /// What the provider itself made of it.
    pub keyword: Option<Keyword>,
    /// When it was recorded.
    pub at: Timestamp,
}

/// What replies are read with.
pub(super) struct Reading<'a> {
    pub store: &'a Store,
    pub keywords: &'a Keywords,
    pub book: &'a Book,
    /// The account that they came through.
    pub account: &'a str,
}

/// A reply to one of the organization's channels.
struct Read<'b> {
    received: Received,
    keyword: Option<Keyword>,
    name: &'b str,
    channel: &'b Channel,
}

impl Reading<'_> {
    /// Adds what replies amount to; how many of them came to a number that is no channel of the account.
    pub async fn read(&self, received: Vec<Received>, effects: &mut Effects) -> Result<usize, StoreError> {
        if received.is_empty() {
            return Ok(0);
        }
        let org = &self.book.organization.id;
        let mut known = self.known_consents(&received).await?;
        let (all, mut ours) = (received.len(), Vec::with_capacity(received.len()));
        for received in received {
            let keyword = self.keyword(&received, &mut known, effects);
            // A word on consent is heeded wherever it comes to.
            let Some((name, channel)) = self.book.channel_of_number(self.account, &received.to, received.channel_type)
            else {
                tracing::warn!(%org, account = self.account, "a reply to a number that is no channel of the account; it is dropped");
                continue;
            };
            ours.push(Read { received, keyword, name, channel });
        }
        let asked: Vec<Incoming<'_>> = ours
            .iter()
            .map(|read| Incoming { from: read.received.from, channel: read.name, at: read.received.at })
            .collect();
        let answered = self.store.answered(org, &asked).await?;
        let nowhere = all - ours.len();
        effects.replies.extend(ours.into_iter().zip(answered).map(|(read, answered)| kept(read, answered)));
        Ok(nowhere)
    }

    /// What is known of the consent of everybody who wrote.
    async fn known_consents(
        &self,
        received: &[Received],
    ) -> Result<BTreeMap<(ChannelType, E164), Consent>, StoreError> {
        let mut people: BTreeMap<ChannelType, Vec<E164>> = BTreeMap::new();
        for reply in received {
            people.entry(reply.channel_type).or_default().push(reply.from);
        }
        let mut known = BTreeMap::new();
        for (channel_type, people) in people {
            let consents = self.store.consents(&self.book.organization.id, channel_type, &people).await?;
            known.extend(consents.into_iter().map(|(person, consent)| ((channel_type, person), consent)));
        }
        Ok(known)
    }

    /// The keyword that a reply is, and what that says of consent: for the replies after it as well.
    fn keyword(
        &self,
        received: &Received,
        known: &mut BTreeMap<(ChannelType, E164), Consent>,
        effects: &mut Effects,
    ) -> Option<Keyword> {
        let Received { channel_type, from, at, .. } = *received;
        let before = match known.get(&(channel_type, from)) {
            Some(Consent::Out) => KnownConsent::OptedOut,
            Some(Consent::In) => KnownConsent::OptedIn,
            Some(Consent::Unknown) | None => KnownConsent::Unknown,
        };
        let keyword = received.keyword.or_else(|| self.keywords.read(&received.text, before))?;
        let consent = match keyword {
            Keyword::Stop => Consent::Out,
            Keyword::Start => Consent::In,
            Keyword::Help => return Some(keyword),
        };
        known.insert((channel_type, from), consent);
        effects.consents.push(ConsentChange {
            id: ConsentChangeId::new(at, rand::random()),
            channel_type,
            of: from,
            consent,
            source: format!("reply {}", keyword.as_str().to_uppercase()),
            actor: "contact".to_owned(),
            at,
        });
        Some(keyword)
    }
}

/// What is kept of a reply.
fn kept(read: Read<'_>, answered: Option<Answered>) -> NewReply {
    let Read { received, keyword, name, channel } = read;
    let (media, refused) = match channel.attachments.from_customers {
        true => (received.media, 0),
        false => (Vec::new(), received.media.len()),
    };
    let (answers, locale) = answered.map_or((None, String::new()), |one| (Some(one.message), one.locale));
    let of_channel = || channel.locale.as_ref().map(ToString::to_string).unwrap_or_default();
    NewReply {
        id: ReplyId::new(received.at, rand::random()),
        channel: name.to_owned(),
        channel_type: channel.channel_type,
        provider_id: received.provider_id,
        from: received.from,
        text: cut(received.text),
        media,
        media_refused: i64::try_from(refused).unwrap_or(i64::MAX),
        keyword: keyword.map(Keyword::as_str).unwrap_or_default(),
        answers,
        opens: ConversationId::new(received.at, rand::random()),
        locale: if locale.is_empty() { of_channel() } else { locale },
        received_at: received.at,
    }
}

/// At most as long as a message may be.
fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_CHARACTERS) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("é".repeat(MAX_CHARACTERS)).chars().count(), MAX_CHARACTERS);
        assert_eq!(cut("👍".repeat(MAX_CHARACTERS + 1)).chars().count(), MAX_CHARACTERS);
    }

    #[test]
    fn attachments_are_kept_only_where_the_channel_takes_them() {
        let channel = |switch: &str| -> Channel {
            let text = format!(
                "type = \"sms\"\naccount = \"a\"\nnumber = \"1\"\nlocale = \"fr\"\n[attachments]\nfrom_customers = {switch}"
            );
            toml::from_str(&text).unwrap()
        };
        for (switch, links, refused) in [("true", 2, 0), ("false", 0, 2)] {
            let received = Received {
                provider_id: "SM1".into(),
                from: E164::from_digits(4_915_155_500_001),
                to: "1".into(),
                channel_type: ChannelType::Sms,
                text: "Look".into(),
                media: vec!["https://m.example/1".into(), "https://m.example/2".into()],
                keyword: None,
                at: Timestamp::from_millis(1),
            };
            let channel = channel(switch);
            let read = Read { received, keyword: None, name: "main", channel: &channel };
            let reply = kept(read, None);
            assert_eq!((reply.media.len(), reply.media_refused, reply.locale.as_str()), (links, refused, "fr"));
        }
    }
}
