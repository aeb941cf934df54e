//! Nothing crosses from one organization to another, whatever ids are asked for.

use std::collections::{BTreeMap, BTreeSet};

use herald::{
    domain::{
        contact::ChannelType,
        fairness::Priority,
        id::{CallbackId, ConversationId, KeyId, MessageId, OrgId, RunId, TemplateId},
        message::Status,
        timeline::Before,
    },
    store::{
        access::{StoredKey, TokenKind},
        accounts::AccountState,
        answers::Taken,
        callbacks::{Effects, StoredCallback},
        consents::Consent,
        conversations::ConversationSearch,
        definitions::{Kind, NewDefinition},
        deliveries::{Delivery, Order, Posted},
        endpoints::Gone,
        events::StoredEvent,
        messages::MessageSearch,
        requests::Claimed,
        runs::{NewRun, Rejected},
        schedules::DueFiring,
        settle::{Fence, Word},
    },
};

use crate::{
    bench::{Bench, LEASE, all_sent, at, configuration, contact, new_messages, number, organization, state},
    conversations::{incoming, new_answer},
    inbound::{change, reply},
    timeline,
};

struct Filled {
    run: RunId,
    request: Claimed,
    key: KeyId,
    template: TemplateId,
    conversation: ConversationId,
}

/// An organization that has something of everything.
async fn filled(bench: &Bench, org: &OrgId) -> Filled {
    let store = &bench.store;
    let template = TemplateId::new(at(0), 1 << 64);
    let definition =
        NewDefinition { kind: Kind::Template, fresh_id: template.to_string(), name: "t".into(), body: "b".into() };
    let endpoint = NewDefinition {
        kind: Kind::Endpoint,
        fresh_id: "end_1".into(),
        name: "crm".into(),
        body: r#"{"url": "https://example.com/", "secret": {"env": "X"}}"#.into(),
    };
    store.save_definitions(&organization("acme", 100, 0), &[definition, endpoint], at(0)).await.unwrap();
    let new = NewRun { digest: "digest".into(), priority: Priority::Bulk, ..timeline::shown() };
    let run = store.begin_run(org, &new, at(0)).await.unwrap();
    let rejected = Rejected { row: 9, fields: vec![], problems: "x".into() };
    let messages: Vec<_> =
        new_messages(1, 3).into_iter().map(|one| timeline::about(one, "incident", "the case")).collect();
    store.add_chunk(org, run, 0, &messages, &[rejected], at(0)).await.unwrap();
    store.open_run(org, run, at(0)).await.unwrap();
    let request = bench.claim(org, Priority::Bulk, 1, at(0)).await.remove(0);
    bench.say(&request, &Word { finish: None, ..all_sent(&request, at(1)) }, at(1)).await;
    bench.open(org, Priority::Bulk, 3).await;
    let held = bench.open(org, Priority::Bulk, 3).await;
    store.stop_run(org, held, "held", "why").await.unwrap();
    let key = KeyId::new(at(0), 1 << 64);
    let stored = StoredKey {
        id: key,
        name: "k".into(),
        scope: "read".into(),
        secret_hash: "h".into(),
        created_at: at(0),
        revoked_at: None,
        last_used_at: None,
    };
    store.add_key(org, &stored).await.unwrap();
    store.ensure_token(org, TokenKind::Account, "twilio", "token").await.unwrap();
    store.set_account_state(org, "twilio", &AccountState::default()).await.unwrap();
    store.add_list_entries(org, "all", 1, 0, &[contact(1)]).await.unwrap();
    store.set_consents(org, &[change(ChannelType::Sms, 1, Consent::Out, 0)]).await.unwrap();
    store
        .record_events(&[(org, StoredEvent { id: "e".into(), body: String::new(), received_at: at(0) })])
        .await
        .unwrap();
    let callback = StoredCallback {
        id: CallbackId::new(at(0), 0),
        account: "twilio".into(),
        body: String::new(),
        received_at: at(0),
    };
    store.record_callbacks(&[(org, callback)]).await.unwrap();
    store.apply_callbacks(org, &[], &Effects { replies: vec![reply(1, "SM1")], ..Effects::default() }).await.unwrap();
    let conversation = store.conversations(org, &ConversationSearch::default(), 9).await.unwrap().remove(0).id;
    store.add_answer(org, &new_answer(conversation, Some("key")), at(2)).await.unwrap();
    store.set_schedule(org, configuration(1), Some(at(100))).await.unwrap();
    store.test_endpoint(org, "crm", at(0)).await.unwrap();
    Filled { run, request, key, template, conversation }
}

