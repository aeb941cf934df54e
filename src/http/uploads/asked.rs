//! What is asked for with an upload: options in the query, in the parts of a form, or in JSON; and the file, put aside.

use axum::{
    body::Body,
    extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request, multipart::Field},
    http::{HeaderMap, StatusCode, header},
};
use futures::TryStreamExt as _;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    domain::definition::{AudienceRef, CaseQuery},
    http::{
        Api,
        problem::Problem,
        query,
        spool::{PASSED_OVER, Spooled, broken_off, spool_named, too_large},
    },
    intake::upload::OnInvalid,
};

/// The most bytes of an option in a form.
const OPTION: usize = 1_024;
/// The most parts of a form.
const PARTS: usize = 16;

/// How a file is to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Options {
    /// Checks, says what would be sent, and sends nothing.
    #[param(required = false)]
    pub dry_run: Option<bool>,
    /// `refuse` (unless said otherwise): with any bad row nothing is sent. `skip`: the others are.
    #[param(required = false)]
    pub on_invalid: Option<BadRows>,
    /// Attests that everybody who does not say has agreed.
    #[param(required = false)]
    pub opted_in: Option<bool>,
    /// Sends a file again that was sent within the last 24 hours.
    #[param(required = false)]
    pub again: Option<bool>,
    /// The file's name, where it does not come with one.
    #[param(required = false)]
    pub name: Option<String>,
}

/// What to do with bad rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum BadRows {
    /// Send nothing.
    Refuse,
    /// Send the others.
    Skip,
}

impl Options {
    /// What to do with bad rows.
    pub fn on_invalid(&self) -> OnInvalid {
        match self.on_invalid {
            None | Some(BadRows::Refuse) => OnInvalid::Refuse,
            Some(BadRows::Skip) => OnInvalid::Skip,
        }
    }

    /// These, and those that came in the body. What is said twice must be the same.
    fn and(self, body: Self) -> Result<Self, Problem> {
        fn one<T: PartialEq>(name: &str, query: Option<T>, body: Option<T>) -> Result<Option<T>, Problem> {
            match (query, body) {
                (Some(query), Some(body)) if query != body => {
                    let detail = format!("{name} is given in the query and in the body, with different values");
                    Err(Problem::bad_request("invalid_query", detail))
                }
                (query, body) => Ok(body.or(query)),
            }
        }
        Ok(Self {
            dry_run: one("dry_run", self.dry_run, body.dry_run)?,
            on_invalid: one("on_invalid", self.on_invalid, body.on_invalid)?,
            opted_in: one("opted_in", self.opted_in, body.opted_in)?,
            again: one("again", self.again, body.again)?,
            name: one("name", self.name, body.name)?,
        })
    }

    /// Takes an option of a form; `false` if there is none of this name.
    fn take(&mut self, name: &str, text: &str) -> Result<bool, Problem> {
        let wrong = |expected: &str| invalid(format!("the part {name}: expected {expected}"));
        let switch = || text.parse::<bool>().map(Some).map_err(|_| wrong("true or false"));
        match name {
            "dry_run" => self.dry_run = switch()?,
            "opted_in" => self.opted_in = switch()?,
            "again" => self.again = switch()?,
            "name" => self.name = Some(text.to_owned()),
            "on_invalid" => {
                self.on_invalid = Some(match text {
                    "refuse" => BadRows::Refuse,
                    "skip" => BadRows::Skip,
                    _ => return Err(wrong("\"refuse\" or \"skip\"")),
                });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// An audience that herald holds itself; neither list nor cases: the configuration's own.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AudienceBody {
    /// A stored list, by its name.
    #[serde(default)]
    list: Option<String>,
    /// Everybody who has such a case, once each.
    #[serde(default)]
    cases: Option<CasesBody>,
    #[serde(default)]
    dry_run: Option<bool>,
    /// `refuse` (unless said otherwise): with anybody who cannot be sent to nothing is sent. `skip`: the others are sent to.
    #[serde(default)]
    on_invalid: Option<BadRows>,
    /// Attests that everybody who does not say has agreed.
    #[serde(default)]
    opted_in: Option<bool>,
}

/// Which cases.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CasesBody {
    /// With this status; of any if left out.
    #[serde(default)]
    status: Option<String>,
}

/// What is to be sent to.
#[derive(Debug)]
pub(super) enum Recipients {
    /// A file.
    File(Spooled),
    /// What herald holds itself; `None`: the configuration's own audience.
    Audience(Option<AudienceRef>),
}

/// What was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    /// How.
    pub options: Options,
    /// To whom.
    pub recipients: Recipients,
    /// What was asked, for the digest of an idempotency key; without the file.
    pub words: String,
}

/// Reads a body of whichever type it is.
pub(super) async fn read(api: &Api, query: Options, request: Request) -> Result<Asked, Problem> {
    let (limit, place) = (api.max_upload_bytes, format!("{} {}\n", request.method(), request.uri()));
    match kind_of(request.headers()) {
        Some(Kind::Csv) => {
            refuse_early(request.headers(), limit)?;
            let chunks = request.into_body().into_data_stream().map_err(broken_off);
            let file = spool_named(chunks, query.name.as_deref(), limit).await?;
            Ok(Asked { options: query, recipients: Recipients::File(file), words: place })
        }
        Some(Kind::Form) => form(query, request, limit, place).await,
        Some(Kind::Json) => json(query, request, api.max_body_bytes, place).await,
        None => {
            let expected =
                "expected a body of the type text/csv, multipart/form-data with a part \"file\", or application/json";
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", expected))
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Csv,
    Form,
    Json,
}

fn kind_of(headers: &HeaderMap) -> Option<Kind> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    match text.split(';').next()?.trim().to_ascii_lowercase().as_str() {
        "text/csv" | "application/csv" => Some(Kind::Csv),
        "multipart/form-data" => Some(Kind::Form),
        "application/json" => Some(Kind::Json),
        _ => None,
    }
}

/// A file that says itself that it is too large is not read.
fn refuse_early(headers: &HeaderMap, limit: u64) -> Result<(), Problem> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit.saturating_add(PASSED_OVER)) { Err(too_large(limit)) } else { Ok(()) }
}

