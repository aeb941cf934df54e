//! What each column of a file means, found from its header line (SPEC 5).
//!
//! Header names ignore case, blanks, `_` and `-`. A column that is not known is a slug; if the template needs a slug of
//! that name (folded in the same way), the column fills it under the template's own spelling.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::FileProblem;
use crate::domain::wishes::{SEND_AS_TEMPLATE, TEMPLATE_PARAMETERS};

/// The most columns that a file may have.
pub const MAX_COLUMNS: usize = 100;

/// The recipient column's names, folded.
const RECIPIENT: [&str; 5] = ["tocontactid", "to", "phone", "phonenumber", "mobile"];
const RECIPIENT_SHOWN: &str = "tocontactid, to, phone, phone number, mobile";
/// What herald calls the column that it adds to rejected rows; the second one if a template has a slug named `error`.
const ERROR: [&str; 2] = ["error", "herald_error"];

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The recipient's number.
    Recipient,
    /// Whether the recipient agreed.
    OptIn,
    /// The recipient's language.
    Locale,
    /// The channel type, which must be the configuration's.
    Channel,
    /// The recipient's time zone.
    Timezone,
    /// `entityrelationshipname`: one half of the place on a timeline.
    Relationship,
    /// `regardingobjectid`: the other half.
    Regarding,
    /// The configuration, which must be the one invoked.
    Configuration,
    /// `sendastemplate`; a slug like any other unless the channel is WhatsApp.
    SendAsTemplate,
    /// `templateparameters`; likewise.
    TemplateParameters,
    /// herald's own remark on a row that it rejected: ignored when the corrected file comes back.
    Error,
    /// A value for the template.
    Slug,
    /// No name: ignored.
    Unnamed,
}

impl Role {
    /// What it is called where a file's columns are shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recipient => "recipient",
            Self::OptIn => "optin",
            Self::Locale => "locale",
            Self::Channel => "channel",
            Self::Timezone => "timezone",
            Self::Relationship => "relationship",
            Self::Regarding => "regarding",
            Self::Configuration => "configuration",
            Self::SendAsTemplate => "sendastemplate",
            Self::TemplateParameters => "templateparameters",
            Self::Error => "ignored: herald's remark on a rejected row",
            Self::Slug => "slug",
            Self::Unnamed => "ignored: it has no name",
        }
    }
}

/// The name of the column that is added to rejected rows, beside a file's own.
pub fn error_name<'n>(own: impl IntoIterator<Item = &'n str>) -> &'static str {
    let taken = own.into_iter().any(|name| fold_header(name) == ERROR[0]);
    if taken { ERROR[1] } else { ERROR[0] }
}

/// Whether a column of this name holds the number.
pub(super) fn is_recipient(folded: &str) -> bool {
    RECIPIENT.contains(&folded)
}

const KNOWN: [(&str, Role); 9] = [
    ("optin", Role::OptIn),
    ("locale", Role::Locale),
    ("channelid", Role::Channel),
    ("timezone", Role::Timezone),
    ("entityrelationshipname", Role::Relationship),
    ("regardingobjectid", Role::Regarding),
    ("msdynocoutboundconfigurationid", Role::Configuration),
    (SEND_AS_TEMPLATE, Role::SendAsTemplate),
    (TEMPLATE_PARAMETERS, Role::TemplateParameters),
];

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its header as written, trimmed.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The slugs that it fills. A known column fills some as well if the template asks for its name.
    pub slugs: Vec<String>,
    /// Whether the template needs one of those slugs.
    pub need: Need,
}

/// Whether a blank cell is a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The template needs the value.
    Required,
    /// A blank cell is no value.
    Optional,
}

/// A file's columns in their order.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Every column.
    pub all: Vec<Column>,
    /// The names alone, as written.
    pub names: Vec<String>,
    /// The name of the column that is added to rejected rows.
    pub error_name: &'static str,
}

impl Columns {
    /// Gives every header its meaning; `required` are the slugs that the template needs.
    ///
    /// # Errors
    /// Too many columns, two of one name, none or two for the number, and any that the template needs and misses.
    pub fn read<'a>(header: impl Iterator<Item = &'a str>, required: &BTreeSet<String>) -> Result<Self, FileProblem> {
        let names: Vec<String> = header.map(|name| name.trim().to_owned()).collect();
        if names.len() > MAX_COLUMNS {
            return Err(FileProblem::TooManyColumns { found: names.len(), limit: MAX_COLUMNS });
        }
        let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for slug in required {
            wanted.entry(fold_header(slug)).or_default().push(slug.trim().to_owned());
        }
        refuse_duplicates(&names)?;
        let all: Vec<Column> = names.iter().map(|name| column(name, &wanted)).collect();
        refuse_wrong_recipients(&all, &names)?;
        let missing: Vec<String> = required
            .iter()
            .filter(|slug| !names.iter().any(|name| fold_header(name) == fold_header(slug)))
            .cloned()
            .collect();
        if !missing.is_empty() {
            return Err(FileProblem::MissingColumns { missing, found: names });
        }
        let own = all.iter().filter(|column| column.role != Role::Error).map(|column| column.name.as_str());
        let error_name = error_name(own);
        Ok(Self { all, names, error_name })
    }

    /// The first column with a role.
    pub fn position(&self, role: Role) -> Option<usize> {
        self.all.iter().position(|column| column.role == role)
    }

    /// The file's own columns, in their order: all but the one in which herald had remarked on the rows of a rejected file.
    pub fn own(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.all.iter().enumerate().filter(|(_, column)| column.role != Role::Error)
    }
}

