//! Calls of helpers as an author writes them: what each takes, and what is said of anything else. And the one way to write a
//! call that was read, so that two can be compared.

use std::{collections::HashMap, fmt};

use chrono_tz::Tz;
use handlebars::{
    Path,
    template::{HelperTemplate, Parameter},
};
use serde_json::Value as Json;

use super::{
    super::{
        currencies::Currency,
        parse::{Slug, slug},
        problem::CompileFault,
        values::{self, ValueKind},
    },
    Format, Given, Helper, Look, Style, What,
};

const STYLE: &str = "style";
const ZONE: &str = "timezone";
const DECIMALS: &str = "decimals";
const CURRENCY: &str = "currency";
const DEFAULT: &str = "default";

impl Style {
    const ALL: [Self; 4] = [Self::Short, Self::Medium, Self::Long, Self::Full];

    const fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Medium => "medium",
            Self::Long => "long",
            Self::Full => "full",
        }
    }
}

/// The most decimals that a number is written with.
const MOST_DECIMALS: u64 = 9;

/// What a helper that formats takes.
struct Shape {
    name: &'static str,
    takes: &'static [&'static str],
    expected: &'static str,
}

const SHAPES: [Shape; 5] = [
    Shape {
        name: "date",
        takes: &[STYLE, ZONE, DEFAULT],
        expected: "{{date Slug}}: one slug, then style=\"…\", timezone=\"…\" or default=\"…\" if they are wanted",
    },
    Shape {
        name: "time",
        takes: &[ZONE, DEFAULT],
        expected: "{{time Slug}}: one slug, then timezone=\"…\" or default=\"…\" if they are wanted",
    },
    Shape {
        name: "datetime",
        takes: &[STYLE, ZONE, DEFAULT],
        expected: "{{datetime Slug}}: one slug, then style=\"…\", timezone=\"…\" or default=\"…\" if they are wanted",
    },
    Shape {
        name: "number",
        takes: &[DECIMALS, DEFAULT],
        expected: "{{number Slug}}: one slug, then decimals=2 or default=\"…\" if they are wanted",
    },
    Shape {
        name: "money",
        takes: &[CURRENCY, DEFAULT],
        expected: "{{money Slug currency=\"EUR\"}}: one slug and a currency, then default=\"…\" if it is wanted",
    },
];

const MISUSED_DEFAULT: CompileFault =
    CompileFault::Misused { expected: "{{default Slug \"text\"}}: one slug, then a text in quotes" };

impl Helper {
    /// Reads a call.
    pub(in super::super) fn read(name: &str, call: &HelperTemplate) -> Result<Self, CompileFault> {
        if name == DEFAULT {
            return default(call);
        }
        match SHAPES.iter().find(|shape| shape.name == name) {
            Some(shape) => format(shape, call).map(Self::Format),
            None => Err(CompileFault::UnknownHelper { name: name.to_owned() }),
        }
    }
}

fn default(call: &HelperTemplate) -> Result<Helper, CompileFault> {
    if let Some(name) = call.hash.keys().min() {
        let expected = "{{default Slug \"text\"}}: one slug, then a text in quotes";
        return Err(CompileFault::UnknownArgument { helper: DEFAULT, name: name.clone(), expected });
    }
    match call.params.as_slice() {
        [Parameter::Path(path), Parameter::Literal(otherwise)] => {
            let otherwise = said(otherwise).ok_or(MISUSED_DEFAULT)?;
            Ok(Helper::Default { slug: slug(path)?, otherwise })
        }
        _ => Err(MISUSED_DEFAULT),
    }
}

