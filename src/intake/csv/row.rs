//! One row of a file, judged: a contact, or everything that is wrong with it (SPEC 5).

use chrono_tz::Tz;
use csv::StringRecord;

use super::{
    columns::{Column, Columns, Need, Role},
    problem::{RowProblem, RowProblemKind},
};
use crate::domain::{
    contact::{ChannelType, Contact, OptIn, Slugs},
    id::ConfigurationId,
    locale::Locale,
    phone::{Country, E164, NumberProblem},
    wishes::{SEND_AS_TEMPLATE, SendAs, TEMPLATE_PARAMETERS, canonical, parse_parameters},
};

/// A data row, borrowed from the reader until the next one is read.
#[derive(Debug)]
pub struct Row<'a> {
    /// The line of the file on which the row begins; the header is line 1. Ascending, so it names the row.
    pub number: u64,
    /// The cells as they stand in the file.
    pub fields: &'a StringRecord,
    /// The contact, or all that is wrong with the row (never empty).
    pub contact: Result<Contact, Vec<RowProblem>>,
    /// The recipient's own time zone, for quiet hours.
    pub timezone: Option<Tz>,
    /// The place on a timeline, if both halves were given.
    pub regarding: Option<Regarding>,
}

/// What a message is about: its place on a timeline (SPEC 11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regarding {
    /// `entityrelationshipname`, like `incident_msdyn_ocoutboundmessages`.
    pub relationship: String,
    /// `regardingobjectid`.
    pub object: String,
}

/// What the rows of one file are held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub channel_type: ChannelType,
    pub configuration: Option<ConfigurationId>,
    pub default_country: Option<Country>,
    pub attested: Option<OptIn>,
}

/// Judges a row; every cell is looked at, whatever the others hold.
pub(super) fn read<'a>(rules: &Rules, columns: &Columns, number: u64, fields: &'a StringRecord) -> Row<'a> {
    let mut reading = Reading { rules, number, opted_in: rules.attested, ..Reading::new(rules) };
    if fields.len() == columns.all.len() {
        columns.all.iter().zip(fields).for_each(|(column, value)| reading.cell(column, value.trim()));
    } else {
        let kind = RowProblemKind::WrongFieldCount { expected: columns.all.len(), found: fields.len() };
        reading.problems.push(RowProblem::new(number, "", "", kind));
    }
    let regarding = reading.relationship.zip(reading.regarding);
    Row {
        number,
        fields,
        contact: match (reading.to, reading.opted_in) {
            (Some(to), Some(opted_in)) if reading.problems.is_empty() => {
                Ok(Contact { to, opted_in, locale: reading.locale, slugs: reading.slugs })
            }
            _ => Err(reading.problems),
        },
        timezone: reading.timezone,
        regarding: regarding.map(|(relationship, object)| Regarding { relationship, object }),
    }
}

/// A row half read.
struct Reading<'r> {
    rules: &'r Rules,
    number: u64,
    to: Option<E164>,
    opted_in: Option<OptIn>,
    locale: Option<Locale>,
    slugs: Slugs,
    timezone: Option<Tz>,
    relationship: Option<String>,
    regarding: Option<String>,
    problems: Vec<RowProblem>,
}

impl<'r> Reading<'r> {
    fn new(rules: &'r Rules) -> Self {
        Self {
            rules,
            number: 0,
            to: None,
            opted_in: None,
            locale: None,
            slugs: Slugs::default(),
            timezone: None,
            relationship: None,
            regarding: None,
            problems: Vec::new(),
        }
    }