/// The form under which headers are compared: without case, blanks, `_` and `-`.
pub fn fold_header(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

fn column(name: &str, wanted: &BTreeMap<String, Vec<String>>) -> Column {
    let folded = fold_header(name);
    let role = role_of(&folded, wanted);
    let asked = wanted.get(&folded);
    let slugs = match (asked, role) {
        (Some(slugs), _) => slugs.clone(),
        (None, Role::Slug | Role::SendAsTemplate | Role::TemplateParameters) => as_written_and_folded(name, folded),
        (None, _) => Vec::new(),
    };
    let need = if asked.is_some() { Need::Required } else { Need::Optional };
    Column { name: name.to_owned(), role, slugs, need }
}

/// A slug that no text is known to need may still be looked up as `CustomerName` where the file says `Customer Name`.
fn as_written_and_folded(name: &str, folded: String) -> Vec<String> {
    let mut slugs = vec![name.to_owned()];
    if name.to_lowercase() != folded {
        slugs.push(folded);
    }
    slugs
}

fn role_of(folded: &str, wanted: &BTreeMap<String, Vec<String>>) -> Role {
    if folded.is_empty() {
        return Role::Unnamed;
    }
    if RECIPIENT.contains(&folded) {
        return Role::Recipient;
    }
    if let Some((_, role)) = KNOWN.iter().find(|(name, _)| *name == folded) {
        return *role;
    }
    let remark = ERROR.iter().any(|name| fold_header(name) == folded);
    if remark && !wanted.contains_key(folded) { Role::Error } else { Role::Slug }
}

fn refuse_duplicates(names: &[String]) -> Result<(), FileProblem> {
    let mut seen: BTreeMap<String, &String> = BTreeMap::new();
    for name in names.iter().filter(|name| !fold_header(name).is_empty()) {
        if let Some(first) = seen.insert(fold_header(name), name) {
            return Err(FileProblem::DuplicateColumn { first: first.clone(), second: name.clone() });
        }
    }
    Ok(())
}

fn refuse_wrong_recipients(all: &[Column], names: &[String]) -> Result<(), FileProblem> {
    let mut recipients = all.iter().filter(|column| column.role == Role::Recipient);
    match (recipients.next(), recipients.next()) {
        (Some(_), None) => Ok(()),
        (Some(first), Some(second)) => {
            Err(FileProblem::TwoRecipients { first: first.name.clone(), second: second.name.clone() })
        }
        (None, _) => Err(FileProblem::NoRecipient { accepted: RECIPIENT_SHOWN, found: names.to_vec() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str, required: &[&str]) -> Result<Columns, String> {
        let required = required.iter().map(|slug| (*slug).to_owned()).collect();
        Columns::read(header.split(','), &required).map_err(|problem| problem.to_string())
    }

    #[test]
    fn headers_find_their_roles_and_slugs() {
        let columns = read(
            "Phone_Number, OPT-IN ,Locale,Customer Name,case_name,error,,mobile_home",
            &["customername", "Case-Name"],
        )
        .unwrap();
        let roles: Vec<Role> = columns.all.iter().map(|column| column.role).collect();
        assert_eq!(
            roles,
            [
                Role::Recipient,
                Role::OptIn,
                Role::Locale,
                Role::Slug,
                Role::Slug,
                Role::Error,
                Role::Unnamed,
                Role::Slug
            ]
        );
        assert_eq!(columns.all[3].slugs, ["customername"]);
        assert_eq!(columns.all[4].slugs, ["Case-Name"]);
        assert_eq!(columns.all[7].slugs, ["mobile_home", "mobilehome"]);
        assert_eq!((columns.all[3].need, columns.all[7].need), (Need::Required, Need::Optional));
        assert_eq!(columns.error_name, "error");
        let own = read("to,error", &["error"]).unwrap();
        assert_eq!((own.all[1].role, own.error_name), (Role::Slug, "herald_error"));
        assert_eq!(read("to,error,herald_error", &["error"]).unwrap().all[2].role, Role::Error);
        assert_eq!(read("mobile", &["Mobile"]).unwrap().all[0].slugs, ["Mobile"]);
    }

    #[test]
    fn wrong_headers_say_what_is_expected_and_found() {
        let table = [
            (
                "name,optin",
                &[][..],
                "no column holds the recipient's number; expected one of tocontactid, to, phone, phone number, mobile; found \"name\", \"optin\"",
            ),
            (
                "to,x,Mobile",
                &[],
                "two columns could hold the recipient's number, \"to\" and \"Mobile\"; keep or rename one of them",
            ),
            (
                "to,Case Name,case_name",
                &[],
                "the columns \"Case Name\" and \"case_name\" have the same name (case, blanks, _ and - do not count); rename or remove one of them",
            ),
            (
                "to,CustomerName",
                &["CaseName", "CustomerName", "Due"],
                "the template needs columns that the file does not have: \"CaseName\", \"Due\"; found \"to\", \"CustomerName\"",
            ),
        ];
        for (header, required, expected) in table {
            assert_eq!(read(header, required).unwrap_err(), expected, "{header}");
        }
        let many = (0..101).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
        assert_eq!(read(&many, &[]).unwrap_err(), "the header has 101 columns; at most 100 are allowed");
    }
}
