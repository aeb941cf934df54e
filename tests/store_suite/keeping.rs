//! What is kept as it was given: definitions, lists, keys, tokens, account states.

use herald::{
    domain::{
        id::{KeyId, RunId, TemplateId},
        time::Timestamp,
    },
    store::{
        access::{StoredKey, TokenKind},
        accounts::AccountState,
        definitions::{Change, Kind, NewDefinition},
        runs::Rejected,
    },
};

use crate::bench::{Bench, at, contact, new_run, organization};

fn new(kind: Kind, id: &str, name: &str, body: &str) -> NewDefinition {
    NewDefinition { kind, fresh_id: id.to_owned(), name: name.to_owned(), body: body.to_owned() }
}

pub async fn definitions_are_versioned(bench: Bench) {
    let store = &bench.store;
    let acme = organization("acme", 100, 5);
    let template = TemplateId::new(at(0), 7 << 64);
    let first = [new(Kind::Template, &template.to_string(), "hello", "one"), new(Kind::Channel, "chn_1", "main", "{}")];
    let saved = store.save_definitions(&acme, &first, at(0)).await.unwrap();
    assert_eq!(saved, (Change::Created, vec![Change::Created, Change::Created]));
    let saved = store.save_definitions(&acme, &first, at(1)).await.unwrap();
    assert_eq!(saved, (Change::Unchanged, vec![Change::Unchanged, Change::Unchanged]));
    assert_eq!(
        store.organization(&acme.id).await.unwrap(),
        Some((acme.clone(), 1)),
        "nothing changed, the same revision"
    );

    // Another id is offered; the first one stays. The channel is not named and stays too.
    let second = [new(Kind::Template, "tpl_other", "hello", "two"), new(Kind::Account, "acc_1", "hello", "{}")];
    let saved = store.save_definitions(&acme, &second, at(2)).await.unwrap();
    assert_eq!(saved, (Change::Unchanged, vec![Change::Changed, Change::Created]));
    let known = store.definitions(&acme.id).await.unwrap();
    let shown: Vec<_> = known.iter().map(|d| (d.kind.as_str(), d.id.clone(), d.body.as_str(), d.version)).collect();
    let id = template.to_string();
    assert_eq!(
        shown,
        [
            ("account", "acc_1".to_owned(), "{}", 1),
            ("channel", "chn_1".to_owned(), "{}", 1),
            ("template", id, "two", 2)
        ]
    );
    for (version, source) in [(1, Some("one")), (2, Some("two")), (3, None)] {
        let kept = store.template_version(&acme.id, template, version).await.unwrap();
        assert_eq!(kept.as_deref(), source, "a run keeps the version that it began with");
    }

    let raised = organization("acme", 200, 10);
    assert_eq!(store.save_definitions(&raised, &[], at(3)).await.unwrap(), (Change::Changed, vec![]));
    assert_eq!(store.organization(&acme.id).await.unwrap(), Some((raised.clone(), 3)));
    assert_eq!(store.allowance(&acme.id).await.unwrap(), Some(raised.allowance()));
    assert_eq!(store.organizations().await.unwrap(), [acme.id]);
}

pub async fn two_may_apply_a_new_organization_at_once(bench: Bench) {
    for round in 0..5 {
        let name = format!("org-{round}");
        let applying: Vec<_> = (0..4)
            .map(|n| {
                let (store, name) = (bench.store.clone(), name.clone());
                tokio::spawn(async move {
                    let definitions = [
                        new(Kind::Channel, &format!("chn_{n}"), "main", "{}"),
                        new(Kind::Template, &format!("tpl_{n}"), "hello", "{}"),
                    ];
                    store.save_definitions(&organization(&name, 100, 5), &definitions, at(0)).await.unwrap()
                })
            })
            .collect();
        let mut created = 0;
        for applied in applying {
            created += usize::from(applied.await.unwrap() == (Change::Created, vec![Change::Created, Change::Created]));
        }
        assert_eq!(created, 1, "one makes them, the others find them");
    }
}

pub async fn lists_have_versions(bench: Bench) {
    let store = &bench.store;
    let org = bench.acme().await;
    let people: Vec<_> = (1..=5).map(contact).collect();
    for version in 1..=3 {
        let count = usize::try_from(version).unwrap();
        store.add_list_entries(&org, "all", version, 0, &people[..2]).await.unwrap();
        store.add_list_entries(&org, "all", version, 2, &people[2..2 + count]).await.unwrap();
        store.add_list_entries(&org, "all", version, 2, &people[2..2 + count]).await.unwrap();
    }
    let read = store.list_entries(&org, "all", 3, 0, 100).await.unwrap();
    assert_eq!(read.iter().map(|entry| entry.contact.clone()).collect::<Vec<_>>(), people);
    let page = store.list_entries(&org, "all", 3, 1, 2).await.unwrap();
    assert_eq!(page.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [2, 3]);
    // Version 2 is current: 1 may still be read by a run, 3 was never finished.
    store.add_list_entries(&org, "all", 4, 0, &people).await.unwrap();
    store.keep_list_versions(&org, "all", 3).await.unwrap();
    for (version, rows) in [(1, 0), (2, 4), (3, 5), (4, 0)] {
        assert_eq!(store.list_entries(&org, "all", version, 0, 100).await.unwrap().len(), rows, "version {version}");
    }
}

