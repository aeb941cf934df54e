//! An organization's definitions as files: read, validated as a whole, compared, applied.
//!
//! [`DefinitionSet`] is the whole of it, and exists only if everything in it is good; [`apply`] brings it into the store.
//! `page` and `shapes` judge one file, `rules` one definition, `reader` how they fit together; `notices` says what is right and
//! worth knowing all the same.

mod reader;
mod set;

mod apply;
mod lists;
mod token;

mod firings;
mod notices;
mod rules;
mod templates;

mod files;
mod page;
mod problem;
mod shapes;
mod source;

pub use apply::{Applied, ApplyError, apply, plan_apply};
pub use firings::{Firings, Next};
pub use problem::{Notice, Problem, Problems};
pub use set::DefinitionSet;
pub use source::{Embedded, Found, FoundKind, OnDisk, Outside, PathOrBytes, Source, acme, acme_customers};
pub use token::token_org;
