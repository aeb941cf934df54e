//! Conversations, answers in them, the times at which people last wrote, and how consent came to be what it is.

use std::collections::BTreeSet;

use herald::{
    domain::{
        contact::{ChannelType, Contact, Slugs},
        fairness::Priority,
        id::{ConversationId, MessageId, OrgId, ReplyId, RunId},
        message::Status,
        run::{Pinned, RunStatus},
        state::MessageState,
        time::Timestamp,
    },
    store::{
        answers::{Accepted, NewAnswer, Taken},
        callbacks::Effects,
        consents::{Consent, StoredConsent},
        conversations::{Conversation, ConversationSearch, ConversationState},
        replies::{Answered, Incoming, NewReply},
        runs::{Lasting, NewRun},
        settle::Word,
    },
};

use crate::{
    bench::{Bench, all_sent, at, contact, new_run, number, patiently, retry_at},
    inbound::{change, reply},
};

/// What somebody's reply is matched by.
pub fn incoming(of: i64, channel: &str, when: i64) -> Incoming<'_> {
    Incoming { from: number(of), channel, at: at(when) }
}

/// A reply of one person, with an id of its own.
fn said(of: i64, when: i64) -> NewReply {
    let id = ReplyId::new(at(when), u128::try_from(of).unwrap() << 64);
    NewReply { id, from: number(of), ..reply(when, &format!("SM{of}.{when}")) }
}

/// An answer to the first person.
pub fn new_answer(conversation: ConversationId, key: Option<&str>) -> NewAnswer {
    let mut slugs = Slugs::default();
    slugs.insert("text", "On its way").unwrap();
    slugs.insert("media", "[]").unwrap();
    let pinned = Pinned { template: None, version: 0, ..new_run(Priority::Automatic).pinned };
    NewAnswer {
        conversation,
        text: "On its way".into(),
        media: vec!["https://example.com/2".into()],
        author: "operator".into(),
        key: key.map(str::to_owned),
        digest: "digest".into(),
        contact: Contact { slugs, ..contact(1) },
        run: NewRun {
            lasting: Lasting::OpenEnded,
            firing: Some("2027-01-15 answers through main".into()),
            pinned,
            ..new_run(Priority::Automatic)
        },
        day_ends: at(1_000_000),
    }
}

impl Bench {
    async fn take_in(&self, org: &OrgId, replies: Vec<NewReply>) -> usize {
        let effects = Effects { replies, ..Effects::default() };
        patiently(|| self.store.apply_callbacks(org, &[], &effects)).await.new_replies
    }

    async fn found(&self, org: &OrgId, search: ConversationSearch) -> Vec<Conversation> {
        self.store.conversations(org, &search, 100).await.unwrap()
    }

    async fn only(&self, org: &OrgId) -> Conversation {
        let mut all = self.found(org, ConversationSearch::default()).await;
        assert_eq!(all.len(), 1);
        all.remove(0)
    }
}

pub async fn the_message_that_a_reply_answers_is_found(bench: Bench) {
    let org = bench.acme().await;
    let mut runs = Vec::new();
    for (round, channel) in ["main", "second", "main", "main"].into_iter().enumerate() {
        let round = i64::try_from(round).unwrap();
        let pinned = Pinned { channel: channel.into(), ..new_run(Priority::Bulk).pinned };
        let run = bench.store.begin_run(&org, &NewRun { pinned, ..new_run(Priority::Bulk) }, at(0)).await.unwrap();
        bench.store.add_chunk(&org, run, 0, &crate::bench::new_messages(1, 2), &[], at(0)).await.unwrap();
        bench.store.open_run(&org, run, at(0)).await.unwrap();
        runs.push(run);
        let request = bench.claim(&org, Priority::Bulk, 1, at(0)).await.remove(0);
        match round {
            // The last one is never sent; the third left through the channel that its own falls back to.
            3 => bench.say(&request, &retry_at(at(9_000)), at(0)).await,
            2 => {
                let Word { states, finish, .. } = all_sent(&request, at(102));
                let via = |(seq, state)| (seq, MessageState { via: "third".into(), ..state });
                let states = states.into_iter().map(via).collect();
                bench.say(&request, &Word { intent: None, states, finish }, at(102)).await
            }
            _ => bench.send(&request, at(100 + round)).await,
        };
    }
    let answered = |run: usize| Some(Answered { message: MessageId { run: runs[run], seq: 1 }, locale: "fr".into() });
    let table = [
        (incoming(1, "main", 99), None),
        (incoming(1, "main", 100), answered(0)),
        (incoming(1, "main", 5_000), answered(0)),
        (incoming(1, "second", 5_000), answered(1)),
        (incoming(1, "third", 5_000), answered(2)),
        (incoming(1, "fourth", 5_000), answered(2)),
        (incoming(1, "fourth", 101), answered(1)),
        (incoming(9, "main", 5_000), None),
    ];
    let asked: Vec<_> = table.iter().map(|(asked, _)| *asked).collect();
    let expected: Vec<_> = table.iter().map(|(_, expected)| expected.clone()).collect();
    assert_eq!(bench.store.answered(&org, &asked).await.unwrap(), expected);
    assert_eq!(bench.store.answered(&org, &[]).await.unwrap(), []);
}

