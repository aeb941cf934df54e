//! One try: signed, posted, and judged by the answer. A 2xx is an arrival, a 410 the end of the endpoint, anything else
//! something to try again (PROVIDERS D).

use super::client::{Answer, Client};
use crate::{
    book::ReadyEndpoint,
    domain::{
        time::Timestamp,
        webhook::{self, next_try},
    },
    inbound::webhook::sign,
    store::{
        deliveries::{Delivery, Posted},
        endpoints::Gone,
    },
};

/// The longest that is kept of how a try failed.
const WHY_LIMIT: usize = 300;

/// Posts a delivery.
pub(super) async fn attempt(client: &Client, to: &ReadyEndpoint, delivery: &Delivery, now: Timestamp) -> Answer {
    let secret = match &to.secret {
        Ok(secret) => secret,
        Err(problem) => return Answer::Nothing(format!("it cannot be signed: {problem}")),
    };
    let id = delivery.id.to_string();
    // The time of this try, for the receiver refuses what was signed long ago.
    let timestamp = now.seconds();
    let signature = match sign(secret, &id, timestamp, delivery.body.as_bytes()) {
        Ok(signature) => signature,
        Err(problem) => return Answer::Nothing(format!("it cannot be signed: {problem}")),
    };
    let headers = [("webhook-id", id), ("webhook-timestamp", timestamp.to_string()), ("webhook-signature", signature)];
    client.post(&to.endpoint.url, &headers, delivery.body.clone(), now).await
}

/// What follows from an answer. `taken_at`: when the delivery was taken up.
pub(super) fn judge(answer: Answer, failed: i64, taken_at: Timestamp, now: Timestamp, jitter: f64) -> Posted {
    let (why, asked) = match answer {
        Answer::Status(200..=299, _) => return Posted::Arrived,
        Answer::Status(410, _) => {
            let why = "the endpoint answered 410 Gone: it wants no more webhooks".to_owned();
            return Posted::Gone(Gone { why, taken_at });
        }
        Answer::Status(status @ 300..=399, asked) => {
            (format!("the endpoint answered {status}; redirects are not followed"), asked)
        }
        Answer::Status(status, asked) => (format!("the endpoint answered {status}"), asked),
        Answer::Nothing(why) => (why.chars().take(WHY_LIMIT).collect(), None),
    };
    match next_try(failed + 1, asked, jitter, now) {
        Some(at) => Posted::RetryAt(at, why),
        None => Posted::GivenUp(format!("{why}; it was the last of {} tries", webhook::WAITS.len() + 1)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
    const TAKEN: Timestamp = Timestamp::from_millis(1_794_999_999_000);

    #[test]
    fn an_answer_says_what_becomes_of_a_delivery() {
        let after = |seconds| NOW.plus(Duration::from_secs(seconds));
        let status = |status| Answer::Status(status, None);
        for good in [200, 201, 202, 204, 299] {
            assert_eq!(judge(status(good), 3, TAKEN, NOW, 0.0), Posted::Arrived, "{good}");
        }
        for (bad, failed, wait) in [(199, 0, 5), (400, 0, 5), (401, 1, 300), (404, 2, 1_800), (500, 8, 86_400)] {
            let again = Posted::RetryAt(after(wait), format!("the endpoint answered {bad}"));
            assert_eq!(judge(status(bad), failed, TAKEN, NOW, 0.0), again);
        }
        let Posted::RetryAt(_, why) = judge(status(302), 0, TAKEN, NOW, 0.0) else { panic!("a redirect") };
        assert!(why.contains("302; redirects are not followed"), "{why}");
        let asked = Answer::Status(429, Some(Duration::from_secs(60)));
        assert_eq!(
            judge(asked, 0, TAKEN, NOW, 0.0),
            Posted::RetryAt(after(60), "the endpoint answered 429".to_owned())
        );
        let Posted::GivenUp(why) = judge(status(500), 9, TAKEN, NOW, 0.0) else { panic!("the last try") };
        assert_eq!(why, "the endpoint answered 500; it was the last of 10 tries");
        for failed in [0, 9, 50] {
            let Posted::Gone(gone) = judge(status(410), failed, TAKEN, NOW, 0.0) else { panic!("410") };
            assert!(gone.taken_at == TAKEN && gone.why.contains("410 Gone"));
        }
        let long = Answer::Nothing("é".repeat(WHY_LIMIT * 2));
        assert_eq!(judge(long, 0, TAKEN, NOW, 0.0), Posted::RetryAt(after(5), "é".repeat(WHY_LIMIT)));
    }
}
