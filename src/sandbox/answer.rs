//! How a call is answered, whatever its provider: as it should be, late, not at all, or by cutting the connection.

use std::time::Duration;

use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use super::{connection::Line, faults::Manner, magic::Behaviour, state::State};

/// What a recipient's magic digits refuse.
pub(super) enum Refusal {
    /// With the provider's code.
    Code(u32),
    /// By closing the connection.
    Drop,
}

impl Behaviour {
    /// Whether nothing is accepted. `first` is asked when it matters whether this is the first try for the recipient.
    pub(super) fn refusal(self, first: impl FnOnce() -> bool) -> Option<Refusal> {
        match self {
            Behaviour::Refuse(code) => Some(Refusal::Code(code)),
            Behaviour::RefuseOnce(code) => first().then_some(Refusal::Code(code)),
            Behaviour::DropOnce => first().then_some(Refusal::Drop),
            Behaviour::Undelivered(_)
            | Behaviour::Failed(_)
            | Behaviour::Reply(_)
            | Behaviour::Hang
            | Behaviour::HangOnce
            | Behaviour::DropAfter
            | Behaviour::ErrorAfter
            | Behaviour::SlowMs(_)
            | Behaviour::NoReceipts
            | Behaviour::DoubleReceipts
            | Behaviour::ReversedReceipts
            | Behaviour::StaysSent => None,
        }
    }
}

impl Manner {
    /// The manner that the recipient's magic digits ask for, else the faults'. `first` is asked when it matters whether
    /// this is the first try for the recipient.
    pub(super) fn draw(state: &State, magic: Option<Behaviour>, first: impl FnOnce() -> bool) -> Manner {
        Manner::of_magic(magic, first).unwrap_or_else(|| state.dice.manner())
    }

    /// The manner that the recipient's magic digits ask for, if they do.
    pub(super) fn of_magic(magic: Option<Behaviour>, first: impl FnOnce() -> bool) -> Option<Manner> {
        match magic? {
            Behaviour::Hang => Some(Manner::Hang),
            Behaviour::HangOnce => first().then_some(Manner::Hang),
            Behaviour::DropAfter => Some(Manner::Drop),
            Behaviour::ErrorAfter => Some(Manner::Error),
            Behaviour::SlowMs(ms) => Some(Manner::AnswerAfter(Duration::from_millis(ms))),
            Behaviour::Refuse(_)
            | Behaviour::RefuseOnce(_)
            | Behaviour::Undelivered(_)
            | Behaviour::Failed(_)
            | Behaviour::Reply(_)
            | Behaviour::DropOnce
            | Behaviour::NoReceipts
            | Behaviour::DoubleReceipts
            | Behaviour::ReversedReceipts
            | Behaviour::StaysSent => None,
        }
    }

    /// How little of the answer the caller gets, to compare two manners.
    pub(super) fn badness(self) -> (u8, Duration) {
        match self {
            Manner::Answer => (0, Duration::ZERO),
            Manner::AnswerAfter(delay) => (1, delay),
            Manner::Error => (2, Duration::ZERO),
            Manner::Drop => (3, Duration::ZERO),
            Manner::Hang => (4, Duration::ZERO),
        }
    }

    /// The status for the log: none if the caller never gets one.
    pub(super) fn status(self, good: u16) -> Option<u16> {
        match self {
            Manner::Answer | Manner::AnswerAfter(_) => Some(good),
            Manner::Error => Some(500),
            Manner::Hang | Manner::Drop => None,
        }
    }
}

/// Answers the call of an accepted message, and notes in the log under `number` that it was answered, if it was.
pub(super) async fn accepted(
    state: &State,
    line: &Line,
    number: u64,
    manner: Manner,
    good: Response,
    error: impl FnOnce() -> Response,
) -> Response {
    accepted_all(state, line, &[number], manner, good, error).await
}

/// The same for a call with many messages.
pub(super) async fn accepted_all(
    state: &State,
    line: &Line,
    numbers: &[u64],
    manner: Manner,
    good: Response,
    error: impl FnOnce() -> Response,
) -> Response {
    let response = match manner {
        Manner::Answer => good,
        Manner::AnswerAfter(delay) => {
            tokio::time::sleep(delay).await;
            good
        }
        Manner::Error => error(),
        Manner::Hang => {
            // Ends when the caller hangs up (then this future is dropped) or when the sandbox stops.
            let mut stopping = state.stopping.clone();
            let _stopped = stopping.wait_for(|stop| *stop).await.is_ok();
            return cut(line);
        }
        Manner::Drop => return cut(line),
    };
    numbers.iter().for_each(|number| state.log.answered(*number));
    response
}

/// Answers a call of which nothing was accepted.
pub(super) fn refused(state: &State, number: u64, response: Response) -> Response {
    state.log.answered(number);
    response
}

/// What is returned is never written.
pub(super) fn cut(line: &Line) -> Response {
    line.cut();
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
