//! Cases, as events tell of them; and audiences that are taken in a page at a time.

use herald::{
    domain::{
        contact::{OptIn, Slugs},
        fairness::Priority,
        phone::E164,
        run::RunStatus,
    },
    store::{
        audiences::{Kept, Page},
        cases::{CaseContact, CaseWord},
        days::{Batch, Company, Handed},
        once::{Asked, Hold},
        runs::{Lasting, NewRun, Rejected},
    },
};

use crate::bench::{Bench, at, new_messages, new_run};

fn word(id: &str, when: i64) -> CaseWord {
    CaseWord { id: id.into(), at: at(when), status: None, title: None, contact: None }
}

fn of(number: u64, name: &str) -> Option<CaseContact> {
    let mut slugs = Slugs::default();
    slugs.insert("CustomerName", name).unwrap();
    let to = E164::from_digits(number);
    Some(CaseContact { to, opted_in: Some(OptIn::Yes), channel_type: None, locale: "de".parse().ok(), slugs })
}

impl Bench {
    async fn said(&self, words: &[CaseWord], when: i64) {
        let org = "acme".parse().unwrap();
        assert!(self.store.finish_events(&org, &[], words, &[], at(when)).await.unwrap());
    }
}

pub async fn the_latest_word_on_each_part_of_a_case_holds(bench: Bench) {
    let org = bench.acme().await;
    let other = bench.organization("other", 100, 0).await;
    let status = |id, when, status: &str| CaseWord { status: Some(status.into()), ..word(id, when) };
    let created = CaseWord { title: Some("Door".into()), contact: of(1, "Ana"), ..status("C1", 10, "open") };
    let resolved = status("C1", 30, "resolved");
    let updated = CaseWord { title: Some("Front door".into()), contact: of(2, "Bob"), ..word("C1", 20) };
    let all = [created, resolved, updated];
    // One after another or together, in every order: the same case comes of it.
    for (nth, order) in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].into_iter().enumerate() {
        let renamed = |id: String| order.map(|place| CaseWord { id: id.clone(), ..all[place].clone() });
        for one in renamed(format!("one-{nth}")) {
            bench.said(&[one], 50).await;
        }
        bench.said(&renamed(format!("all-{nth}")), 50).await;
        for id in [format!("one-{nth}"), format!("all-{nth}")] {
            let case = store_case(&bench, &id).await;
            assert_eq!((case.status.as_str(), case.title.as_str()), ("resolved", "Front door"), "{order:?}");
            assert_eq!(case.contact, of(2, "Bob"), "{order:?}");
            assert_eq!((case.opened_at, case.event_at, case.changed_at), (at(10), at(30), at(50)));
        }
    }
    // A word of nothing but its time keeps everything; a case of which nothing was said is open.
    bench.said(&[word("one-0", 99), word("bare", 1)], 60).await;
    let (kept, bare) = (store_case(&bench, "one-0").await, store_case(&bench, "bare").await);
    assert_eq!((kept.status.as_str(), kept.event_at), ("resolved", at(99)));
    assert_eq!((bare.status.as_str(), bare.title.as_str(), bare.contact), ("open", "", None));
    // Of two words of one moment, the one that came later.
    bench.said(&[status("bare", 5, "a"), status("bare", 5, "b")], 61).await;
    bench.said(&[status("bare", 5, "c")], 62).await;
    assert_eq!(store_case(&bench, "bare").await.status, "c");
    assert_eq!(bench.store.case(&other, "bare").await.unwrap(), None);
    assert_eq!(bench.store.case(&org, "nothing").await.unwrap(), None);
}

async fn store_case(bench: &Bench, id: &str) -> herald::store::cases::Case {
    bench.store.case(&"acme".parse().unwrap(), id).await.unwrap().unwrap()
}

pub async fn everybody_with_a_case_is_found_once(bench: Bench) {
    let org = bench.acme().await;
    let case = |id: &str, number, status: &str, when| CaseWord {
        status: Some(status.into()),
        contact: of(number, id),
        ..word(id, when)
    };
    let words = [
        case("A", 5, "resolved", 1),
        case("B", 5, "resolved", 9),
        case("C", 5, "open", 20),
        case("D", 3, "resolved", 4),
        case("E", 3, "resolved", 4),
        case("F", 4, "open", 5),
        case("G", 9, "resolved", 6),
        CaseWord { status: Some("resolved".into()), ..word("nobody's", 7) },
    ];
    bench.said(&words, 30).await;
    let walk = async |status: Option<&str>, size| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = bench.store.people_with_cases(&org, status, after, size).await.unwrap();
            let Some(last) = page.last() else { return found };
            after = last.contact.as_ref().map(|contact| contact.to);
            found.extend(page.into_iter().map(|case| case.id));
        }
    };
    for size in [1, 2, 100] {
        assert_eq!(walk(Some("resolved"), size).await, ["E", "B", "G"], "the latest case of each, by number");
        assert_eq!(walk(None, size).await, ["E", "F", "C", "G"]);
        assert!(walk(Some("closed"), size).await.is_empty());
    }
    let ids = async |status: Option<&str>, after: &str, limit| {
        let found = bench.store.cases(&org, status, after, limit).await.unwrap();
        found.into_iter().map(|case| case.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(Some("resolved"), "", 3).await, ["A", "B", "D"]);
    assert_eq!(ids(Some("resolved"), "D", 9).await, ["E", "G", "nobody's"]);
    assert_eq!(ids(None, "B", 2).await, ["C", "D"]);
}

