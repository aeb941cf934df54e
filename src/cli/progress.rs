//! How far a file has come: a bar on a terminal, a line now and then elsewhere.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use indicatif::ProgressBar;

use super::out::Out;
use crate::intake::upload::Progress;

/// Percent between two lines where nobody watches a bar.
const LINE_EVERY: u64 = 10;

/// What is shown of one file.
#[derive(Debug)]
struct Shown {
    /// What is being done, and the bar for it.
    now: Option<(&'static str, ProgressBar)>,
    /// Percent that were told in a line.
    told: u64,
}

/// Shows how a file is checked, and then taken in.
pub fn of_file(out: Out, path: &Path) -> impl Fn(Progress) + Send + Sync + 'static {
    let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
    let shown = Mutex::new(Shown { now: None, told: 0 });
    move |progress| {
        let (what, done) = match progress {
            Progress::Checked(done) => ("checking", done),
            Progress::TakenIn(done) => ("taking in", done),
        };
        shown.lock().unwrap_or_else(PoisonError::into_inner).show(out, what, done, bytes);
    }
}

impl Shown {
    fn show(&mut self, out: Out, what: &'static str, done: u64, bytes: u64) {
        if self.now.as_ref().is_none_or(|(before, _)| *before != what) {
            *self = Self { now: Some((what, out.bar(bytes, what))), told: 0 };
        }
        let Some((_, bar)) = &self.now else { return };
        bar.set_position(done);
        if done >= bytes {
            bar.finish_and_clear();
        }
        let percent = done.min(bytes) * 100 / bytes.max(1);
        if !out.is_watched() && percent >= self.told + LINE_EVERY {
            self.told = percent - percent % LINE_EVERY;
            out.note(format!("  {what}: {} %", self.told));
        }
    }
}