pub async fn replies_share_a_conversation_until_it_ends(bench: Bench) {
    let org = bench.acme().await;
    let store = &bench.store;
    assert_eq!(bench.take_in(&org, vec![said(1, 10), said(1, 20)]).await, 2);
    let first = bench.only(&org).await;
    let about = MessageId { run: RunId::new(at(0), 0), seq: 10 };
    assert_eq!((first.channel.as_str(), first.contact, first.state), ("main", number(1), ConversationState::Open));
    assert_eq!((first.locale.as_str(), first.about, first.messages), ("fr", Some(about), 2));
    assert_eq!((first.opened_at, first.changed_at, first.last_inbound), (at(10), at(20), Some(at(20))));

    // The same again, an earlier one that comes late, and somebody else.
    let late = NewReply { locale: "de".into(), ..said(1, 15) };
    assert_eq!(bench.take_in(&org, vec![said(1, 20), late, said(2, 16)]).await, 2);
    let again = store.conversation(&org, first.id).await.unwrap().unwrap();
    assert_eq!((again.messages, again.changed_at, again.locale.as_str()), (3, at(20), "fr"));
    let places = async |id| -> Vec<(i64, Timestamp)> {
        let replies = store.replies_in(&org, id, 0, 9).await.unwrap();
        replies.iter().map(|reply| (reply.place, reply.received_at)).collect()
    };
    assert_eq!(places(first.id).await, [(1, at(10)), (2, at(20)), (3, at(15))], "in the order in which they came");
    assert_eq!(store.replies_in(&org, first.id, 1, 1).await.unwrap()[0].place, 2);

    assert!(store.end_conversation(&org, first.id, "operator", at(30)).await.unwrap());
    assert!(!store.end_conversation(&org, first.id, "somebody else", at(31)).await.unwrap(), "once");
    let ended = store.conversation(&org, first.id).await.unwrap().unwrap();
    assert_eq!(
        (ended.state, ended.ended_at, ended.ended_by.as_str()),
        (ConversationState::Ended, Some(at(30)), "operator")
    );
    assert_eq!(bench.take_in(&org, vec![said(1, 20)]).await, 0, "what is known is no news in another one either");
    assert_eq!(bench.take_in(&org, vec![said(1, 40)]).await, 1);
    let open =
        ConversationSearch { contact: Some(number(1)), state: Some(ConversationState::Open), ..Default::default() };
    let second = bench.found(&org, open).await.remove(0);
    assert!(second.id != first.id && second.messages == 1 && second.opened_at == at(40), "{second:?}");
    assert_eq!(store.conversation(&org, first.id).await.unwrap().unwrap().messages, 3, "what has ended stays as it is");
    let elsewhere = NewReply { channel: "second".into(), ..said(1, 50) };
    bench.take_in(&org, vec![elsewhere]).await;
    assert_eq!(bench.found(&org, ConversationSearch { contact: Some(number(1)), ..Default::default() }).await.len(), 3);
}