async fn form(query: Options, mut request: Request, limit: u64, place: String) -> Result<Asked, Problem> {
    DefaultBodyLimit::disable().apply(&mut request); // the file has its own limit, and so has every other part
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|problem| query::unreadable(problem.status(), problem.body_text()))?;
    let (mut said, mut file) = (Options::default(), None);
    for _ in 0..PARTS {
        let Some(part) = form.next_field().await.map_err(unreadable)? else {
            let options = query.and(said)?;
            let file: Option<Spooled> = file;
            let mut file = file.ok_or_else(|| invalid("the form has no part \"file\"; expected the CSV in it"))?;
            if let Some(name) = &options.name {
                file.rename(name).await?;
            }
            let words = format!("{place}{options:?}");
            return Ok(Asked { options, recipients: Recipients::File(file), words });
        };
        let name = part.name().unwrap_or_default().to_owned();
        if name != "file" {
            let text = option(part, &name).await?;
            if !said.take(&name, text.trim())? {
                let known = "file, dry_run, on_invalid, opted_in, again, name";
                return Err(invalid(format!("there is no part \"{name}\"; expected {known}")));
            }
        } else if file.is_some() {
            return Err(invalid("the form has two parts \"file\"; expected one"));
        } else {
            let called = part.file_name().map(str::to_owned);
            file = Some(spool_named(part.map_err(unreadable), called.as_deref(), limit).await?);
        }
    }
    Err(invalid(format!("the form has more than {PARTS} parts")))
}

async fn option(mut part: Field<'_>, name: &str) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(unreadable)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > OPTION {
            return Err(invalid(format!("the part {name} is longer than {OPTION} bytes")));
        }
    }
    String::from_utf8(bytes).map_err(|_| invalid(format!("the part {name} is no text in UTF-8")))
}

fn unreadable(problem: axum::extract::multipart::MultipartError) -> Problem {
    query::unreadable(problem.status(), problem.body_text())
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail)
}

async fn json(query: Options, request: Request, limit: usize, place: String) -> Result<Asked, Problem> {
    let (head, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, limit).await.map_err(|_| {
        let detail = format!("the body is larger than {limit} bytes, or broke off");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    })?;
    let words = format!("{place}{}", String::from_utf8_lossy(&bytes));
    // A list without entries would be read as an object without fields.
    if serde_json::from_slice::<serde_json::Value>(&bytes).is_ok_and(|body| !body.is_object()) {
        return Err(invalid("expected an object: {\"list\": …}, {\"cases\": …} or {}"));
    }
    let read = axum::Json::<AudienceBody>::from_request(Request::from_parts(head, Body::from(bytes)), &()).await;
    let AudienceBody { list, cases, dry_run, on_invalid, opted_in } = query::body(read)?;
    let options = query.and(Options { dry_run, on_invalid, opted_in, ..Options::default() })?;
    if options.again.is_some() || options.name.is_some() {
        return Err(Problem::bad_request(
            "invalid_query",
            "again and name are for files; expected them only beside one",
        ));
    }
    let audience = match (list, cases) {
        (Some(_), Some(_)) => return Err(invalid("a list and cases are given; expected one of them")),
        (Some(list), None) => Some(AudienceRef::List(list)),
        (None, Some(CasesBody { status })) => Some(AudienceRef::Cases(CaseQuery { status })),
        (None, None) => None,
    };
    Ok(Asked { options, recipients: Recipients::Audience(audience), words })
}
