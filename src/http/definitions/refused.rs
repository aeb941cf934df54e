//! A change of definitions that was refused, as an answer: what is wrong with the body by its places, what stands in the way by
//! name.

use axum::http::StatusCode;

use super::problem::{FieldError, Problem};
use crate::{
    definitions::{ApplyError, Broken, FieldProblem, Refused},
    secret::NotSealed,
    store::definitions::{InTheWay, Kind},
};

/// Answers a refusal about the definition of this kind and name.
pub(super) fn answer(refused: Refused, what: &str, name: &str) -> Problem {
    match refused {
        Refused::Missing => Problem::not_found(format!("there is no {what} \"{name}\"")),
        Refused::Taken => {
            let detail = format!("there is {what} \"{name}\" already; PUT says something else of it");
            Problem::new(StatusCode::CONFLICT, "name_taken", detail)
        }
        Refused::Changed(tag) => {
            let detail = format!(
                "it is another than If-Match says: its ETag is \"{tag}\" now; read it again before changing it"
            );
            Problem::new(StatusCode::PRECONDITION_FAILED, "changed_meanwhile", detail)
        }
        Refused::Invalid(problems) => {
            let detail =
                format!("the {what} is not good, and nothing was changed; errors says what is wrong and where");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_definition", detail)
                .with_errors(problems.into_iter().map(field))
        }
        Refused::Breaks(broken) => {
            let detail =
                "other definitions would not fit any more, and nothing was changed; errors names each and says why";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "breaks_definitions", detail)
                .with_errors(broken.iter().map(broke))
        }
        Refused::Used(users) => {
            let names: Vec<String> = users.iter().map(|(kind, name)| called(*kind, name)).collect();
            in_use(format!("{what} \"{name}\" is used by {}; change or remove that first", names.join(", ")))
        }
        Refused::Needed(runs) => {
            let names: Vec<String> = runs.iter().map(|InTheWay { run, .. }| run.to_string()).collect();
            in_use(format!(
                "{what} \"{name}\" is needed by runs that are not over: {}; wait for their end, or cancel them",
                names.join(", ")
            ))
        }
        Refused::NotSealed(problem) => not_sealed(&problem),
        Refused::Contended => {
            Problem::unavailable("the definitions are being changed by others; try again in a moment")
        }
        Refused::Failed(ApplyError::Store(problem)) => problem.into(),
        Refused::Failed(problem) => {
            tracing::error!(problem = %crate::telemetry::chain(&problem), "a definition could not be changed");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "herald could not do this; its log says why")
        }
    }
}

fn in_use(detail: String) -> Problem {
    Problem::new(StatusCode::CONFLICT, "in_use", detail)
}

fn not_sealed(problem: &NotSealed) -> Problem {
    match problem {
        NotSealed::NoKey(_) | NotSealed::BadKey => {
            Problem::new(StatusCode::CONFLICT, "no_seal_key", problem.to_string())
        }
        NotSealed::Random(_) => Problem::unavailable(problem.to_string()),
        NotSealed::Refused => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_definition", problem.to_string()),
    }
}

fn field(FieldProblem { pointer, detail }: FieldProblem) -> FieldError {
    FieldError { pointer, detail }
}

/// Nothing in the body is to blame by itself: the whole of it is.
fn broke(Broken { definition, detail }: &Broken) -> FieldError {
    let named = definition.as_ref().map_or_else(|| "the organization".to_owned(), |(kind, name)| called(*kind, name));
    FieldError { pointer: String::new(), detail: format!("{named}: {detail}") }
}

fn called(kind: Kind, name: &str) -> String {
    format!("{} \"{name}\"", word(kind))
}

/// A kind in the words of the API.
pub(super) const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Configuration => "outbound configuration",
        Kind::Account | Kind::Channel | Kind::Template | Kind::Hook | Kind::Endpoint | Kind::List => kind.as_str(),
    }
}