pub async fn racing_replies_open_one_conversation(bench: Bench) {
    let org = bench.acme().await;
    let racing: Vec<_> = (0..6)
        .map(|worker| {
            let (bench, org) = (bench.clone(), org.clone());
            tokio::spawn(async move {
                // Each brings the same ten of everybody, and one of its own.
                let mut replies: Vec<NewReply> = (1..=10).flat_map(|when| [said(1, when), said(2, when)]).collect();
                replies.push(said(1, 100 + worker));
                if worker % 2 == 1 {
                    replies.reverse();
                }
                bench.take_in(&org, replies).await
            })
        })
        .collect();
    let mut news = 0;
    for one in racing {
        news += one.await.unwrap();
    }
    assert_eq!(news, 26);
    let all = bench.found(&org, ConversationSearch::default()).await;
    let mut counts: Vec<(_, i64)> = all.iter().map(|one| (one.contact, one.messages)).collect();
    counts.sort();
    assert_eq!(counts, [(number(1), 16), (number(2), 10)]);
    for one in all {
        let replies = bench.store.replies_in(&org, one.id, 0, 100).await.unwrap();
        let places: Vec<i64> = replies.iter().map(|reply| reply.place).collect();
        assert_eq!(places, (1..=one.messages).collect::<Vec<_>>(), "each has a place of its own");
    }
}

pub async fn conversations_are_listed_newest_first(bench: Bench) {
    let org = bench.acme().await;
    let replies = (1..=6)
        .map(|n| NewReply { channel: if n % 2 == 0 { "second".into() } else { "main".into() }, ..said(n, n * 10) });
    bench.take_in(&org, replies.collect()).await;
    let all = bench.found(&org, ConversationSearch::default()).await;
    for one in &all[2..4] {
        assert!(bench.store.end_conversation(&org, one.id, "operator", at(90)).await.unwrap());
    }
    let listed = async |search: ConversationSearch| -> Vec<Timestamp> {
        bench.found(&org, search).await.iter().map(|one| one.opened_at).collect()
    };
    let (state, channel) = (Some(ConversationState::Open), Some("main".to_owned()));
    let search = ConversationSearch::default;
    assert_eq!(listed(search()).await, [at(60), at(50), at(40), at(30), at(20), at(10)]);
    assert_eq!(listed(ConversationSearch { state, ..search() }).await, [at(60), at(50), at(20), at(10)]);
    assert_eq!(listed(ConversationSearch { channel: channel.clone(), ..search() }).await, [at(50), at(30), at(10)]);
    assert_eq!(listed(ConversationSearch { channel: channel.clone(), state, ..search() }).await, [at(50), at(10)]);
    let of = |n| ConversationSearch { contact: Some(number(n)), ..search() };
    assert_eq!((listed(of(3)).await, listed(of(9)).await), (vec![at(30)], vec![]));
    assert_eq!(listed(ConversationSearch { state, ..of(3) }).await, []);
    assert_eq!(listed(ConversationSearch { channel, ..of(4) }).await, []);
    let page = bench.store.conversations(&org, &search(), 4).await.unwrap();
    let rest = ConversationSearch { before: page.last().map(|one| one.id), ..search() };
    assert_eq!(listed(rest).await, [at(20), at(10)]);
}

pub async fn only_what_comes_in_moves_a_session(bench: Bench) {
    let org = bench.acme().await;
    let people = [number(1), number(2), number(3)];
    let last = async |channel: &str| bench.store.last_inbound(&org, channel, &people).await.unwrap();
    assert_eq!(last("main").await, [].into());
    bench.take_in(&org, vec![said(1, 50), said(1, 40), said(2, 60)]).await;
    bench.take_in(&org, vec![NewReply { channel: "second".into(), ..said(1, 70) }]).await;
    assert_eq!(last("main").await, [(number(1), at(50)), (number(2), at(60))].into());
    assert_eq!(last("second").await, [(number(1), at(70))].into());
    bench.take_in(&org, vec![said(1, 45), said(2, 60)]).await;
    assert_eq!(last("main").await, [(number(1), at(50)), (number(2), at(60))].into(), "never back");
    let conversation =
        bench.found(&org, ConversationSearch { contact: Some(number(2)), ..Default::default() }).await[0].id;
    bench.store.add_answer(&org, &new_answer(conversation, None), at(500)).await.unwrap();
    bench.open(&org, Priority::Bulk, 3).await;
    for request in bench.claim(&org, Priority::Bulk, 9, at(600)).await {
        bench.send(&request, at(600)).await;
    }
    assert_eq!(last("main").await, [(number(1), at(50)), (number(2), at(60))].into(), "what goes out moves nothing");
    assert_eq!(bench.store.last_inbound(&org, "main", &[]).await.unwrap(), [].into());
}