    fn cell(&mut self, column: &Column, value: &str) {
        let judged = match column.role {
            Role::Recipient => self.recipient(value),
            Role::OptIn => self.opt_in(value),
            Role::Slug | Role::Error | Role::Unnamed => Ok(()),
            // Every other cell may be blank.
            _ if value.is_empty() => Ok(()),
            Role::SendAsTemplate | Role::TemplateParameters if self.rules.channel_type == ChannelType::Sms => Ok(()),
            Role::SendAsTemplate => return self.wish(column, value, send_as_template(value)),
            Role::TemplateParameters => return self.wish(column, value, template_parameters(value)),
            Role::Locale => value.parse().map(|l| self.locale = Some(l)).map_err(|_| RowProblemKind::InvalidLocale),
            Role::Timezone => {
                value.parse().map(|zone| self.timezone = Some(zone)).map_err(|_| RowProblemKind::InvalidTimezone)
            }
            Role::Channel => self.channel(value),
            Role::Configuration => self.configuration(value),
            Role::Relationship => {
                self.relationship = Some(value.to_owned());
                Ok(())
            }
            Role::Regarding => {
                self.regarding = Some(value.to_owned());
                Ok(())
            }
        };
        let known = judged.map_err(|kind| self.problem(column, value, kind)).is_ok();
        if known && !column.slugs.is_empty() {
            self.slug(column, value);
        }
    }

    /// Keeps what is asked of a WhatsApp message under the one name and in the one form that it always has.
    fn wish(&mut self, column: &Column, value: &str, read: Result<(&'static str, String), RowProblemKind>) {
        match read {
            Ok((_, text)) if text.is_empty() => {}
            Ok((name, text)) => self.slugs.set(name, text),
            Err(kind) => self.problem(column, value, kind),
        }
    }

    fn problem(&mut self, column: &Column, value: &str, kind: RowProblemKind) {
        self.problems.push(RowProblem::new(self.number, &column.name, value, kind));
    }

    fn recipient(&mut self, value: &str) -> Result<(), RowProblemKind> {
        self.to = Some(E164::parse(value, self.rules.default_country).map_err(|problem| match problem {
            NumberProblem::Empty => RowProblemKind::MissingValue,
            NumberProblem::NoCountry | NumberProblem::NotANumber | NumberProblem::TooShort | NumberProblem::TooLong => {
                RowProblemKind::InvalidNumber(problem)
            }
        })?);
        Ok(())
    }

    /// What the row itself says counts; a blank is filled by what was attested for all.
    fn opt_in(&mut self, value: &str) -> Result<(), RowProblemKind> {
        if value.is_empty() {
            return self.opted_in.map(|_| ()).ok_or(RowProblemKind::MissingValue);
        }
        self.opted_in = Some(OptIn::parse(value).ok_or(RowProblemKind::InvalidOptIn)?);
        Ok(())
    }

    fn channel(&self, value: &str) -> Result<(), RowProblemKind> {
        let expected = self.rules.channel_type;
        if value.parse() == Ok(expected) { Ok(()) } else { Err(RowProblemKind::WrongChannel(expected)) }
    }

    fn configuration(&self, value: &str) -> Result<(), RowProblemKind> {
        match self.rules.configuration {
            Some(expected) if value.parse() != Ok(expected) => Err(RowProblemKind::WrongConfiguration),
            _ => Ok(()),
        }
    }

    fn slug(&mut self, column: &Column, value: &str) {
        if value.is_empty() {
            if column.need == Need::Required {
                self.problem(column, value, RowProblemKind::MissingSlug);
            }
            return;
        }
        for name in &column.slugs {
            if self.slugs.insert(name, value).is_err() {
                self.problem(column, value, RowProblemKind::AmbiguousSlug);
            }
        }
    }
}

fn send_as_template(value: &str) -> Result<(&'static str, String), RowProblemKind> {
    let wish = SendAs::parse(value).ok_or(RowProblemKind::InvalidSendAsTemplate)?;
    Ok((SEND_AS_TEMPLATE, wish.as_str().to_owned()))
}

fn template_parameters(value: &str) -> Result<(&'static str, String), RowProblemKind> {
    let parameters = parse_parameters(value).map_err(|_| RowProblemKind::InvalidTemplateParameters)?;
    let text = if parameters.is_empty() { String::new() } else { canonical(&parameters) };
    Ok((TEMPLATE_PARAMETERS, text))
}