pub async fn keys_are_kept_and_revoked(bench: Bench) {
    let store = &bench.store;
    let org = bench.acme().await;
    let key = |n: u128| StoredKey {
        id: KeyId::new(at(0), n << 64),
        name: format!("key {n}"),
        scope: "send".to_owned(),
        secret_hash: format!("{n:064}"),
        created_at: at(0),
        revoked_at: None,
        last_used_at: None,
    };
    store.add_key(&org, &key(1)).await.unwrap();
    store.add_key(&org, &key(2)).await.unwrap();
    let one = store.key(&org, key(1).id).await.unwrap().unwrap();
    assert_eq!(
        (one.name, one.scope, one.secret_hash, one.revoked_at),
        ("key 1".into(), "send".into(), key(1).secret_hash, None)
    );
    assert!(store.revoke_key(&org, key(1).id, at(5)).await.unwrap());
    assert!(!store.revoke_key(&org, key(1).id, at(6)).await.unwrap(), "it has ended already");
    assert!(!store.revoke_key(&org, key(3).id, at(6)).await.unwrap(), "there is none");
    let all: Vec<Option<Timestamp>> = store.keys(&org).await.unwrap().iter().map(|key| key.revoked_at).collect();
    assert_eq!(all, [Some(at(5)), None]);
}

pub async fn a_token_is_made_once(bench: Bench) {
    let store = &bench.store;
    let org = bench.acme().await;
    let racing: Vec<_> = (0..8)
        .map(|n| {
            let (store, org) = (store.clone(), org.clone());
            tokio::spawn(async move {
                store.ensure_token(&org, TokenKind::Account, "twilio", &format!("fresh-{n}")).await.unwrap()
            })
        })
        .collect();
    let mut tokens = Vec::new();
    for token in racing {
        tokens.push(token.await.unwrap());
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "everybody is told the same");
    assert_eq!(store.token(&org, TokenKind::Account, &tokens[0]).await.unwrap().as_deref(), Some("twilio"));
    assert_eq!(store.token(&org, TokenKind::Hook, &tokens[0]).await.unwrap(), None, "an account's token opens no hook");
    store.ensure_token(&org, TokenKind::Hook, "twilio", "other").await.unwrap();
    assert_eq!(store.tokens(&org, TokenKind::Hook).await.unwrap(), [("twilio".to_owned(), "other".to_owned())].into());
}

pub async fn account_states_are_kept(bench: Bench) {
    let store = &bench.store;
    let org = bench.acme().await;
    assert_eq!(store.account_state(&org, "twilio").await.unwrap(), None);
    let stopped = AccountState { stopped: "refused".into(), checked_at: None, checked: String::new() };
    let checked = AccountState { stopped: String::new(), checked_at: Some(at(3)), checked: "good".into() };
    for state in [stopped, checked] {
        store.set_account_state(&org, "twilio", &state).await.unwrap();
        assert_eq!(store.account_state(&org, "twilio").await.unwrap(), Some(state));
    }
}

pub async fn a_nul_is_replaced_and_stops_nothing(bench: Bench) {
    let store = &bench.store;
    let org = bench.acme().await;
    let run: RunId = store.begin_run(&org, &new_run(herald::domain::fairness::Priority::Bulk), at(0)).await.unwrap();
    let fields = vec!["a\0b".to_owned(), r"c\u0000d".to_owned(), r"e\".to_owned()];
    let rejected = Rejected { row: 2, fields, problems: "x\0y".to_owned() };
    let state = AccountState { stopped: "no\0 no".into(), checked_at: None, checked: r"C:\\u0000".into() };
    store.add_chunk(&org, run, 0, &[], &[rejected], at(0)).await.unwrap();
    store.set_account_state(&org, "twilio", &state).await.unwrap();
    let kept = store.rejected_rows(&org, run, 0, 10).await.unwrap();
    assert_eq!(kept[0].problems, "x\u{fffd}y");
    assert_eq!(kept[0].fields[1..], [r"c\u0000d", r"e\"]);
    let kept = store.account_state(&org, "twilio").await.unwrap().unwrap();
    assert_eq!((kept.stopped.as_str(), kept.checked.as_str()), ("no\u{fffd} no", r"C:\\u0000"));
}
