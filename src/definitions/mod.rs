//! An organization's definitions as files: read, validated as a whole, compared, applied.
//!
//! [`DefinitionSet`] is the whole of it, and exists only if everything in it is good; [`apply`] brings it into the store.
//! `page` and `shapes` judge one file, `rules` one definition, `reader` how they fit together; `notices` says what is right and
//! worth knowing all the same.

mod reader;
mod set;

mod apply;
mod change;
mod draft;
mod lists;
mod one_list;
mod plan;
mod secrets;
mod token;

mod firings;
mod notices;
mod rules;
mod templates;

mod files;
mod made;
mod page;
mod problem;
mod shapes;
mod source;
mod stored;

pub use apply::{Applied, ApplyError, Rest, apply, apply_and, plan_apply, plan_apply_and};
pub use change::{Broken, Editor, FieldProblem, IfMatch, Refused, Write, Written, organization_tag};
pub use firings::{Firings, Next};
pub use one_list::{BadRows, NotPut, NotRemoved, PutList, put_list, remove_list, users_of};
pub use problem::{Notice, Problem, Problems};
pub use rules::{compiles, upcoming};
pub use secrets::without_secrets;
pub use set::DefinitionSet;
pub use shapes::{KnownKey, known_keys, organization_keys};
pub use source::{Embedded, Found, FoundKind, OnDisk, Outside, PathOrBytes, Source, acme, acme_customers};
pub use stored::{Stored, TakenOver};
pub use token::token_org;