/// What an organization sees when it asks for these ids: how many of each.
async fn seen(bench: &Bench, org: &OrgId, ids: &Filled) -> Vec<usize> {
    let (store, run) = (&bench.store, ids.run);
    let of_run = MessageSearch { run: Some(run), ..MessageSearch::default() };
    let to = MessageSearch { to: Some(number(1)), ..MessageSearch::default() };
    let mine = Claimed { org: org.clone(), ..ids.request.clone() };
    let sums = store.sums(org, run).await.unwrap();
    let recount = store.recount(org, run).await.unwrap();
    vec![
        store.definitions(org).await.unwrap().len(),
        usize::from(store.template_version(org, ids.template, 1).await.unwrap().is_some()),
        store.runs(org, None, 9).await.unwrap().len(),
        usize::from(store.run(org, run).await.unwrap().is_some()),
        usize::from(store.run_facts(org, run).await.unwrap().is_some()),
        usize::try_from(sums.rows()).unwrap() + sums.tallies.len(),
        usize::try_from(recount.rows()).unwrap() + recount.tallies.len(),
        store.rejected_rows(org, run, 0, 9).await.unwrap().len(),
        store.held_runs(org).await.unwrap().len(),
        store.running_runs(org).await.unwrap().len(),
        store.messages_of(&mine).await.unwrap().len(),
        usize::from(store.message(org, MessageId { run, seq: 1 }).await.unwrap().is_some()),
        store.search_messages(org, &of_run, 9).await.unwrap().len(),
        store.search_messages(org, &to, 9).await.unwrap().len(),
        store.messages_by_id(org, &[MessageId { run, seq: 1 }]).await.unwrap().len(),
        usize::from(store.answered(org, &[incoming(1, "main", 9)]).await.unwrap()[0].is_some()),
        store.conversations(org, &ConversationSearch::default(), 9).await.unwrap().len(),
        usize::from(store.conversation(org, ids.conversation).await.unwrap().is_some()),
        store.replies_in(org, ids.conversation, 0, 9).await.unwrap().len(),
        store.answers_in(org, ids.conversation, 0, 9).await.unwrap().len(),
        usize::from(store.answer_under(org, "key", "digest").await.unwrap().is_some()),
        store.last_inbound(org, "main", &[number(1)]).await.unwrap().len(),
        store.consent_history(org, number(1), None, 9).await.unwrap().len(),
        store.list_consents(org, None, None, None, 9).await.unwrap().len(),
        usize::from(store.provider_id_taken(org, number(1), "SM1", MessageId { run, seq: 2 }).await.unwrap()),
        store.usage(org, at(0)).await.unwrap().len(),
        usize::from(store.key(org, ids.key).await.unwrap().is_some()),
        store.keys(org).await.unwrap().len(),
        usize::from(store.token(org, TokenKind::Account, "token").await.unwrap().is_some()),
        store.tokens(org, TokenKind::Account).await.unwrap().len(),
        usize::from(store.account_state(org, "twilio").await.unwrap().is_some()),
        store.list_entries(org, "all", 1, 0, 9).await.unwrap().len(),
        store.consents(org, ChannelType::Sms, &[number(1)]).await.unwrap().len(),
        store.consent_of(org, number(1)).await.unwrap().len(),
        store.new_events(org, 9).await.unwrap().len(),
        store.waiting_callbacks(org, 9).await.unwrap().len(),
        store.replies(org, at(0), 9).await.unwrap().len(),
        usize::from(store.next_firing(org, configuration(1)).await.unwrap().is_some()),
        store.endpoint_states(org).await.unwrap().len(),
        store.deliveries(org, "crm", None, None, 9).await.unwrap().len(),
        store.activities_of(org, number(1), Before::NOTHING, 9).await.unwrap().len(),
        store.activities_regarding(org, "the case", Before::NOTHING, 9).await.unwrap().len(),
        store.replies_of(org, number(1), Before::NOTHING, 9).await.unwrap().len(),
        store.messages_by_id(org, &[MessageId { run, seq: 1 }]).await.unwrap().len(),
        store.activity_runs(org, [run]).await.unwrap().len(),
        store.activity_requests(org, [mine.id]).await.unwrap().len(),
    ]
}

pub async fn another_organization_reads_nothing(bench: Bench) {
    let (org, other) = (bench.acme().await, bench.organization("other", 100, 0).await);
    let ids = filled(&bench, &org).await;
    let mine = seen(&bench, &org, &ids).await;
    assert!(mine.iter().all(|count| *count > 0), "whoever owns it sees it: {mine:?}");
    let theirs = seen(&bench, &other, &ids).await;
    assert!(theirs.iter().all(|count| *count == 0), "{theirs:?}");
    assert_eq!(bench.store.allowance(&"nobody".parse().unwrap()).await.unwrap(), None);
    assert_eq!(bench.store.organization(&"nobody".parse().unwrap()).await.unwrap(), None);
}