async fn hold(bench: &Bench, key: &str) -> Hold {
    match bench.store.ask_once(&"acme".parse().unwrap(), key, "what", at(0)).await.unwrap() {
        Asked::Anew(hold) => hold,
        known @ (Asked::Underway | Asked::Other | Asked::Answered { .. }) => panic!("{known:?}"),
    }
}

pub async fn a_page_is_added_once_and_goes_on_where_it_stopped(bench: Bench) {
    let org = bench.acme().await;
    let store = &bench.store;
    let run = store.begin_run(&org, &new_run(Priority::Instant), at(0)).await.unwrap();
    assert_eq!(store.run_cursor(&org, run).await.unwrap(), None);
    let page = |from: Option<&str>, to: &str, first, count| Page {
        from: from.map(str::to_owned),
        to: to.to_owned(),
        messages: new_messages(first, count),
        rejected: vec![Rejected { row: first + 1_000, fields: vec![], problems: "no".into() }],
    };
    assert!(store.add_page(&org, run, &page(None, "one", 1, 150), at(1)).await.unwrap());
    assert!(!store.add_page(&org, run, &page(None, "one", 1, 150), at(2)).await.unwrap(), "it is there");
    assert_eq!(store.run_cursor(&org, run).await.unwrap().as_deref(), Some("one"));
    assert!(!store.add_page(&org, run, &page(Some("none"), "two", 151, 9), at(3)).await.unwrap());
    assert!(store.add_page(&org, run, &page(Some("one"), "two", 151, 9), at(3)).await.unwrap());
    let taken = store.run(&org, run).await.unwrap().unwrap();
    assert_eq!((taken.messages, taken.rejected, taken.requests), (159, 2, 3));

    // The answer is there if and only if the run is open.
    let old = hold(&bench, "key").await;
    let new = match store.ask_once(&org, "key", "what", at(400_000)).await.unwrap() {
        Asked::Anew(hold) => hold,
        known @ (Asked::Underway | Asked::Other | Asked::Answered { .. }) => panic!("{known:?}"),
    };
    let kept = |hold| Some(Kept { hold, status: 202, body: "{}" });
    assert!(!store.open_answered(&org, run, kept(&old), at(400_001)).await.unwrap(), "somebody else has the key");
    assert_eq!(bench.status(&org, run).await, RunStatus::Importing);
    assert!(store.open_answered(&org, run, kept(&new), at(400_002)).await.unwrap());
    assert_eq!(bench.status(&org, run).await, RunStatus::Running);
    let answered = Asked::Answered { status: 202, answer: "{}".into() };
    assert_eq!(store.ask_once(&org, "key", "what", at(400_003)).await.unwrap(), answered);
    assert_eq!(store.run_cursor(&org, run).await.unwrap(), None, "nobody asks any more");
    assert!(!store.add_page(&org, run, &page(None, "x", 160, 1), at(400_004)).await.unwrap(), "it takes in no more");
    bench.adds_up(&org, run).await;
}

fn day() -> NewRun {
    NewRun { lasting: Lasting::OpenEnded, firing: Some("2027-01-15".into()), ..new_run(Priority::Automatic) }
}

fn batch(first: i64, count: i64, due: i64, company: Option<(i64, usize)>) -> Batch {
    Batch {
        run: day(),
        due: at(due),
        day_ends: at(1_000_000),
        company: company.map(|(until, enough)| Company { until: at(until), enough }),
        messages: new_messages(first, count),
        rejected: vec![],
    }
}

