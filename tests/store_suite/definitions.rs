//! Changes of definitions: noticed if another was quicker, refused if a run still needs what is to go, and whole: with what lives
//! and dies with a definition.

use herald::{
    domain::{
        fairness::Priority,
        id::{ConfigurationId, HookId, OrgId, TemplateId},
        time::Timestamp,
    },
    store::{
        access::TokenKind,
        accounts::AccountState,
        definitions::{Base, Change, Firing, InTheWay, Kind, NewDefinition, Save, Saved},
        runs::NewRun,
    },
};

use crate::bench::{Bench, PLENTY, at, configuration, contact, new_run, organization};

fn new(kind: Kind, id: &str, name: &str, body: &str) -> NewDefinition {
    NewDefinition { kind, fresh_id: id.to_owned(), name: name.to_owned(), body: body.to_owned() }
}

/// What is saved of `acme`.
struct Wanted {
    definitions: Vec<NewDefinition>,
    removed: Vec<(Kind, String)>,
    firings: Vec<(String, Firing)>,
    base: Base,
}

fn nothing() -> Wanted {
    Wanted { definitions: Vec::new(), removed: Vec::new(), firings: Vec::new(), base: Base::Any }
}

fn removing(gone: &[(Kind, &str)]) -> Wanted {
    Wanted { removed: gone.iter().map(|(kind, name)| (*kind, (*name).to_owned())).collect(), ..nothing() }
}

async fn save(bench: &Bench, change: &Wanted, now: Timestamp) -> Saved {
    let organization = organization("acme", PLENTY, 0);
    let Wanted { definitions, removed, firings, base } = change;
    bench
        .store
        .save(&Save { organization: &organization, definitions, removed, firings, base: *base }, now)
        .await
        .unwrap()
}

async fn names(bench: &Bench, org: &OrgId) -> Vec<String> {
    let all = bench.store.definitions(org).await.unwrap();
    all.iter().map(|one| format!("{} {} {}", one.kind.as_str(), one.name, one.version)).collect()
}

pub async fn a_change_of_what_is_another_by_now_changes_nothing(bench: Bench) {
    let of =
        |body: &str, base| Wanted { definitions: vec![new(Kind::Channel, "chn_1", "main", body)], base, ..nothing() };
    assert!(matches!(save(&bench, &of("1", Base::At(Some(1))), at(0)).await, Saved::Stale), "there is none yet");
    let org: OrgId = "acme".parse().unwrap();
    assert_eq!(bench.store.organization(&org).await.unwrap(), None);
    assert_eq!(
        save(&bench, &of("1", Base::At(None)), at(0)).await,
        Saved::Done(Change::Created, vec![Change::Created])
    );
    assert_eq!(save(&bench, &of("2", Base::At(None)), at(0)).await, Saved::Stale);
    assert_eq!(save(&bench, &of("2", Base::At(Some(0))), at(0)).await, Saved::Stale);
    assert_eq!(names(&bench, &org).await, ["channel main 1"]);
    // Eight have seen the same; one is in time.
    let racing: Vec<_> = (0..8)
        .map(|nth| {
            let bench = bench.clone();
            tokio::spawn(async move {
                let change = Wanted {
                    definitions: vec![new(Kind::Channel, "chn_1", "main", &format!("body {nth}"))],
                    base: Base::At(Some(1)),
                    ..nothing()
                };
                save(&bench, &change, at(1)).await
            })
        })
        .collect();
    let mut done = 0;
    for saved in racing {
        done += usize::from(matches!(saved.await.unwrap(), Saved::Done(..)));
    }
    assert_eq!((done, names(&bench, &org).await), (1, vec!["channel main 2".to_owned()]));
    assert_eq!(bench.store.organization(&org).await.unwrap().unwrap().1, 2);
    let found = bench.store.definitions(&org).await.unwrap();
    assert_eq!(found[0].changed_at, at(1));
}