pub async fn another_organization_changes_nothing(bench: Bench) {
    let (org, other) = (bench.acme().await, bench.organization("other", 100, 0).await);
    let ids = filled(&bench, &org).await;
    let (store, run) = (&bench.store, ids.run);
    let dump = async || {
        let mut all = Vec::new();
        for table in [
            "definitions",
            "runs",
            "requests",
            "messages",
            "message_states",
            "tallies",
            "api_keys",
            "idempotency_keys",
            "streams",
            "tokens",
            "events",
            "callbacks",
            "schedules",
            "conversations",
            "answers",
            "list_entries",
            "subscriptions",
            "endpoint_states",
            "deliveries",
            "lanes",
            "activities",
        ] {
            let mut rows = bench.ask(&format!("SELECT * FROM {table} WHERE org_id = 'acme'")).await;
            rows.sort();
            all.push(rows);
        }
        all
    };
    let before = dump().await;
    let foreign = Claimed { org: other.clone(), ..ids.request.clone() };
    assert_eq!(bench.say(&foreign, &all_sent(&foreign, at(2)), at(2)).await, Fence::Lost);
    store.renew(std::slice::from_ref(&foreign), at(9 * LEASE)).await.unwrap();
    assert_eq!(
        store.apply_receipts(&other, &[(MessageId { run, seq: 1 }, state(Status::Read, at(3)))]).await.unwrap(),
        1
    );
    assert!(!store.stop_run(&other, run, "paused", "").await.unwrap());
    assert!(!store.resume_run(&other, run, at(3)).await.unwrap());
    assert!(!store.begin_cancel(&other, run).await.unwrap());
    assert!(!store.cancel_some(&other, run, at(3)).await.unwrap());
    assert_eq!(store.retry_failed(&other, run, at(3)).await.unwrap(), 0);
    store.add_chunk(&other, run, 3, &new_messages(1, 1), &[], at(3)).await.unwrap();
    store.open_run(&other, run, at(3)).await.unwrap();
    store.fail_run(&other, run, "x", at(3)).await.unwrap();
    assert!(!store.revoke_key(&other, ids.key, at(3)).await.unwrap());
    assert!(!store.finish_events(&other, &[("e".into(), String::new())], &[], &[], at(3)).await.unwrap());
    store.apply_callbacks(&other, &[CallbackId::new(at(0), 0)], &Effects::default()).await.unwrap();
    assert!(!store.end_conversation(&other, ids.conversation, "somebody", at(3)).await.unwrap());
    let answer = new_answer(ids.conversation, None);
    assert_eq!(store.add_answer(&other, &answer, at(3)).await.unwrap(), Taken::NoConversation);
    store.keep_list_versions(&other, "all", 9).await.unwrap();
    assert_eq!(store.lease_firings(&other, at(500), at(900)).await.unwrap(), []);
    store
        .finish_firing(&other, DueFiring { configuration: configuration(1), at: at(100), decided: None }, None)
        .await
        .unwrap();
    store.set_schedule(&other, configuration(1), None).await.unwrap();
    assert!(bench.claim(&other, Priority::Bulk, 99, at(9 * LEASE)).await.is_empty());
    assert!(!store.enable_endpoint(&other, "crm", at(3)).await.unwrap());
    let (live, names) = (BTreeMap::from([("crm".to_owned(), 9)]), BTreeSet::from(["crm".to_owned()]));
    for (live, ended) in [(&live, &BTreeSet::new()), (&BTreeMap::new(), &names)] {
        let order = Order { live, disabled: &BTreeSet::new(), ended, now: at(9 * LEASE), lease_until: at(10 * LEASE) };
        let taken = store.take_deliveries(&other, &order).await.unwrap();
        assert_eq!((taken.deliveries.len(), taken.dropped), (0, 0));
    }
    let waiting = store.deliveries(&org, "crm", None, None, 1).await.unwrap().remove(0);
    let delivery =
        Delivery { endpoint: "crm".into(), id: waiting.id, body: waiting.body, failed: waiting.failed, token: 0 };
    let gone = Posted::Gone(Gone { why: "x".into(), taken_at: at(9 * LEASE) });
    for posted in [Posted::Arrived, Posted::GivenUp("x".into()), gone] {
        store.settle_deliveries(&[(&other, &delivery, &posted)], at(9)).await.unwrap();
    }
    assert_eq!(dump().await, before);
}
