//! Whom the messages go to: rows that are all good, all to other numbers, in six languages, with three slugs each.
//!
//! A row follows from its place alone, so the file and the bare client's bodies are the same.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use herald::{
    domain::{
        contact::Slugs,
        definition::{Channel, NumberType},
        id::{MessageId, RunId},
        phone::E164,
        time::Timestamp,
    },
    provider::{
        Call, Outgoing, Provider as _, Stamp,
        twilio::{Twilio, TwilioAccount},
    },
    template::{Template, starter},
};

/// The template of the starter library that is sent.
pub const TEMPLATE: &str = "shipping-delay";
/// The account that everything leaves through.
pub const ACCOUNT_SID: &str = "AC0123456789abcdef0123456789abcdef";
/// Its token.
pub const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A locale, the beginning of its numbers, how many digits follow, and a name.
const LOCALES: [(&str, &str, usize, &str); 6] = [
    ("de", "49151", 8, "Jürgen Müller"),
    ("el", "3069", 8, "Ελένη"),
    ("en", "1415", 7, "Grace Hopper"),
    ("fr", "336", 8, "Chloé"),
    ("id", "62812", 8, "Budi Santoso"),
    ("ja", "8190", 8, "太郎"),
];

/// So many rows can be told apart: the shortest numbers have seven digits of their own.
pub const MOST_ROWS: u64 = 6 * 10_000_000;

struct Person {
    locale: &'static str,
    number: String,
    name: &'static str,
    order: String,
    date: String,
}

fn person(place: u64) -> Person {
    let (locale, prefix, digits, name) = LOCALES[usize::try_from(place % 6).unwrap_or(0)];
    let serial = place / 6;
    let (month, day) = (place % 12 + 1, place % 28 + 1);
    Person {
        locale,
        number: format!("{prefix}{serial:0digits$}"),
        name,
        order: format!("AC-{place:07}"),
        date: format!("2027-{month:02}-{day:02}"),
    }
}

/// Writes the file.
pub fn write(path: &Path, rows: u64) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(file, "Phone Number,OptIn,Locale,CustomerName,OrderNumber,DeliveryDate")?;
    for place in 0..rows {
        let person = person(place);
        writeln!(file, "+{},yes,{},{},{},{}", person.number, person.locale, person.name, person.order, person.date)?;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// The adapter's own calls for the first rows of the file.
pub fn calls(channel: &Channel, sink: &str, rows: u64) -> anyhow::Result<Vec<Call>> {
    let library = starter().map_err(|problems| anyhow!("the starter library: {problems:?}"))?;
    let source = library.get(TEMPLATE).with_context(|| format!("no template {TEMPLATE}"))?;
    let template = Template::compile(source).map_err(|problems| anyhow!("{TEMPLATE}: {problems:?}"))?;
    let account = TwilioAccount {
        auth_token: Some(AUTH_TOKEN.to_owned()),
        base_url: sink.to_owned(),
        ..TwilioAccount::new(ACCOUNT_SID)
    };
    let (adapter, sender) = (Twilio::new(account)?, herald::book::sender_of(channel));
    let now = Timestamp::from_millis(0);
    let run = RunId::new(now, 0);
    let outgoing = (0..rows).map(|place| {
        let person = person(place);
        let mut slugs = Slugs::default();
        for (name, value) in
            [("CustomerName", person.name), ("OrderNumber", &person.order), ("DeliveryDate", &person.date)]
        {
            slugs.insert(name, value).map_err(|_| anyhow!("slug {name} twice"))?;
        }
        Ok(Outgoing {
            id: MessageId { run, seq: i64::try_from(place)? + 1 },
            among: (1, i64::try_from(rows)?),
            to: E164::from_digits(person.number.parse()?),
            text: template.render(Some(&person.locale.parse()?), &slugs)?.text,
            approved: None,
            media: Vec::new(),
            purpose: template.source().purpose,
            first_sent: now,
            valid_at_first: Duration::from_secs(86_400),
            callback_url: None,
            valid_for: Duration::from_secs(86_400),
        })
    });
    Ok(adapter.calls(Stamp { now, nonce: 0 }, &sender, &outgoing.collect::<anyhow::Result<Vec<_>>>()?))
}

/// The sender: a number with no pace to speak of.
pub fn channel() -> anyhow::Result<Channel> {
    Ok(Channel {
        channel_type: herald::domain::contact::ChannelType::Sms,
        account: "twilio".to_owned(),
        number: "15005550006".to_owned(),
        number_type: NumberType::Geographic,
        description: String::new(),
        pace: Some("1_000_000/s".parse()?),
        attachments: Default::default(),
        locale: None,
        fallback: None,
        smart_encoding: false,
        prices: None,
    })
}
