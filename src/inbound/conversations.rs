//! A conversation as it is read: what was written and what was answered, in the order in which it came, each reply with the text
//! of the message that it answers. Texts of templates are not stored: they are rendered again from the run's version.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use crate::{
    book::{Book, Books},
    domain::{
        definition::Channel,
        id::{ConversationId, MessageId, RunId},
        locale::Locale,
        message::Status,
        run::Pinned,
        time::Timestamp,
    },
    store::{
        Store, StoreError, answers::StoredAnswer, conversations::Conversation, messages::StoredMessage,
        replies::StoredReply,
    },
    template::leaving,
};

/// A conversation and some of what was said in it.
#[derive(Clone, Debug)]
pub struct Thread {
    /// The conversation.
    pub conversation: Conversation,
    /// What was said, in order.
    pub said: Vec<Said>,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<i64>,
}

/// One thing that was said.
#[derive(Clone, Debug)]
pub enum Said {
    /// By the contact.
    Reply(StoredReply, Option<Sent>),
    /// By the organization.
    Answer(StoredAnswer),
}

impl Said {
    /// Its place in the conversation.
    pub const fn place(&self) -> i64 {
        match self {
            Self::Reply(reply, _) => reply.place,
            Self::Answer(answer) => answer.place,
        }
    }
}

/// The message that a reply answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Which.
    pub message: MessageId,
    /// Its text; `None` if it can be rendered no longer.
    pub text: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// When a provider took it.
    pub sent_at: Option<Timestamp>,
}

/// At most `limit` of what was said in a conversation, after its first `after` places; `None` if there is no such conversation.
pub async fn thread(
    store: &Store,
    books: &Books,
    book: &Book,
    id: ConversationId,
    after: i64,
    limit: usize,
) -> Result<Option<Thread>, StoreError> {
    let org = &book.organization.id;
    let Some(conversation) = store.conversation(org, id).await? else { return Ok(None) };
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let replies = store.replies_in(org, id, after, most).await?;
    let answers = store.answers_in(org, id, after, most).await?;
    let mut said: Vec<Said> = replies.into_iter().map(|reply| Said::Reply(reply, None)).collect();
    said.extend(answers.into_iter().map(Said::Answer));
    said.sort_by_key(Said::place);
    said.truncate(limit);
    let next = said.last().map(Said::place).filter(|_| said.len() == limit);
    quote(store, books, book, &mut said).await?;
    Ok(Some(Thread { conversation, said, next }))
}

/// Puts the messages that replies answer beside them.
async fn quote(store: &Store, books: &Books, book: &Book, said: &mut [Said]) -> Result<(), StoreError> {
    let ids: BTreeSet<MessageId> = said.iter().filter_map(answered).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<MessageId> = ids.into_iter().collect();
    let messages = store.messages_by_id(&book.organization.id, &ids).await?;
    let mut runs: BTreeMap<RunId, Option<Pinned>> = BTreeMap::new();
    let mut quotes: BTreeMap<MessageId, Sent> = BTreeMap::new();
    for message in messages {
        let run = message.id.run;
        if let Entry::Vacant(unknown) = runs.entry(run) {
            let facts = store.run_facts(&book.organization.id, run).await?;
            unknown.insert(facts.map(|(pinned, _)| pinned));
        }
        let text = match runs.get(&run) {
            Some(Some(pinned)) => text(books, book, pinned, &message).await?,
            Some(None) | None => None,
        };
        let sent_at = message.state.as_ref().and_then(|state| state.sent_at);
        quotes.insert(message.id, Sent { message: message.id, text, status: message.status(), sent_at });
    }
    for one in said {
        let found = answered(one).and_then(|id| quotes.get(&id).cloned());
        if let Said::Reply(_, quote) = one {
            *quote = found;
        }
    }
    Ok(())
}

fn answered(said: &Said) -> Option<MessageId> {
    match said {
        Said::Reply(reply, _) => reply.answers.parse().ok(),
        Said::Answer(_) => None,
    }
}

/// A message's text as it was sent.
async fn text(
    books: &Books,
    book: &Book,
    pinned: &Pinned,
    message: &StoredMessage,
) -> Result<Option<String>, StoreError> {
    let Ok(slugs) = message.read_slugs() else { return Ok(None) };
    let via = message.state.as_ref().map(|state| state.via.as_str()).filter(|via| !via.is_empty());
    let channel = book.channel(via.unwrap_or(&pinned.channel));
    let smart_encoding = channel.map(Channel::smart_encoding).unwrap_or_default();
    let Some(template) = pinned.template else {
        return Ok(slugs.get("text").map(|text| leaving(text.to_owned(), smart_encoding)));
    };
    let Ok(template) = books.template(book, template, pinned.version).await? else { return Ok(None) };
    let wanted: Option<Locale> = message.locale.parse().ok();
    Ok(template.text_for(wanted.as_ref(), &slugs, smart_encoding).ok().map(|rendered| rendered.text))
}
