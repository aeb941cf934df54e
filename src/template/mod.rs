//! Templates: how they are written, the choice of a locale, rendering, segments. Texts go in and texts come out: no
//! files, no store, no clock.
//!
//! A text's path: [`TemplateSource`] (as written and stored) → [`Template`] (compiled, once a version) → [`Rendered`]
//! (for one contact) → [`Segments`] (what it takes on the air).

mod approved;
mod source;

mod compiled;
mod currencies;
mod formats;
mod helpers;
mod limits;
mod parse;
mod problem;
mod values;

mod preview;
mod segments;
mod smart;
mod starter;

pub use approved::ApprovedContent;
pub use compiled::{MAX_CHARACTERS, Rendered, RenderedApproved, Template};
pub use preview::{Approved, Cost, Costly, Preview};
pub use problem::{CompileFault, CompilePlace, CompileProblem, RenderProblem};
pub use segments::{Encoding, Segments, segments};
pub use smart::leaving;
pub use source::{MANIFEST, SourceFault, SourceProblem, TemplateSource};
pub use starter::starter;
pub use values::ValueKind;
