//! What the handlers and the callback task share, and how a sandbox's parts hang together.
//!
//! Every lock in here is held for a moment and never across an await.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{
    acs::Acs,
    callbacks::{self, CallbackCounts, Counters, Kind},
    faults::Dice,
    log::{CallLog, Provider, Summary, without_plus},
    schedule::Schedule,
    settings::Settings,
    telesign::TeleSign,
    twilio::Twilio,
};

/// A running sandbox, seen from inside.
pub(super) struct State {
    pub settings: Settings,
    pub dice: Dice,
    pub log: CallLog,
    pub schedule: Schedule,
    pub client: reqwest::Client,
    pub twilio: Twilio,
    pub telesign: TeleSign,
    pub acs: Acs,
    pub stopping: watch::Receiver<bool>,
    receipts: [Counters; Provider::ALL.len()],
    replies: [Counters; Provider::ALL.len()],
    tries: Mutex<HashSet<(Provider, String)>>,
    inbound: Mutex<Inbound>,
}

/// Where inbound messages go.
#[derive(Default)]
struct Inbound {
    every: Option<url::Url>,
    by_number: HashMap<String, url::Url>,
}

impl State {
    pub(super) fn new(settings: Settings, stopping: watch::Receiver<bool>) -> reqwest::Result<Arc<State>> {
        let every = settings.inbound_url.as_deref().and_then(|address| url::Url::parse(address).ok());
        Ok(Arc::new(State {
            dice: Dice::new(settings.faults.clone(), settings.seed),
            log: CallLog::new(settings.log_limit),
            schedule: Schedule::new(settings.callbacks.queue_limit),
            client: callbacks::client(&settings.callbacks)?,
            twilio: Twilio::new(&settings),
            telesign: TeleSign::new(&settings),
            acs: Acs::new(&settings),
            stopping,
            receipts: Default::default(),
            replies: Default::default(),
            tries: Mutex::default(),
            inbound: Mutex::new(Inbound { every, by_number: HashMap::new() }),
            settings,
        }))
    }

    pub(super) fn counters(&self, provider: Provider, kind: Kind) -> &Counters {
        let [twilio, telesign, acs] = match kind {
            Kind::Receipt => &self.receipts,
            Kind::Reply => &self.replies,
        };
        match provider {
            Provider::Twilio => twilio,
            Provider::TeleSign => telesign,
            Provider::Acs => acs,
        }
    }

    /// True the first time that it is asked about a recipient.
    pub(super) fn first_try(&self, provider: Provider, recipient: &str) -> bool {
        self.tries().insert((provider, recipient.to_owned()))
    }

    /// The provider of one of our numbers: the first with an account that lists it, else the one that has last sent from it,
    /// else Twilio.
    pub(super) fn provider_of(&self, number: &str) -> Provider {
        let lists = |provider: &Provider| match provider {
            Provider::Twilio => self.twilio.lists(number),
            Provider::TeleSign => self.telesign.lists(number),
            Provider::Acs => self.acs.lists(number),
        };
        let listed = Provider::ALL.into_iter().find(lists);
        listed.or_else(|| self.log.last_sent_from(number)).unwrap_or(Provider::Twilio)
    }

    /// Where an inbound message to `number` is posted: to the number's own URL, else the account's, else everybody's.
    pub(super) fn inbound_url(&self, number: &str, account: Option<&url::Url>) -> Option<url::Url> {
        let inbound = self.inbound();
        inbound.by_number.get(without_plus(number)).or(account).or(inbound.every.as_ref()).cloned()
    }

    /// Sets where inbound messages are posted, for one number or for all others.
    pub(super) fn set_inbound_url(&self, number: Option<String>, url: url::Url) {
        let mut inbound = self.inbound();
        match number {
            Some(number) => {
                inbound.by_number.insert(without_plus(&number).to_owned(), url);
            }
            None => inbound.every = Some(url),
        }
    }

    pub(super) fn summary(&self) -> Summary {
        let mut counts = self.log.counts();
        let (pending, overflowed) = self.schedule.counts();
        let (mut receipts, mut replies) = (CallbackCounts::default(), CallbackCounts::default());
        for provider in Provider::ALL {
            let of = counts.providers.entry(provider).or_default();
            of.receipts = self.counters(provider, Kind::Receipt).read();
            of.replies = self.counters(provider, Kind::Reply).read();
            receipts += of.receipts;
            replies += of.replies;
        }
        Summary {
            calls: counts.calls,
            accepted: counts.accepted,
            repeats: counts.repeats,
            unique_recipients: counts.unique,
            recipients_more_than_once: counts.repeated,
            more_than_once: counts.first_repeated,
            refused: counts.refused,
            unanswered: counts.unanswered,
            receipts,
            replies,
            pending,
            overflowed,
            log_kept: counts.kept,
            log_dropped: counts.dropped,
            failed_handshakes: self.acs.failed_handshakes(),
            providers: counts.providers,
        }
    }

    /// Forgets the calls and every count; messages and opt-outs stay.
    pub(super) fn clear_log(&self) {
        self.log.clear();
        self.receipts.iter().chain(&self.replies).for_each(Counters::clear);
    }

    /// Forgets everything but settings, faults and inbound URLs.
    pub(super) fn reset(&self) {
        self.schedule.clear();
        self.twilio.clear();
        self.telesign.clear();
        self.acs.clear();
        self.tries().clear();
        self.clear_log();
    }

    fn tries(&self) -> MutexGuard<'_, HashSet<(Provider, String)>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbound(&self) -> MutexGuard<'_, Inbound> {
        self.inbound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