pub async fn a_request_waits_for_company_until_it_is_full_or_due(bench: Bench) {
    let org = bench.acme().await;
    let store = &bench.store;
    let add = async |first, count, due, company| {
        let batch = batch(first, count, due, company);
        assert!(store.finish_events(&org, &[], &[], &[batch], at(due)).await.unwrap());
    };
    let ready = async |when| {
        let claimed = bench.claim(&org, Priority::Automatic, 99, at(when)).await;
        let mut sizes: Vec<(i64, i64)> = claimed.iter().map(|request| (request.first_seq, request.size)).collect();
        sizes.sort_unstable();
        sizes
    };
    // 130, then 60, then 30 within the same moment: two full requests, and 20 that wait.
    add(1, 130, 10, Some((250, 100))).await;
    assert_eq!(ready(11).await, [(1, 100)], "the rest waits");
    add(131, 60, 20, Some((260, 100))).await;
    assert_eq!(ready(21).await, [], "it is joined, and waits on");
    add(191, 30, 30, Some((270, 100))).await;
    assert_eq!(ready(31).await, [(101, 100)], "it is full");
    assert_eq!(ready(269).await, []);
    assert_eq!(ready(270).await, [(201, 20)], "its time has come");
    // What was claimed is not joined, and neither is what is due.
    add(221, 5, 280, Some((300, 100))).await;
    add(226, 5, 300, Some((400, 100))).await;
    assert_eq!(ready(300).await, [(221, 5)]);
    assert_eq!(ready(400).await, [(226, 5)]);
    // As many as are enough wait for nobody; a call of its own joins nobody, and nobody joins it.
    add(231, 7, 410, Some((900, 7))).await;
    assert_eq!(ready(410).await, [(231, 7)]);
    add(238, 3, 420, Some((900, 7))).await;
    add(241, 2, 420, None).await;
    assert_eq!(ready(420).await, [(241, 2)]);
    add(243, 4, 430, Some((900, 7))).await;
    assert_eq!(ready(899).await, []);
    assert_eq!(ready(900).await, [(238, 3), (243, 4)]);
    let run = store.runs(&org, None, 9).await.unwrap().remove(0);
    assert_eq!((run.messages, run.requests), (246, 9));
    bench.adds_up(&org, run.id).await;
}

pub async fn racing_batches_leave_no_gap(bench: Bench) {
    let org = bench.acme().await;
    let racing: Vec<_> = (0..8)
        .map(|worker| {
            let (store, org) = (bench.store.clone(), org.clone());
            tokio::spawn(async move {
                for round in 0..6 {
                    let company = (worker % 4 != 3).then_some((10_000, 100));
                    let batch = batch(1, 7 + worker, round, company);
                    crate::bench::patiently(|| {
                        store.finish_events(&org, &[], &[], std::slice::from_ref(&batch), at(round))
                    })
                    .await;
                }
            })
        })
        .collect();
    for one in racing {
        one.await.unwrap();
    }
    let run = bench.store.runs(&org, None, 9).await.unwrap().remove(0);
    assert_eq!(run.messages, 6 * (7..15).sum::<i64>());
    bench.adds_up(&org, run.id).await;
    let mut claimed = bench.claim(&org, Priority::Automatic, 999, at(10_000)).await;
    claimed.sort_by_key(|request| request.id);
    assert_eq!(i64::try_from(claimed.len()), Ok(run.requests));
    assert_eq!(claimed.iter().map(|request| request.size).sum::<i64>(), run.messages);
    assert!(claimed.windows(2).all(|two| two[0].first_seq + two[0].size == two[1].first_seq), "{claimed:?}");
}

pub async fn a_call_and_its_answer_are_there_together(bench: Bench) {
    let org = bench.acme().await;
    let store = &bench.store;
    let answer = |added: &herald::store::days::Added| format!("\"{} from {}\"", added.request, added.first);
    let call = batch(1, 3, 1, None);
    let old = hold(&bench, "key").await;
    let new = match store.ask_once(&org, "key", "what", at(400_000)).await.unwrap() {
        Asked::Anew(hold) => hold,
        known @ (Asked::Underway | Asked::Other | Asked::Answered { .. }) => panic!("{known:?}"),
    };
    let handed = store.hand_over(&org, &call, Some((&old, 202)), &answer, at(400_001)).await.unwrap();
    assert_eq!(handed, Handed::Superseded);
    assert!(store.runs(&org, None, 9).await.unwrap().is_empty(), "nothing of it is there");
    for (hold, expected) in [(Some((&new, 202)), "\"1 from 1\""), (None, "\"2 from 4\"")] {
        match store.hand_over(&org, &call, hold, &answer, at(400_002)).await.unwrap() {
            Handed::Over(_, body) => assert_eq!(body, expected),
            other @ (Handed::Cancelled(_) | Handed::Superseded) => panic!("{other:?}"),
        }
    }
    let answered = Asked::Answered { status: 202, answer: "\"1 from 1\"".into() };
    assert_eq!(store.ask_once(&org, "key", "what", at(400_003)).await.unwrap(), answered);
    let run = store.runs(&org, None, 9).await.unwrap().remove(0);
    assert_eq!((run.messages, run.requests), (6, 2));
    bench.cancel(&org, run.id, at(400_004)).await;
    let handed = store.hand_over(&org, &call, None, &answer, at(400_005)).await.unwrap();
    assert_eq!(handed, Handed::Cancelled(run.id));
    bench.adds_up(&org, run.id).await;
}
