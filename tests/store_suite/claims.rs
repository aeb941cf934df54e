//! The claim: in order, leased, fenced, and never more than the hour allows.

use std::collections::BTreeSet;

use herald::{
    domain::{
        fairness::Priority,
        id::RequestId,
        quota::{self, Allowance, Ask},
    },
    store::requests::Claim,
};

use crate::bench::{Bench, LEASE, PLENTY, at, new_messages, new_run, patiently, retry_at};

const BULK: Priority = Priority::Bulk;

pub async fn requests_come_in_order_up_to_the_limit(bench: Bench) {
    let org = bench.acme().await;
    let later = bench.open_at(&org, BULK, 150, at(10)).await;
    let first = bench.open_at(&org, BULK, 250, at(5)).await;
    bench.open_at(&org, Priority::Instant, 100, at(0)).await;
    assert_eq!(bench.claim(&org, BULK, 9, at(4)).await.len(), 0, "nothing is due yet");
    let ids = async |want, now| -> Vec<(bool, i64)> {
        let mut claimed = bench.claim(&org, BULK, want, at(now)).await;
        claimed.sort_by_key(|request| (request.id.run != first, request.id));
        claimed.iter().map(|request| (request.id.run == first, request.id.number)).collect()
    };
    assert_eq!(ids(2, 20).await, [(true, 1), (true, 2)], "the longest due first");
    assert_eq!(ids(0, 20).await, []);
    assert_eq!(ids(2, 20).await, [(true, 3), (false, 1)]);
    assert_eq!(ids(2, 20).await, [(false, 2)]);
    assert_eq!(bench.run(&org, first).await.dispatched, 3);
    assert_eq!(bench.run(&org, later).await.dispatched, 2);
    let usage = bench.store.usage(&org, at(20)).await.unwrap();
    assert_eq!(usage.iter().map(|(_, used)| (used.total, used.bulk)).collect::<Vec<_>>(), [(5, 5)]);
    let nobody = "nobody".parse().unwrap();
    assert!(bench.claim(&nobody, BULK, 9, at(20)).await.is_empty());
}

pub async fn a_lease_hides_a_request_until_it_ends(bench: Bench) {
    let org = bench.acme().await;
    bench.open(&org, BULK, 100).await;
    let mut before = bench.claim(&org, BULK, 1, at(0)).await.remove(0);
    assert_eq!((before.token, before.attempts, before.begun), (1, 1, 0));
    for round in 1..4 {
        let end = round * LEASE;
        assert_eq!(bench.claim(&org, BULK, 9, at(end - 1)).await.len(), 0);
        assert_eq!(bench.due(at(end - 1)).await, []);
        assert_eq!(bench.due(at(end)).await, [("acme".to_owned(), "bulk")], "the lane wakes when the lease ends");
        let again = bench.claim(&org, BULK, 9, at(end)).await.remove(0);
        assert_eq!(again.id, before.id);
        assert!(again.token > before.token && again.attempts == before.attempts + 1);
        before = again;
    }
}

pub async fn a_renewed_lease_lasts_longer(bench: Bench) {
    let org = bench.acme().await;
    bench.open(&org, BULK, 200).await;
    let held = bench.claim(&org, BULK, 2, at(0)).await;
    let mut lost = held.clone();
    lost[1].token -= 1;
    bench.store.renew(&lost, at(2 * LEASE)).await.unwrap();
    let came_round = bench.claim(&org, BULK, 9, at(LEASE)).await;
    assert_eq!(came_round.iter().map(|r| r.id).collect::<Vec<_>>(), [held[1].id], "only the holder renews");
    assert_eq!(bench.claim(&org, BULK, 9, at(2 * LEASE - 1)).await.len(), 0);
    assert_eq!(bench.claim(&org, BULK, 9, at(2 * LEASE)).await.len(), 2);
}

pub async fn racing_claims_grant_exactly_the_limit(bench: Bench) {
    // Chunks of a hundred messages make requests of one message here: it is the requests that count.
    const LIMIT: u64 = 300;
    let org = bench.organization("acme", LIMIT, 0).await;
    let run = bench.store.begin_run(&org, &new_run(BULK), at(0)).await.unwrap();
    for n in 0..500 {
        bench.store.add_chunk(&org, run, n, &new_messages(n + 1, 1), &[], at(0)).await.unwrap();
    }
    bench.store.open_run(&org, run, at(0)).await.unwrap();
    let racing: Vec<_> = (0..64)
        .map(|n| {
            let (bench, org) = (bench.clone(), org.clone());
            tokio::spawn(async move {
                let want = [100, 7, 33, 1][n % 4];
                patiently(|| bench.try_claim(&org, BULK, want, at(0))).await
            })
        })
        .collect();
    let (mut granted, mut refused) = (BTreeSet::new(), 0);
    for claim in racing {
        let Claim { requests, exhausted_until, .. } = claim.await.unwrap();
        assert!(requests.iter().all(|request| granted.insert(request.id)), "nothing is claimed twice");
        refused += usize::from(exhausted_until.is_some());
    }
    assert_eq!(granted.len() as u64, LIMIT);
    assert!(refused > 0);
    let used: u64 = bench.store.usage(&org, at(0)).await.unwrap().iter().map(|(_, used)| used.total).sum();
    assert_eq!((used, bench.run(&org, run).await.dispatched), (LIMIT, 300));
}

