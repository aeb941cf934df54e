//! The group commit: many words, one transaction. While one commit is on its way to the disk the next words gather, so the
//! groups are as large as the load makes them, and no timer decides.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{clock::Clock, store::StoreError};

/// Words that may wait for their group; whoever has more to say waits until there is room.
const QUEUE: usize = 4096;
/// The largest group.
const GROUP: usize = 512;
/// Between two tries of a commit that a passing trouble of the database prevented.
const PAUSE: Duration = Duration::from_millis(200);

/// What writes a group; its answers are in the order of the words.
pub type Write<W, A> =
    Box<dyn Fn(Arc<Vec<W>>) -> Pin<Box<dyn Future<Output = Result<Vec<A>, StoreError>> + Send>> + Send>;

/// What to do when the database is locked or away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Try again until it is back: what has happened must be written.
    Endless,
    /// Say so: the caller has somebody to tell.
    None,
}

/// Why a word was not written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotWritten {
    /// The store refused the group.
    #[error("the group was not written: {0}")]
    Store(Arc<StoreError>),
    /// The committer has ended.
    #[error("nothing is written any more: the process is shutting down")]
    Closed,
}

type Waiting<W, A> = (W, oneshot::Sender<Result<A, NotWritten>>);

/// Where words are handed in. Cheap to clone.
#[derive(Debug)]
pub struct Committer<W, A>(mpsc::Sender<Waiting<W, A>>);

impl<W, A> Clone for Committer<W, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<W: Send + Sync + 'static, A: Send + 'static> Committer<W, A> {
    /// Starts the one task that commits. It ends when the last [`Committer`] is dropped and everything is written; the owner
    /// of the handle notices.
    pub fn start(clock: Clock, patience: Patience, write: Write<W, A>) -> (Self, JoinHandle<()>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let task = tokio::spawn(commit_groups(queue, clock, patience, write));
        (Self(sender), task)
    }

    /// Hands a word in; returns when it is durable, with the answer.
    pub async fn say(&self, word: W) -> Result<A, NotWritten> {
        let (answer, heard) = oneshot::channel();
        self.0.send((word, answer)).await.map_err(|_| NotWritten::Closed)?;
        heard.await.map_err(|_| NotWritten::Closed)?
    }
}

async fn commit_groups<W, A>(
    mut queue: mpsc::Receiver<Waiting<W, A>>,
    clock: Clock,
    patience: Patience,
    write: Write<W, A>,
) {
    let mut group = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut group, GROUP).await > 0 {
        let (words, waiting): (Vec<W>, Vec<_>) = group.drain(..).unzip();
        let words = Arc::new(words);
        let written = loop {
            match write(words.clone()).await {
                Err(problem) if patience == Patience::Endless && problem.is_passing() => {
                    tracing::warn!(words = words.len(), %problem, "a commit waits for the database");
                    clock.sleep(PAUSE).await;
                }
                done => break done,
            }
        };
        match written {
            // Whoever no longer listens has been cancelled: what was written stays written.
            Ok(answers) => waiting.into_iter().zip(answers).for_each(|(heard, answer)| drop(heard.send(Ok(answer)))),
            Err(problem) => {
                tracing::error!(words = words.len(), problem = %crate::telemetry::chain(&problem), "a commit failed");
                let problem = Arc::new(problem);
                waiting.into_iter().for_each(|heard| drop(heard.send(Err(NotWritten::Store(problem.clone())))));
            }
        }
    }
}
