//! The demo's end: the sums, held against the rows and against the sandbox's own log, and where to look next.

use std::collections::BTreeMap;

use super::{
    super::{Failure, follow::Followed, out::Out},
    Runs,
    stage::Stage,
    story::left_out,
};
use crate::{
    domain::quota::Usage,
    http::views::{self, Audit},
};

/// Two files, WhatsApp, an answer, a free text that is refused, a case that is made and resolved, a schedule.
const RUNS: usize = 8;

/// Whether everything adds up; if not, what does not.
pub struct Verdict {
    pub problems: Vec<String>,
    /// Messages that herald says were handed over.
    pub handed_over: i64,
    /// Messages that the sandbox says it has accepted.
    pub accepted: u64,
}

impl Verdict {
    pub fn holds(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Looks for anything that does not add up.
pub async fn verdict(stage: &Stage, runs: &Runs) -> Result<Verdict, Failure> {
    let mut problems = Vec::new();
    let mut handed_over = 0;
    for Followed { run, sums, audit } in runs {
        if let Audit::Counted(differences) = audit {
            problems.extend(differences.iter().map(|difference| format!("{} ({}): {difference}", run.id, run.name)));
        }
        if sums.waiting() != 0 {
            problems.push(format!("{} ({}): {} messages have no end", run.id, run.name, sums.waiting()));
        }
        handed_over += stage.app.store.handed_over(&stage.org, run.id).await?;
    }
    let accepted = stage.sandbox.summary().accepted;
    if i64::try_from(accepted) != Ok(handed_over) {
        problems.push(format!(
            "the sandbox has accepted {accepted} messages, herald says that it handed over {handed_over}"
        ));
    }
    if runs.len() != RUNS {
        problems.push(format!("{} runs were made instead of {RUNS}", runs.len()));
    }
    let stopped = stage.app.store.replies(&stage.org, crate::domain::time::Timestamp::from_millis(0), 50).await?;
    let stopped = stopped.iter().filter(|reply| reply.keyword == "stop").count();
    match runs.get(1) {
        Some(next) if stopped > 0 && usize::try_from(left_out(next)) == Ok(stopped) => {}
        _ => problems.push(format!("{stopped} people said STOP, and the next run did not leave out just them")),
    }
    Ok(Verdict { problems, handed_over, accepted })
}

/// The summary for people.
pub async fn print(stage: &Stage, out: Out, runs: &Runs, verdict: &Verdict) -> Result<(), Failure> {
    out.line("\nSummary");
    let mut buckets: BTreeMap<&str, i64> = BTreeMap::new();
    let mut languages: BTreeMap<String, i64> = BTreeMap::new();
    let (mut rows, mut segments) = (0, 0);
    for Followed { sums, .. } in runs {
        rows += sums.rows();
        segments += sums.segments();
        sums.buckets().into_iter().for_each(|(bucket, count)| *buckets.entry(bucket).or_default() += count);
        for (locale, count) in views::locales(sums) {
            *languages.entry(locale).or_default() += count;
        }
    }
    for (bucket, count) in &buckets {
        out.line(format!("  {bucket:12} {count:>7}"));
    }
    out.line(format!("  {:12} {rows:>7}  = the rows of {} runs, each in exactly one bucket", "sum", runs.len()));
    let languages: Vec<String> = languages.iter().map(|(locale, count)| format!("{locale} {count}")).collect();
    out.line(format!("\n  by language  {}", languages.join(", ")));
    out.line(format!("  segments     {segments}"));
    let used: Usage =
        stage.app.store.usage(&stage.org, stage.app.clock.now()).await?.into_iter().map(|(_, usage)| usage).sum();
    let limit = stage.app.store.allowance(&stage.org).await?.map_or(0, |allowance| allowance.limit);
    out.line(format!("  quota        {} of {limit} requests of this hour used", used.total));
    if let Some(first) = runs.first() {
        let seconds = views::seconds(&first.run, stage.app.clock.now());
        out.line(format!("  speed        the file: {seconds:.1} s, retries and their waits included"));
    }
    out.line(format!(
        "  handed over  {} messages; the sandbox's own log says {}",
        verdict.handed_over, verdict.accepted
    ));
    if verdict.holds() {
        out.line("\nEverything adds up.");
    } else {
        out.line(format!("\nDOES NOT ADD UP:\n  {}", verdict.problems.join("\n  ")));
    }
    out.line("\nWhere to look next");
    out.line("  examples/acme            the definitions that were applied; `herald check examples/acme` reads them");
    out.line("  README.md                a first send with your own account");
    out.line("  herald demo --serve      the same, and the API stays up");
    Ok(())
}