pub async fn racing_claims_never_share_a_request(bench: Bench) {
    let org = bench.acme().await;
    bench.open(&org, BULK, 4_000).await;
    let racing: Vec<_> = (0..16)
        .map(|_| {
            let (bench, org) = (bench.clone(), org.clone());
            tokio::spawn(async move { patiently(|| bench.try_claim(&org, BULK, 3, at(0))).await.requests })
        })
        .collect();
    let mut seen: BTreeSet<RequestId> = BTreeSet::new();
    for claimed in racing {
        let claimed = claimed.await.unwrap();
        assert!(claimed.len() <= 3 && claimed.iter().all(|request| seen.insert(request.id)));
    }
    assert_eq!(seen.len(), 40);
}

pub async fn a_part_of_the_hour_is_kept_for_automatic_messages(bench: Bench) {
    let org = bench.organization("acme", 10, 20).await;
    bench.open(&org, BULK, 1_200).await;
    bench.open(&org, Priority::Instant, 1_200).await;
    bench.open(&org, Priority::Automatic, 1_200).await;
    assert_eq!(bench.claim(&org, BULK, 5, at(0)).await.len(), 5);
    assert_eq!(bench.claim(&org, Priority::Instant, 50, at(0)).await.len(), 3, "the rest without the reserve");
    assert_eq!(bench.claim(&org, Priority::Automatic, 50, at(0)).await.len(), 2, "the reserve");
    for priority in Priority::ALL {
        assert!(bench.try_claim(&org, priority, 1, at(0)).await.unwrap().exhausted_until.is_some());
    }
}

pub async fn a_used_up_hour_puts_the_lane_to_sleep(bench: Bench) {
    let org = bench.organization("acme", 3, 0).await;
    let other = bench.organization("other", PLENTY, 0).await;
    let run = bench.open(&org, BULK, 1_000).await;
    bench.open(&other, BULK, 100).await;
    let first = bench.claim(&org, BULK, 2, at(0)).await;
    assert_eq!(bench.claim(&org, BULK, 2, at(20_000)).await.len(), 1, "as far as the hour allows");
    bench.say(&first[0], &retry_at(at(25_000)), at(25_000)).await;
    let claim = bench.try_claim(&org, BULK, 2, at(30_000)).await.unwrap();
    let buckets = bench.store.usage(&org, at(30_000)).await.unwrap();
    let until = quota::retry_at(Allowance { limit: 3, reserved_percent: 0 }, &buckets, Ask::Bulk, at(30_000));
    assert_eq!((claim.requests.len(), claim.exhausted_until), (0, Some(until)));
    assert!(until.millis() > at(3_600_000).millis());
    let asleep = herald::domain::time::Timestamp::from_millis(until.millis() - 1);
    assert_eq!(bench.due(asleep).await, [("other".to_owned(), "bulk")], "another organization never notices");
    assert_eq!(bench.due(until).await.len(), 2);
    let claim = bench.try_claim(&org, BULK, 9, until).await.unwrap();
    assert_eq!((claim.requests.len(), claim.exhausted_until), (2, None), "what the first bucket had is free again");
    assert_eq!(bench.run(&org, run).await.dispatched, 5);
    let raised = crate::bench::organization("acme", 100, 0);
    bench.store.save_definitions(&raised, &[], until).await.unwrap();
    assert_eq!(bench.claim(&org, BULK, 50, until).await.len(), 8, "a raised limit holds at once");
}

pub async fn an_empty_lane_rests_and_wakes(bench: Bench) {
    let org = bench.acme().await;
    assert_eq!(bench.due(at(0)).await, []);
    bench.open(&org, BULK, 100).await;
    let request = bench.claim(&org, BULK, 9, at(0)).await.remove(0);
    bench.send(&request, at(1)).await;
    assert_eq!(bench.claim(&org, BULK, 9, at(2 * LEASE)).await.len(), 0);
    assert_eq!(bench.due(at(i64::from(i32::MAX))).await, [], "nothing to do, ever");
    bench.open_at(&org, BULK, 100, at(3 * LEASE)).await;
    assert_eq!(bench.due(at(3 * LEASE)).await, [("acme".to_owned(), "bulk")]);
    let request = bench.claim(&org, BULK, 9, at(3 * LEASE)).await.remove(0);
    bench.say(&request, &retry_at(at(3 * LEASE + 500)), at(3 * LEASE)).await;
    assert_eq!(bench.due(at(3 * LEASE + 499)).await, []);
    assert_eq!(bench.due(at(3 * LEASE + 500)).await, [("acme".to_owned(), "bulk")]);
}

pub async fn work_that_arrives_as_a_lane_goes_to_rest_is_not_forgotten(bench: Bench) {
    let org = bench.acme().await;
    let (mut claimed, rounds) = (0, 60);
    for _ in 0..rounds {
        let adding = tokio::spawn({
            let (bench, org) = (bench.clone(), org.clone());
            async move { bench.open(&org, BULK, 1).await }
        });
        let claiming: Vec<_> = (0..3)
            .map(|_| {
                let (bench, org) = (bench.clone(), org.clone());
                tokio::spawn(async move { patiently(|| bench.try_claim(&org, BULK, 5, at(0))).await.requests.len() })
            })
            .collect();
        for count in claiming {
            claimed += count.await.unwrap();
        }
        adding.await.unwrap();
    }
    while !bench.due(at(0)).await.is_empty() {
        claimed += bench.claim(&org, BULK, 5, at(0)).await.len();
    }
    assert_eq!(claimed, rounds);
}