/// A literal as text.
fn said(literal: &Json) -> Option<String> {
    match literal {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

fn format(shape: &Shape, call: &HelperTemplate) -> Result<Format, CompileFault> {
    let misused = || CompileFault::Misused { expected: shape.expected };
    let [Parameter::Path(path)] = call.params.as_slice() else { return Err(misused()) };
    let slug = slug(path)?;
    // In their order, so that the same text always has the same problem.
    let mut keys: Vec<&String> = call.hash.keys().collect();
    keys.sort_unstable();
    if let Some(unknown) = keys.into_iter().find(|key| !shape.takes.contains(&key.as_str())) {
        let (helper, expected) = (shape.name, shape.expected);
        return Err(CompileFault::UnknownArgument { helper, name: unknown.clone(), expected });
    }
    let arguments = Arguments(&call.hash);
    let zone =
        || arguments.given(ZONE, "an IANA name in quotes, like \"Europe/Berlin\", or the slug that has one", zone);
    let what = match shape.name {
        "date" => What::Moment { look: Look::Date(arguments.style()?), zone: zone()? },
        "time" => What::Moment { look: Look::Time, zone: zone()? },
        "datetime" => What::Moment { look: Look::DateTime(arguments.style()?), zone: zone()? },
        "number" => What::Number { decimals: arguments.decimals()? },
        _ => {
            let expected = "three letters of ISO 4217 in quotes, like \"EUR\", or the slug that has them";
            What::Money { currency: arguments.given(CURRENCY, expected, currency)?.ok_or_else(misused)? }
        }
    };
    Ok(Format { slug, what, otherwise: arguments.otherwise()? })
}

fn zone(text: &str) -> Option<Tz> {
    values::zone(text)
}

fn currency(text: &str) -> Option<Currency> {
    values::currency(text)
}

/// The named arguments of a call.
struct Arguments<'a>(&'a HashMap<String, Parameter>);

impl Arguments<'_> {
    fn style(&self) -> Result<Style, CompileFault> {
        let Some(given) = self.0.get(STYLE) else { return Ok(Style::Medium) };
        let found = literal(given).and_then(|text| Style::ALL.into_iter().find(|style| style.name() == text));
        found.ok_or_else(|| bad(STYLE, given, "\"short\", \"medium\", \"long\" or \"full\""))
    }

    fn decimals(&self) -> Result<Option<u8>, CompileFault> {
        let Some(given) = self.0.get(DECIMALS) else { return Ok(None) };
        let number = literal(given).and_then(|text| text.parse::<u64>().ok()).filter(|number| *number <= MOST_DECIMALS);
        let number = number.and_then(|number| u8::try_from(number).ok());
        number.map(Some).ok_or_else(|| bad(DECIMALS, given, "a number from 0 to 9"))
    }

    fn otherwise(&self) -> Result<Option<String>, CompileFault> {
        let Some(given) = self.0.get(DEFAULT) else { return Ok(None) };
        literal(given).map(Some).ok_or_else(|| bad(DEFAULT, given, "a text in quotes"))
    }

    fn given<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        read: fn(&str) -> Option<T>,
    ) -> Result<Option<Given<T>>, CompileFault> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Parameter::Path(path)) => Ok(Some(Given::Slug(slug(path)?))),
            Some(given) => {
                let found = literal(given).and_then(|text| read(&text));
                found.map(|value| Some(Given::Fixed(value))).ok_or_else(|| bad(name, given, expected))
            }
        }
    }
}

fn literal(parameter: &Parameter) -> Option<String> {
    if let Parameter::Literal(literal) = parameter { said(literal) } else { None }
}

fn bad(name: &'static str, given: &Parameter, expected: &'static str) -> CompileFault {
    let given = match given {
        Parameter::Literal(literal) => literal.to_string(),
        Parameter::Path(Path::Relative((_, raw)) | Path::Local((_, _, raw))) => raw.clone(),
        Parameter::Name(_) | Parameter::Subexpression(_) | _ => "a call in round brackets".to_owned(),
    };
    CompileFault::BadArgument { name, given: given.chars().take(60).collect(), expected }
}

impl fmt::Display for Helper {
    /// In one form, whatever order and case the author wrote it in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default { slug, otherwise } => write!(f, "{{{{default {} {otherwise:?}}}}}", slug.folded),
            Self::Format(format) => format.fmt(f),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.what {
            What::Moment { look, .. } => match look {
                Look::Date(_) => "date",
                Look::Time => "time",
                Look::DateTime(_) => "datetime",
            },
            What::Number { .. } => "number",
            What::Money { .. } => "money",
        };
        write!(f, "{{{{{name} {}", self.slug.folded)?;
        match &self.what {
            What::Moment { look, zone } => {
                if let Look::Date(style) | Look::DateTime(style) = look {
                    write!(f, " {STYLE}={:?}", style.name())?;
                }
                zone.iter().try_for_each(|zone| argument(f, ZONE, zone))?;
            }
            What::Number { decimals } => {
                decimals.iter().try_for_each(|decimals| write!(f, " {DECIMALS}={decimals}"))?
            }
            What::Money { currency } => argument(f, CURRENCY, currency)?,
        }
        self.otherwise.iter().try_for_each(|text| write!(f, " {DEFAULT}={text:?}"))?;
        f.write_str("}}")
    }
}

fn argument<T: fmt::Display>(f: &mut fmt::Formatter<'_>, name: &str, given: &Given<T>) -> fmt::Result {
    match given {
        Given::Fixed(value) => write!(f, " {name}={:?}", value.to_string()),
        Given::Slug(slug) => write!(f, " {name}={}", slug.folded),
    }
}

impl Slug {
    /// What is said of a value that cannot be read.
    pub(in super::super) fn unreadable(&self, value: &str, kind: ValueKind) -> super::RenderProblem {
        super::RenderProblem::InvalidValue { name: self.written.clone(), value: value.chars().take(60).collect(), kind }
    }
}