/// What was accepted, and as what.
fn accepted(taken: Taken) -> Accepted {
    let Taken::New(accepted) = taken else { panic!("{taken:?}") };
    accepted
}

pub async fn an_answer_is_a_message_and_a_part_of_its_conversation(bench: Bench) {
    let org = bench.acme().await;
    let store = &bench.store;
    bench.take_in(&org, vec![said(1, 10)]).await;
    let conversation = bench.only(&org).await.id;
    let answer = new_answer(conversation, None);
    let first = accepted(store.add_answer(&org, &answer, at(20)).await.unwrap());
    bench.take_in(&org, vec![said(1, 30)]).await;
    let second =
        accepted(store.add_answer(&org, &NewAnswer { text: "Soon".into(), ..answer.clone() }, at(40)).await.unwrap());
    assert_eq!((first.message.seq, second.message.seq, first.message.run), (1, 2, second.message.run), "one run a day");
    assert_eq!(bench.due(at(40)).await, [("acme".to_owned(), "automatic")], "and the lane is awake");
    assert_eq!(bench.due(at(1_000_000)).await.len(), 2, "and the end of the day is looked after");
    let answers = store.answers_in(&org, conversation, 0, 9).await.unwrap();
    let shown: Vec<_> =
        answers.iter().map(|a| (a.place, a.message, a.text.as_str(), a.author.as_str(), a.created_at)).collect();
    assert_eq!(
        shown,
        [(2, first.message, "On its way", "operator", at(20)), (4, second.message, "Soon", "operator", at(40))]
    );
    assert!(answers[0].state.is_none() && answers[0].media == ["https://example.com/2"]);
    assert_eq!(bench.only(&org).await.messages, 4);
    assert_eq!(bench.only(&org).await.changed_at, at(40));

    let run = bench.run(&org, first.message.run).await;
    assert_eq!((run.pinned.template, run.messages, run.requests, run.status), (None, 2, 2, RunStatus::Running));
    let mut requests = bench.claim(&org, Priority::Automatic, 9, at(50)).await;
    requests.sort_by_key(|request| request.id);
    let message = store.messages_of(&requests[0]).await.unwrap().remove(0);
    assert_eq!(
        (message.to, message.opted_in, message.slugs.as_str()),
        (number(1), true, r#"{"media":"[]","text":"On its way"}"#)
    );
    for request in &requests {
        bench.send(request, at(60)).await;
    }
    let sent = &store.answers_in(&org, conversation, 2, 9).await.unwrap()[0];
    assert_eq!((sent.place, sent.state.as_ref().unwrap().status), (4, Status::Sent));
    bench.adds_up(&org, first.message.run).await;
    let next = store.answered(&org, &[incoming(1, "main", 99)]).await.unwrap().remove(0).unwrap();
    assert_eq!(next.message, second.message, "and the next reply answers it");

    // The day is over and its run complete: what was on its way into it is not lost.
    let day = herald::store::imports::Day { began: at(1_000_000), ends: at(2_000_000) };
    store.tidy(&org, std::time::Duration::from_secs(60), "left", day, at(1_000_000)).await.unwrap();
    assert_eq!(bench.status(&org, first.message.run).await, RunStatus::Completed);
    let third = accepted(store.add_answer(&org, &answer, at(1_000_001)).await.unwrap());
    assert_eq!((third.message.seq, bench.status(&org, first.message.run).await), (3, RunStatus::Running));
}

pub async fn the_same_key_is_the_same_answer(bench: Bench) {
    let org = bench.acme().await;
    let store = &bench.store;
    bench.take_in(&org, vec![said(1, 10), said(2, 10)]).await;
    let all = bench.found(&org, ConversationSearch::default()).await;
    let racing: Vec<_> = (0..6)
        .map(|_| {
            let (store, org, answer) = (store.clone(), org.clone(), new_answer(all[0].id, Some("key")));
            tokio::spawn(async move { patiently(|| store.add_answer(&org, &answer, at(20))).await })
        })
        .collect();
    let (mut new, mut messages) = (0, BTreeSet::new());
    for one in racing {
        let taken = one.await.unwrap();
        let (Taken::New(accepted) | Taken::Known(accepted)) = &taken else { panic!("{taken:?}") };
        new += usize::from(matches!(taken, Taken::New(_)));
        messages.insert(accepted.message);
    }
    assert_eq!((new, messages.len()), (1, 1));
    let message = messages.pop_first().unwrap();
    assert_eq!(bench.run(&org, message.run).await.messages, 1);
    let known = Accepted { message, conversation: all[0].id, at: at(20) };
    assert_eq!(store.answer_under(&org, "key", "digest").await.unwrap(), Some(Taken::Known(known)));
    assert_eq!(store.answer_under(&org, "key", "another").await.unwrap(), Some(Taken::OtherUnderKey));
    assert_eq!(store.answer_under(&org, "", "digest").await.unwrap(), None);
    for other in [
        NewAnswer { digest: "another".into(), ..new_answer(all[0].id, Some("key")) },
        NewAnswer { digest: "another".into(), ..new_answer(all[1].id, Some("key")) },
    ] {
        assert_eq!(store.add_answer(&org, &other, at(30)).await.unwrap(), Taken::OtherUnderKey);
    }
    assert!(store.end_conversation(&org, all[0].id, "operator", at(40)).await.unwrap());
    let again = store.add_answer(&org, &new_answer(all[0].id, Some("key")), at(50)).await.unwrap();
    assert_eq!(again, Taken::Known(known), "also when the conversation has ended since");
}

pub async fn an_answer_that_cannot_be_queued_leaves_nothing(bench: Bench) {
    let org = bench.acme().await;
    let store = &bench.store;
    bench.take_in(&org, vec![said(1, 10), said(2, 10)]).await;
    let all = bench.found(&org, ConversationSearch::default()).await;
    let first = accepted(store.add_answer(&org, &new_answer(all[0].id, None), at(20)).await.unwrap());
    let nowhere = ConversationId::new(at(0), 0);
    assert_eq!(store.add_answer(&org, &new_answer(nowhere, None), at(30)).await.unwrap(), Taken::NoConversation);
    assert!(store.end_conversation(&org, all[0].id, "operator", at(30)).await.unwrap());
    assert_eq!(store.add_answer(&org, &new_answer(all[0].id, None), at(40)).await.unwrap(), Taken::Ended);
    bench.cancel(&org, first.message.run, at(50)).await;
    let cancelled = store.add_answer(&org, &new_answer(all[1].id, Some("key")), at(60)).await.unwrap();
    assert_eq!(cancelled, Taken::Cancelled(first.message.run));
    assert_eq!(bench.run(&org, first.message.run).await.messages, 1);
    assert_eq!(store.answer_under(&org, "key", "digest").await.unwrap(), None);
    assert_eq!(store.conversation(&org, all[1].id).await.unwrap().unwrap().messages, 1);
    bench.adds_up(&org, first.message.run).await;
}

pub async fn every_change_of_consent_is_history(bench: Bench) {
    use ChannelType::{Sms, WhatsApp};
    use Consent::{In, Out, Unknown};
    let org = bench.acme().await;
    let store = &bench.store;
    let set = async |changes: &[_]| store.set_consents(&org, changes).await.unwrap();
    // STOP, START and STOP again that come in one go are three changes; saying the same again is none.
    let words =
        [change(Sms, 1, Out, 30), change(Sms, 1, Out, 10), change(Sms, 1, In, 20), change(WhatsApp, 1, Out, 10)];
    assert_eq!(set(&words).await, 4);
    assert_eq!(set(&[change(Sms, 1, Out, 40), change(Sms, 2, Unknown, 10)]).await, 0);
    // What was said before the last word changes nothing, even if it says something else.
    assert_eq!(set(&[change(Sms, 1, In, 35)]).await, 0);
    assert_eq!(set(&[change(Sms, 1, Unknown, 50), change(WhatsApp, 1, Out, 50)]).await, 1);
    let history = store.consent_history(&org, number(1), None, 9).await.unwrap();
    let told = |one: &StoredConsent| (one.channel_type, one.consent, one.changed_at, one.source.clone());
    let mut shown: Vec<_> = history.iter().map(told).collect();
    shown.sort_by_key(|(channel_type, _, when, _)| (std::cmp::Reverse(*when), *channel_type));
    let row = |channel_type, consent, when| (channel_type, consent, at(when), format!("at {when}"));
    assert_eq!(
        shown,
        [row(Sms, Unknown, 50), row(Sms, Out, 30), row(Sms, In, 20), row(Sms, Out, 10), row(WhatsApp, Out, 10)]
    );
    assert!(history.is_sorted_by_key(|one| std::cmp::Reverse(one.changed_at)), "newest first");
    assert!(history.iter().all(|one| one.actor == "contact"));
    let rest = store.consent_history(&org, number(1), history[1].id, 2).await.unwrap();
    assert_eq!(rest, history[2..4], "a page after another");
    let now = store.consent_of(&org, number(1)).await.unwrap();
    assert_eq!(
        now.iter().map(told).collect::<Vec<_>>(),
        [row(Sms, Unknown, 50), row(WhatsApp, Out, 10)],
        "since when it is so"
    );
    assert_eq!(store.consents(&org, Sms, &[number(1), number(2)]).await.unwrap(), [].into(), "unknown is not known");
    assert_eq!(store.consent_history(&org, number(2), None, 9).await.unwrap(), []);
}

pub async fn racing_words_on_consent_leave_one_change(bench: Bench) {
    let org = bench.acme().await;
    let racing: Vec<_> = (0..6)
        .map(|worker| {
            let (store, org) = (bench.store.clone(), org.clone());
            tokio::spawn(async move {
                let mut words: Vec<_> = (1..=20).map(|n| change(ChannelType::Sms, n, Consent::Out, worker)).collect();
                if worker % 2 == 1 {
                    words.reverse();
                }
                patiently(|| store.set_consents(&org, &words)).await
            })
        })
        .collect();
    let mut changed = 0;
    for one in racing {
        changed += one.await.unwrap();
    }
    assert_eq!(changed, 20);
    for n in 1..=20 {
        assert_eq!(bench.store.consent_history(&org, number(n), None, 9).await.unwrap().len(), 1);
    }
}

pub async fn consents_are_listed_by_channel_and_number(bench: Bench) {
    use ChannelType::{Sms, WhatsApp};
    use Consent::{In, Out};
    let org = bench.acme().await;
    let words: Vec<_> = (1..=4)
        .flat_map(|n| [change(Sms, n, if n == 2 { In } else { Out }, 10), change(WhatsApp, n, Out, 10)])
        .collect();
    bench.store.set_consents(&org, &words).await.unwrap();
    let listed = async |channel_type, consent, after, limit| -> Vec<(ChannelType, u64)> {
        let found = bench.store.list_consents(&org, channel_type, consent, after, limit).await.unwrap();
        found.iter().map(|one| (one.channel_type, one.of.digits() - number(0).digits())).collect()
    };
    let sms = [(Sms, 1), (Sms, 2), (Sms, 3), (Sms, 4)];
    let whatsapp = [(WhatsApp, 1), (WhatsApp, 2), (WhatsApp, 3), (WhatsApp, 4)];
    assert_eq!(listed(None, None, None, 99).await, [sms, whatsapp].concat());
    assert_eq!(listed(Some(Sms), None, None, 99).await, sms);
    assert_eq!(listed(Some(WhatsApp), None, None, 99).await, whatsapp);
    assert_eq!(listed(Some(Sms), Some(Out), None, 99).await, [(Sms, 1), (Sms, 3), (Sms, 4)]);
    assert_eq!(listed(None, Some(In), None, 99).await, [(Sms, 2)]);
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = listed(None, Some(Out), after, 3).await;
        let Some((kind, n)) = page.last() else { break };
        after = Some((*kind, number(i64::try_from(*n).unwrap())));
        pages.push(page);
    }
    assert_eq!(pages.concat(), [vec![(Sms, 1), (Sms, 3), (Sms, 4)], whatsapp.to_vec()].concat());
    assert_eq!(pages.len(), 3);
}
