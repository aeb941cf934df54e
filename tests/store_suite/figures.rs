//! What plans are made of: what texts amount to, what is under way.

use herald::{
    domain::{
        contact::ChannelType,
        fairness::Priority,
        figures::{Alphabet, Amount, Figures, TextKind},
    },
    store::consents::Consent,
};

use crate::{
    bench::{Bench, at, new_run},
    inbound::change,
};

/// Figures by locale and country, messages and segments.
pub fn of(kinds: &[(&str, &str, u64, u64)]) -> Figures {
    let mut all = Figures::default();
    for (locale, country, messages, segments) in kinds {
        let alphabet = if segments == messages { Alphabet::Gsm7 } else { Alphabet::Ucs2 };
        let kind = TextKind { locale: (*locale).into(), alphabet, country: country.parse().ok() };
        all.add(kind, Amount { messages: *messages, segments: *segments });
    }
    all
}

pub async fn what_texts_amount_to_is_added_up(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.store.begin_run(&org, &new_run(Priority::Instant), at(0)).await.unwrap();
    let other = bench.store.begin_run(&org, &new_run(Priority::Bulk), at(0)).await.unwrap();
    assert!(bench.store.run_texts(&org, run).await.unwrap().is_empty());
    bench.store.add_run_texts(&org, run, &Figures::default()).await.unwrap();
    let first = of(&[("en", "US", 70, 70), ("ja", "JP", 10, 20)]);
    bench.store.add_run_texts(&org, run, &first).await.unwrap();
    assert_eq!(bench.store.run_texts(&org, run).await.unwrap(), first);
    // A chunk later: more of the same, and texts to a number whose country nobody knows.
    bench.store.add_run_texts(&org, run, &of(&[("en", "US", 30, 30), ("ja", "-", 1, 2)])).await.unwrap();
    let all = of(&[("en", "US", 100, 100), ("ja", "JP", 10, 20), ("ja", "-", 1, 2)]);
    assert_eq!(bench.store.run_texts(&org, run).await.unwrap(), all);
    assert!(bench.store.run_texts(&org, other).await.unwrap().is_empty());
}

pub async fn runs_under_way_are_those_with_requests_left(bench: Bench) {
    let org = bench.acme().await;
    let instant = bench.open(&org, Priority::Instant, 150).await;
    let bulk = bench.open(&org, Priority::Bulk, 50).await;
    let held = bench.open(&org, Priority::Bulk, 50).await;
    bench.store.stop_run(&org, held, "held", "why").await.unwrap();
    bench.store.begin_run(&org, &new_run(Priority::Bulk), at(0)).await.unwrap(); // importing
    let ids = async || -> Vec<_> {
        let found = bench.store.runs_under_way(&org, 9).await.unwrap();
        found.into_iter().map(|run| (run.id, run.priority, run.open_requests)).collect()
    };
    let mut all = ids().await;
    all.sort();
    let mut expected = vec![(instant, Priority::Instant, 2), (bulk, Priority::Bulk, 1)];
    expected.sort();
    assert_eq!(all, expected);
    for request in bench.claim(&org, Priority::Bulk, 1, at(0)).await {
        bench.send(&request, at(0)).await;
    }
    assert_eq!(ids().await, [(instant, Priority::Instant, 2)]);
    assert_eq!(bench.store.runs_under_way(&org, 0).await.unwrap().len(), 0);
}

pub async fn opt_outs_are_known_by_channel_type(bench: Bench) {
    let org = bench.acme().await;
    let known = async |channel_type| bench.store.has_opt_outs(&org, channel_type).await.unwrap();
    bench.store.set_consents(&org, &[change(ChannelType::Sms, 1, Consent::In, 0)]).await.unwrap();
    assert!(!known(ChannelType::Sms).await);
    bench.store.set_consents(&org, &[change(ChannelType::Sms, 1, Consent::Out, 1)]).await.unwrap();
    assert!(known(ChannelType::Sms).await && !known(ChannelType::WhatsApp).await);
}
