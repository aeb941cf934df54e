//! What the journeys share: the operator, who uses the commands on the same database, and the audit of a run.

use std::collections::BTreeMap;

use herald::{
    domain::{id::RunId, message::Status, run::Sums},
    sandbox::{Call, Settings},
};
use serde_json::Value;

use crate::support::{HOOK_SECRET, Stage};

impl Stage {
    /// What a command of the binary prints, as JSON, and its exit code.
    pub async fn herald(&self, arguments: &[&str]) -> (Value, i32) {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_herald"))
            .args(["--output", "json", "--database-url", self.app.config.database_url.expose()])
            .args(arguments)
            .env("ACME_TWILIO_TOKEN", Settings::DEFAULT_AUTH_TOKEN)
            .env("ACME_TELESIGN_KEY", Settings::DEFAULT_API_KEY)
            .env("ACME_ACS_KEY", Settings::DEFAULT_ACS_ACCESS_KEY)
            .env("ACME_HOOK_SECRET", HOOK_SECRET)
            .current_dir(self.folder.path())
            .output()
            .await
            .unwrap();
        let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|problem| {
            panic!("{arguments:?}: {problem}: {output:?}");
        });
        (document, output.status.code().unwrap())
    }

    /// The calls that the sandbox has had, in their order.
    pub fn calls(&self) -> Vec<Call> {
        let page = self.sandbox().calls(0, 100_000, None);
        assert_eq!((page.next_after, page.dropped), (None, 0));
        page.calls
    }

    /// How often the sandbox has accepted a message to each number.
    pub fn accepted(&self) -> BTreeMap<String, usize> {
        let mut accepted = BTreeMap::new();
        for call in self.calls().into_iter().filter(|call| call.accepted) {
            *accepted.entry(call.to.to_string()).or_default() += 1;
        }
        accepted
    }

    /// The texts that the sandbox has accepted for a number, in their order.
    pub fn texts_to(&self, number: &str) -> Vec<String> {
        let calls = self.calls().into_iter().filter(|call| call.accepted && &*call.to == number);
        calls.map(|call| call.body.to_string()).collect()
    }

    /// The sums of a run are those of its rows, and every row stands in exactly one bucket.
    pub async fn assert_adds_up(&self, run: RunId, rows: i64) {
        let kept = self.sums(run).await;
        let counted = self.app.store.recount(&self.org, run).await.unwrap();
        assert_eq!(kept.disagreements(&counted), Vec::<String>::new());
        let in_buckets: i64 = kept.buckets().iter().map(|(_, count)| count).sum();
        assert_eq!((kept.rows(), in_buckets), (rows, rows), "{:?}", kept.buckets());
    }
}

/// The buckets of a run, by name.
pub fn buckets(sums: &Sums) -> BTreeMap<&'static str, i64> {
    sums.buckets().into_iter().collect()
}

/// How many messages are with the provider, or were.
pub fn handed_over(sums: &Sums) -> i64 {
    [Status::Sent, Status::Delivered, Status::Undelivered].iter().map(|status| sums.of(*status)).sum()
}
