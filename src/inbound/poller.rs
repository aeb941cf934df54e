//! Asks providers about messages of which no receipt has come, and hands what they say to the same loop that applies receipts.
//!
//! Nothing is asked where the provider cannot tell. Messages are found by their requests, a hundred at a time: no index over
//! messages has to know which of them are still waiting.

use std::{collections::BTreeMap, sync::Arc};

use futures::{Stream, StreamExt as _, future::BoxFuture, stream};

use super::callbacks::keep;
use crate::{
    book::{Book, Books},
    clock::Clock,
    domain::id::{OrgId, RunId},
    domain::time::Timestamp,
    provider::{About, HttpReply, HttpRequest, Inbound, Provider, Receipt, Stamp},
    store::{Store, StoreError, callbacks::StoredCallback, lanes::LaneKind, polls::Unheard},
};

/// Requests that are looked at in one go.
const CHUNK: i64 = 20;
/// Organizations that are looked at in one go.
const LANES: i64 = 1_000;
/// Questions that are asked at once.
const AT_ONCE: usize = 8;

/// How a provider is asked: `None` if no answer came.
pub type Ask = Arc<dyn Fn(HttpRequest) -> BoxFuture<'static, Option<HttpReply>> + Send + Sync>;

/// The loop that asks. Cheap to clone.
#[derive(Clone)]
pub struct Poller {
    /// The store.
    pub store: Store,
    /// The organizations' books.
    pub books: Books,
    /// The time.
    pub clock: Clock,
    /// How a provider is asked.
    pub ask: Ask,
}

/// A question about one message.
struct Question {
    account: String,
    provider: Arc<dyn Provider>,
    unheard: Unheard,
    request: HttpRequest,
}

impl Poller {
    /// Asks about what is due. How many requests' worth of looking that was.
    pub async fn tick(&self, now: Timestamp) -> Result<usize, StoreError> {
        let due = self.store.due_work(now, LANES).await?;
        let mut looked = 0;
        for work in due.into_iter().filter(|work| work.kind == LaneKind::Polls) {
            let Some(book) = self.books.current(&work.org).await? else { continue };
            let unheard = self.store.claim_polls(&work.org, now, CHUNK).await?;
            looked += 1;
            let questions = self.questions(&book, unheard).await?;
            let answers = self.answers(questions).collect::<Vec<_>>().await;
            let news: Vec<(&OrgId, StoredCallback)> =
                answers.into_iter().flatten().map(|news| (&work.org, news)).collect();
            if !news.is_empty() {
                self.store.record_callbacks(&news).await?;
            }
        }
        Ok(looked)
    }

    async fn questions(&self, book: &Book, unheard: Vec<Unheard>) -> Result<Vec<Question>, StoreError> {
        let mut channels: BTreeMap<RunId, Option<String>> = BTreeMap::new();
        let mut questions = Vec::with_capacity(unheard.len());
        for unheard in unheard {
            let run = unheard.id.run;
            if let std::collections::btree_map::Entry::Vacant(unknown) = channels.entry(run) {
                let facts = self.store.run_facts(&book.organization.id, run).await?;
                unknown.insert(facts.map(|(pinned, _)| pinned.channel));
            }
            let own = channels.get(&run).and_then(Option::as_deref);
            let channel = if unheard.via.is_empty() { own } else { Some(unheard.via.as_str()) };
            questions.extend(channel.and_then(|channel| self.question(book, channel, unheard.clone())));
        }
        Ok(questions)
    }

    fn question(&self, book: &Book, channel: &str, unheard: Unheard) -> Option<Question> {
        let account = book.account(&book.channel(channel).ok()?.account).ok()?;
        let provider = account.provider.clone().ok()?;
        let stamp = Stamp { now: self.clock.now(), nonce: rand::random() };
        let request = provider.poll(stamp, &unheard.provider_id)?;
        Some(Question { account: account.name.clone(), provider, unheard, request })
    }

    fn answers(&self, questions: Vec<Question>) -> impl Stream<Item = Option<StoredCallback>> {
        let asked = questions.into_iter().map(|question| {
            let answer = (self.ask)(question.request.clone());
            let clock = self.clock.clone();
            async move {
                let Question { account, provider, unheard, .. } = question;
                let said = provider.polled(&unheard.provider_id, &answer.await?)?;
                let receipt = Receipt { about: About::Message(unheard.id), ..said };
                keep(Inbound::Receipt(receipt), &account, clock.now())
            }
        });
        stream::iter(asked).buffer_unordered(AT_ONCE)
    }
}