pub async fn what_goes_takes_its_own_with_it(bench: Bench) {
    let store = &bench.store;
    let org = bench.acme().await;
    let template = TemplateId::new(at(0), 7 << 64);
    let id = configuration(3);
    let endpoint = r#"{"url":"https://example.com","secret":{"env":"S"},"events":["*"],"active":true}"#;
    let first = Wanted {
        definitions: vec![
            new(Kind::Account, "acc_1", "main", "{}"),
            new(Kind::Hook, &HookId::new(at(0), 1).to_string(), "main", "{}"),
            new(Kind::Template, &template.to_string(), "main", "one"),
            new(Kind::Configuration, &id.to_string(), "main", "{}"),
            new(Kind::Endpoint, "end_1", "main", endpoint),
            new(Kind::List, "lst_1", "main", "{}"),
        ],
        firings: vec![("main".to_owned(), Firing::Next(Some(at(60_000))))],
        ..nothing()
    };
    save(&bench, &first, at(0)).await;
    for kind in [TokenKind::Account, TokenKind::Hook] {
        store.ensure_token(&org, kind, "main", &format!("acme.{kind:?}")).await.unwrap();
    }
    let stopped = AccountState { stopped: "why".to_owned(), ..AccountState::default() };
    store.set_account_state(&org, "main", &stopped).await.unwrap();
    store.add_list_entries(&org, "main", 1, 0, &[contact(1), contact(2)]).await.unwrap();
    assert_eq!(store.next_firing(&org, id).await.unwrap(), Some(at(60_000)));

    let kinds = [Kind::Account, Kind::Hook, Kind::Template, Kind::Configuration, Kind::Endpoint, Kind::List];
    let gone: Vec<(Kind, &str)> = kinds.iter().map(|kind| (*kind, "main")).chain([(Kind::Channel, "never")]).collect();
    let revision = store.organization(&org).await.unwrap().unwrap().1;
    assert_eq!(save(&bench, &removing(&gone), at(1)).await, Saved::Done(Change::Unchanged, vec![]));
    assert_eq!(store.organization(&org).await.unwrap().unwrap().1, revision + 1);
    assert!(names(&bench, &org).await.is_empty());
    assert!(store.tokens(&org, TokenKind::Account).await.unwrap().is_empty());
    assert!(store.tokens(&org, TokenKind::Hook).await.unwrap().is_empty());
    assert_eq!(store.account_state(&org, "main").await.unwrap(), None, "another of this name is not stopped");
    assert_eq!(store.next_firing(&org, id).await.unwrap(), None);
    assert!(store.list_entries(&org, "main", 1, 0, 10).await.unwrap().is_empty());
    let subscribed = bench.ask("SELECT endpoint FROM subscriptions").await;
    assert!(subscribed.is_empty(), "nothing more is kept for an endpoint that is gone");
    let kept = store.template_version(&org, template, 1).await.unwrap();
    assert_eq!(kept.as_deref(), Some("one"), "a run keeps the version that it began with");
    // Nothing goes twice, and what was not there changes nothing.
    assert_eq!(save(&bench, &removing(&gone), at(2)).await, Saved::Done(Change::Unchanged, vec![]));
    assert_eq!(store.organization(&org).await.unwrap().unwrap().1, revision + 1);
}

pub async fn what_a_run_needs_does_not_go_before_it(bench: Bench) {
    let org = bench.acme().await;
    let there = Wanted {
        definitions: vec![new(Kind::Channel, "chn_1", "main", "{}"), new(Kind::List, "lst_1", "people", "{}")],
        ..nothing()
    };
    save(&bench, &there, at(0)).await;
    let listed = NewRun { source: "list people, version 1".to_owned(), ..new_run(Priority::Bulk) };
    let run = bench.store.begin_run(&org, &listed, at(0)).await.unwrap();
    bench.store.add_chunk(&org, run, 0, &crate::bench::new_messages(1, 3), &[], at(0)).await.unwrap();
    let in_the_way = |kind: Kind, name: &str| {
        let needs = (kind, name.to_owned());
        Saved::Needed(vec![InTheWay { run, configuration: "Reminder".to_owned(), needs }])
    };
    let gone = |kind, name: &'static str| removing(&[(kind, name)]);
    for (kind, name) in [(Kind::List, "people"), (Kind::Channel, "main")] {
        assert_eq!(save(&bench, &gone(kind, name), at(1)).await, in_the_way(kind, name));
    }
    let both = removing(&[(Kind::Channel, "other"), (Kind::List, "peop"), (Kind::Channel, "main")]);
    assert_eq!(save(&bench, &both, at(1)).await, in_the_way(Kind::Channel, "main"));
    bench.store.open_run(&org, run, at(1)).await.unwrap();
    assert_eq!(save(&bench, &gone(Kind::List, "people"), at(2)).await, Saved::Done(Change::Unchanged, vec![]));
    assert_eq!(save(&bench, &gone(Kind::Channel, "main"), at(2)).await, in_the_way(Kind::Channel, "main"));
    bench.store.begin_cancel(&org, run).await.unwrap();
    while bench.store.cancel_some(&org, run, at(3)).await.unwrap() {}
    assert_eq!(save(&bench, &gone(Kind::Channel, "main"), at(4)).await, Saved::Done(Change::Unchanged, vec![]));
    assert!(names(&bench, &org).await.is_empty());
}

pub async fn firings_are_saved_with_what_fires(bench: Bench) {
    let org = bench.acme().await;
    let id: ConfigurationId = configuration(5);
    let next = |millis: i64| Firing::Next(Some(at(millis)));
    for (what, body, firing, now, expected) in [
        ("new", "1", next(100), 0, Some(100)),
        ("the same, later: it stays", "1", next(200), 50, Some(100)),
        ("another schedule", "2", next(150), 50, Some(150)),
        ("due, and the scheduler's to judge", "3", next(900), 150, Some(150)),
        ("inactive", "4", Firing::Never, 160, None),
        ("active again", "5", next(300), 160, Some(300)),
        ("no more times", "6", Firing::Next(None), 160, None),
        ("the same, and it fires again", "6", next(400), 160, Some(400)),
    ] {
        let change = Wanted {
            definitions: vec![new(Kind::Configuration, &id.to_string(), "main", body)],
            firings: vec![("main".to_owned(), firing), ("unknown".to_owned(), next(1))],
            ..nothing()
        };
        save(&bench, &change, at(now)).await;
        assert_eq!(bench.store.next_firing(&org, id).await.unwrap(), expected.map(at), "{what}");
    }
    let due = bench.store.due_work(at(1_000), 10).await.unwrap();
    assert!(due.iter().any(|work| work.kind == herald::store::lanes::LaneKind::Schedules), "the lane is awake");
}
