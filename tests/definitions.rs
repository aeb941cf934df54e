//! Definitions from files to the store: everything that is wrong with a folder is said at once, and a good one is applied
//! once, however often it is applied.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its tests do")]

use std::{collections::BTreeMap, fs, path::Path};

use herald::{
    definitions::{
        Applied, ApplyError, DefinitionSet, OnDisk, Rest, Stored, acme, acme_customers, apply, apply_and, plan_apply,
        plan_apply_and, token_org,
    },
    domain::{
        definition::List,
        id::{ConfigurationId, OrgId},
        time::Timestamp,
    },
    store::{
        Store,
        access::TokenKind,
        definitions::{Change, Definition, Kind},
    },
};

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000); // 2026-11-18
const LATER: Timestamp = Timestamp::from_millis(1_795_000_060_000);

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    folder
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn problems(folder: &Path) -> String {
    match DefinitionSet::read(folder) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

const ORGANIZATION: (&str, &str) = ("organization.toml", "id = \"acme\"\nname = \"Acme\"\n");
const ACCOUNT: (&str, &str) = (
    "accounts/main.toml",
    "provider = \"twilio\"\naccount_sid = \"AC00000000000000000000000000000001\"\nauth_token = { env = \"T\" }\n",
);
const CHANNEL: (&str, &str) = ("channels/sms.toml", "type = \"sms\"\naccount = \"main\"\nnumber = \"14252306549\"\n");
const SEND: &str = "channel = \"sms\"\ntemplate = \"case-resolved\"\n";
const MONTHLY: &str = "[trigger]\nkind = \"scheduled\"\ncron = \"0 9 1 * *\"\n[audience]\nlist = \"people\"\n";
const LIST: (&str, &str) =
    ("lists/people.csv", "to,optin,CustomerName,CaseName\n+4915112345678,yes,Ana,Heater\n+33639980745,no,Bo,Login\n");

fn good() -> tempfile::TempDir {
    let monthly = format!("{SEND}{MONTHLY}");
    folder(&[ORGANIZATION, ACCOUNT, CHANNEL, LIST, ("outbound/monthly.toml", &monthly)])
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let broken = folder(&[
        (
            "organization.toml",
            "id = \"Acme Corp\"\nnam = \"Acme\"\ntimezone = \"Europe/Berlim\"\nquota = \"9/parsec\"\nreserved_for_automatic = 300\n",
        ),
        ("accounts/main.toml", "provider = \"twilio\"\naccount_sid = \"AC1\"\nauth_token = \"hunter2\"\napi_key = 7\n"),
        (
            "accounts/half.toml",
            "provider = \"twilio\"\naccount_sid = \"AC1\"\nauth_token = { env = \"T\" }\napi_key = \"SK1\"\nbase_url = \"ftp://x\"\n",
        ),
        ("accounts/other.toml", "provider = \"pigeon\"\n"),
        ("channels/sms.toml", "type = \"sms\"\naccount = \"mian\"\nnumber = \"+14252306549\"\npase = \"10/s\"\n"),
        (
            "channels/two.toml",
            "type = \"sms\"\naccount = \"nobody\"\nnumber = \"+1 425\"\n[attachments]\nfrom_customer = true\n",
        ),
        ("channels/wa.toml", "type = \"whatsapp\"\naccount = \"half\"\nnumber = \"14252306549\"\n"),
        ("channels/syntax.toml", "type = \"sms\"\nnumber 3\n"),
        (
            "outbound/created.toml",
            "channel = \"smss\"\ntemplate = \"case-creatd\"\n[trigger]\nkind = \"automatic\"\nevent = \"case created\"\nwhen = \"event.data.x ==\"\n[trigger.contact]\nto = \"evnt.data.to\"\n",
        ),
        (
            "outbound/slugs.toml",
            "channel = \"wa\"\ntemplate = \"case-created\"\n[trigger]\nkind = \"automatic\"\nevent = \"case.created\"\n[trigger.contact]\nto = \"event.data.to\"\n[trigger.contact.context]\ncustomername = \"event.data.name\"\n",
        ),
        (
            "outbound/both.toml",
            "channel = \"sms\"\ntemplate = \"case-resolved\"\n[trigger]\nkind = \"scheduled\"\ncron = \"0 9 * * MON\"\nat = [\"2026-12-01T09:00\"]\n",
        ),
        (
            "outbound/cron.toml",
            "name = \"both\"\nchannel = \"sms\"\ntemplate = \"case-resolved\"\n[trigger]\nkind = \"scheduled\"\ncron = \"0 25 * * *\"\n[audience]\nlist = \"poeple\"\n",
        ),
        (
            "outbound/cron2.toml",
            "channel = \"sms\"\ntemplate = \"case-resolved\"\n[trigger]\nkind = \"scheduled\"\ncron = \"0 25 * * *\"\ntimezone = \"Mars/Olympus\"\n",
        ),
        (
            "outbound/cron3.toml",
            "channel = \"sms\"\ntemplate = \"bad\"\n[trigger]\nkind = \"scheduled\"\ncron = \"0 25 * * *\"\n[audience]\nlist = \"poeple\"\n",
        ),
        ("outbound/kind.toml", "channel = \"sms\"\n[trigger]\nkind = \"manual\"\ncron = \"x\"\n"),
        ("outbound/notable.toml", "channel = \"sms\"\ntemplate = \"case-resolved\"\ntrigger = \"instant\"\n"),
        ("hooks/crm.toml", "secret = \"whsec_hunter2\"\n"),
        ("lists/people.csv", "to,optin\n+49,yes\n+4915112345678,maybe\n"),
        ("lists/notes.xlsx", "x"),
        (
            "templates/bad/template.toml",
            "channel_type = \"sms\"\ndefault_locale = \"en\"\npurpose = \"fun\"\nlocale = 1\n",
        ),
        ("templates/bad/en.hbs", "Hi"),
        ("templates/worse/template.toml", "channel_type = \"sms\"\ndefault_locale = \"en\"\npurpose = \"marketing\"\n"),
        ("templates/worse/en.hbs", "Hi {{#each A}}"),
        ("templates/empty/README.md", "later"),
        ("outbounds/x.toml", ""),
        ("channel/x.toml", ""),
        ("organisation.toml", ""),
        ("README.md", "fine"),
        (".git/config", "fine"),
        ("customers.csv", "fine"),
    ]);
    let found = problems(broken.path());
    assert!(!found.contains("hunter2"), "{found}");
    insta::assert_snapshot!(found);
}

#[test]
fn each_rule_is_refused_with_its_file_and_key() {
    let templated = |text: &str| format!("{SEND}{text}");
    for (file, text, expected) in [
        (
            "organization.toml",
            "id = \"acme\"\nname = \"A\"\nquota = \"30_001/hour\"\n".to_owned(),
            "organization.toml:3: quota: ",
        ),
        (
            "organization.toml",
            "id = \"acme\"\nname = \"A\"\nquota = \"10/s\"\n".to_owned(),
            "organization.toml:3: quota: ",
        ),
        (
            "organization.toml",
            "id = \"acme\"\nname = \"A\"\nreserved_for_automatic = 101\n".to_owned(),
            "organization.toml:3: reserved_for_automatic: ",
        ),
        (
            "organization.toml",
            "id = \"acme\"\nname = \"A\"\ntemplates = \"../nowhere\"\n".to_owned(),
            "organization.toml:3: templates: there is no folder",
        ),
        ("organization.toml", "name = \"A\"\n".to_owned(), "organization.toml: id: missing"),
        (
            "channels/sms.toml",
            "type = \"email\"\naccount = \"main\"\nnumber = \"1\"\n".to_owned(),
            "channels/sms.toml:1: type: \"email\" is not a channel type",
        ),
        (
            "accounts/main.toml",
            "provider = \"acs\"\nendpoint = \"https://acme.communication.azure.com\"\n".to_owned(),
            "accounts/main.toml:2: endpoint: stands alone; expected access_key with it",
        ),
        (
            "endpoints/centre.toml",
            "url = \"http://example.com\"\nsecret = { env = \"S\" }\n".to_owned(),
            "endpoints/centre.toml:1: url: is not encrypted; expected https",
        ),
        (
            "endpoints/centre.toml",
            "url = \"https://example.com\"\nsecret = { env = \"S\" }\nevents = [\"message.faild\"]\n".to_owned(),
            "endpoints/centre.toml:3: events: there is no event \"message.faild\"; did you mean \"message.failed\"?",
        ),
        (
            "outbound/a.toml",
            templated("valid_for = \"0s\"\n[trigger]\nkind = \"instant\"\n"),
            "outbound/a.toml:3: valid_for: ",
        ),
        (
            "outbound/a.toml",
            templated("[trigger]\nkind = \"instant\"\ncron = \"0 9 * * *\"\n"),
            "outbound/a.toml:5: trigger.cron: unknown key",
        ),
        (
            "outbound/a.toml",
            templated("[trigger]\nkind = \"automatic\"\n"),
            "outbound/a.toml:3: trigger.event: missing",
        ),
        (
            "outbound/a.toml",
            templated("[trigger]\nkind = \"automatic\"\nevent = \"e\"\n[audience]\nlist = \"people\"\n"),
            "outbound/a.toml:6: audience: an automatic configuration has none",
        ),
        (
            "outbound/a.toml",
            templated("[trigger]\nkind = \"scheduled\"\n[audience]\nlist = \"people\"\n"),
            "outbound/a.toml:3: trigger: expected exactly one of at",
        ),
        (
            "outbound/a.toml",
            templated("[trigger]\nkind = \"scheduled\"\nat = [\"tomorrow\"]\n[audience]\nlist = \"people\"\n"),
            "outbound/a.toml:5: trigger.at: \"tomorrow\" is not a local time",
        ),
        (
            "outbound/a.toml",
            templated("[trigger]\nkind = \"scheduled\"\nat = [\"2026-12-01T09:00\"]\n"),
            "outbound/a.toml: audience: missing",
        ),
        (
            "outbound/a.toml",
            templated("[trigger]\nkind = \"instant\"\n[audience]\nlist = \"people\"\ncases = {}\n"),
            "outbound/a.toml:5: audience: is both a list and a query over cases; expected either",
        ),
        (
            "outbound/a.toml",
            templated("[trigger]\nkind = \"instant\"\n[audience]\n"),
            "outbound/a.toml:5: audience: is nobody; expected either list = \"NAME\" or cases",
        ),
        (
            "outbound/a.toml",
            templated("[trigger]\nkind = \"instant\"\n[audience]\ncases = { state = \"resolved\" }\n"),
            "outbound/a.toml:6: audience.cases.state: unknown key; expected one of: status",
        ),
        (
            "outbound/a.toml",
            templated("[trigger]\nkind = \"instant\"\n[audience]\ncases = { status = \" \" }\n"),
            "outbound/a.toml:6: audience.cases.status: is empty; expected the status of a case",
        ),
        (
            "outbound/a.toml",
            templated(
                "[trigger]\nkind = \"automatic\"\nevent = \"e\"\n[trigger.contact]\nto = \"event.id\"\noptin = \"true\"\n",
            ),
            "does not fill CaseName, which template \"case-resolved\" needs",
        ),
        (
            "outbound/a.toml",
            "channel = \"sms\"\ntemplate = \"appointment-reminder\"\n[trigger]\nkind = \"instant\"\n".to_owned(),
            "outbound/a.toml:2: template: \"appointment-reminder\" is for whatsapp, and channel \"sms\" is sms",
        ),
        (
            "lists/people.csv",
            "to,optin,CustomerName,CaseName\n+4915112345678,yes,Ana,H\n+4915112345678,yes,Ana,H\n".to_owned(),
            "lists/people.csv: 1 row repeats",
        ),
        (
            "lists/people.csv",
            "to,optin,CustomerName\n+4915112345678,yes,Ana\n".to_owned(),
            "the template needs columns that the file does not have: \"CaseName\"",
        ),
        ("accounts/a b.toml", ACCOUNT.1.to_owned(), "accounts/a b.toml: \"a b\" cannot be a name"),
        ("accounts/x.yaml", String::new(), "accounts/x.yaml: is not read; expected files accounts/NAME.toml"),
    ] {
        let organization = good();
        write(organization.path(), &[(file, &text)]);
        let found = problems(organization.path());
        assert!(
            found.contains(expected) && found.lines().count() == 1 + usize::from(expected.contains("CaseName, which")),
            "{file} {text}: {found}"
        );
    }
    assert_eq!(problems(good().path()), "");
    assert!(problems(Path::new("/nowhere/at/all")).contains("there is no such folder"));
}

const OTHER: (&str, &str) =
    ("accounts/other.toml", "provider = \"telesign\"\ncustomer_id = \"C-1\"\napi_key = { env = \"K\" }\n");
const WHATSAPP: (&str, &str) =
    ("channels/wa.toml", "type = \"whatsapp\"\naccount = \"main\"\nnumber = \"+14252306550\"\n");

/// A channel on the second account.
fn at_telesign(more: &str) -> String {
    format!("type = \"sms\"\naccount = \"other\"\nnumber = \"14252306551\"\n{more}")
}

#[test]
fn senders_are_what_their_provider_carries_and_stand_ins_are_of_use() {
    let sms = |more: &str| format!("{}{more}", CHANNEL.1);
    let second = |account: &str| format!("type = \"sms\"\naccount = \"{account}\"\nnumber = \"14252306551\"\n");
    for (files, expected) in [
        (vec![("channels/b.toml", at_telesign("")), (CHANNEL.0, sms("fallback = \"b\"\n"))], ""),
        (
            vec![("channels/b.toml", at_telesign("").replace("\"sms\"", "\"whatsapp\"").replace("\"1425", "\"+1425"))],
            "channels/b.toml:2: account: \"other\" is at TeleSign, and whatsapp goes through Twilio only",
        ),
        (
            vec![(WHATSAPP.0, format!("{}number_type = \"short_code\"\n", WHATSAPP.1))],
            "channels/wa.toml:4: number_type: a WhatsApp sender is a number like any other",
        ),
        (
            vec![(CHANNEL.0, sms("fallback = \"b\"\n"))],
            "channels/sms.toml:4: fallback: there is no channel \"b\"; expected one of: wa",
        ),
        (vec![(CHANNEL.0, sms("smart_encoding = true\n"))], ""),
        (
            vec![(WHATSAPP.0, format!("{}smart_encoding = true\n", WHATSAPP.1))],
            "channels/wa.toml:4: smart_encoding: is for SMS, where look-alikes cost segments",
        ),
        (vec![(CHANNEL.0, sms("fallback = \"sms\"\n"))], "channels/sms.toml:4: fallback: is this channel itself"),
        (
            vec![(CHANNEL.0, sms("fallback = \"wa\"\n"))],
            "channels/sms.toml:4: fallback: \"wa\" is whatsapp, and this channel is sms",
        ),
        (
            vec![("channels/b.toml", second("main")), (CHANNEL.0, sms("fallback = \"b\"\n"))],
            "channels/sms.toml:4: fallback: \"b\" is on account \"main\" as well",
        ),
        (
            vec![
                ("channels/b.toml", at_telesign("fallback = \"c\"\n")),
                ("channels/c.toml", second("main")),
                (CHANNEL.0, sms("fallback = \"b\"\n")),
            ],
            "channels/sms.toml:4: fallback: \"b\" has a fallback of its own",
        ),
    ] {
        let organization = good();
        write(organization.path(), &[OTHER, WHATSAPP]);
        files.iter().for_each(|(file, text)| write(organization.path(), &[(file, text)]));
        let found = problems(organization.path());
        assert!(
            found.starts_with(expected) && found.lines().count() == usize::from(!expected.is_empty()),
            "{files:?}\n{found}"
        );
    }
}

#[test]
fn media_go_only_where_they_are_allowed_and_carried() {
    const MAP: (&str, &str) = (
        "templates/map/template.toml",
        "channel_type = \"sms\"\ndefault_locale = \"en\"\npurpose = \"transactional\"\nmedia = [\"https://example.com/map.png\"]\n",
    );
    const SENDS: &str = "template = \"map\"\n[trigger]\nkind = \"instant\"\n";
    const ALLOWED: &str = "[attachments]\nfrom_organization = true\n";
    let with_stand_in = format!("{}fallback = \"b\"\n{ALLOWED}", CHANNEL.1);
    for (channel, expected) in [
        (format!("{}{ALLOWED}", CHANNEL.1), ""),
        (
            CHANNEL.1.to_owned(),
            "outbound/map.toml:2: template: \"map\" sends attachments, and channel \"sms\" does not allow the organization's; expected attachments.from_organization = true in channels/sms.toml",
        ),
        (
            CHANNEL.1.replace("main", "other"),
            "outbound/map.toml:2: template: \"map\" sends attachments, and channel \"sms\" is at TeleSign, which carries none; expected one on a Twilio account",
        ),
        (
            with_stand_in,
            "outbound/map.toml:2: template: \"map\" sends attachments, and its fallback \"b\" is at TeleSign, which carries none; expected one on a Twilio account",
        ),
    ] {
        let files = folder(&[ORGANIZATION, ACCOUNT, OTHER, MAP, ("templates/map/en.hbs", "Here is the map.")]);
        write(files.path(), &[(CHANNEL.0, &channel), ("channels/b.toml", &at_telesign(""))]);
        write(files.path(), &[("outbound/map.toml", &format!("channel = \"sms\"\n{SENDS}"))]);
        assert_eq!(problems(files.path()), expected);
    }
}

#[test]
fn what_cannot_be_carried_is_said_and_stops_nothing() {
    const NOTE: &str = "channel_type = \"whatsapp\"\ndefault_locale = \"en\"\npurpose = \"marketing\"\n";
    let mut list = "to,optin\n".to_owned();
    (0..100_000).for_each(|nth| list.push_str(&format!("+49151{nth:08},yes\n")));
    let name = "type = \"sms\"\naccount = \"other\"\nnumber = \"ACME\"\nnumber_type = \"alphanumeric\"\n";
    let send = |channel: &str, template: &str, trigger: &str| {
        format!("channel = \"{channel}\"\ntemplate = \"{template}\"\n{trigger}")
    };
    let instant = "[trigger]\nkind = \"instant\"\n";
    let files = folder(&[ORGANIZATION, ACCOUNT, CHANNEL, WHATSAPP, ("lists/people.csv", &list)]);
    write(
        files.path(),
        &[
            (OTHER.0, &format!("{}base_url = \"https://rest-api.telesign.com\"\n", OTHER.1)),
            ("channels/name.toml", name),
            ("templates/free/template.toml", NOTE),
            ("templates/free/en.hbs", "Hello"),
            ("templates/sale/template.toml", &NOTE.replace("whatsapp", "sms")),
            ("templates/sale/en.hbs", "A sale"),
            ("outbound/free.toml", &send("wa", "free", instant)),
            ("outbound/seen.toml", &send("wa", "seen", "[trigger]\nkind = \"automatic\"\nevent = \"e\"\n")),
            ("templates/seen/template.toml", &format!("{NOTE}[approved.en]\ncontent_sid = \"HX{:032}\"\n", 1)),
            ("templates/seen/en.hbs", "Seen"),
            ("accounts/second.toml", ACCOUNT.1),
            ("channels/second.toml", &WHATSAPP.1.replace("main", "second")),
            (WHATSAPP.0, &format!("{}fallback = \"second\"\n", WHATSAPP.1)),
            ("outbound/instant.toml", &send("sms", "sale", instant)),
            ("outbound/monthly.toml", &send("sms", "sale", MONTHLY)),
            ("outbound/sale.toml", &send("name", "sale", instant)),
        ],
    );
    let set = DefinitionSet::read(files.path()).unwrap();
    insta::assert_snapshot!(set.notices(NOW).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), @r#"
    outbound monthly: fires next at 2026-12-01 09:00:00 +00:00, 2027-01-01 09:00:00 +00:00, 2027-02-01 09:00:00 +00:00, 2027-03-01 09:00:00 +00:00, 2027-04-01 09:00:00 +00:00 (UTC)
    account other: rest-api.telesign.com is TeleSign's address for self-service, which carries at most 100,000 messages a month; for more, leave base_url out and send as an enterprise customer
    channel name: nobody can answer a name: neither replies nor STOP will come
    outbound sale: is marketing, and nobody can say STOP to channel "name"; name another way to opt out in the text
    outbound instant: a run of 100,000 rows takes 28 hours through channel "sms" (a long code, 1/s in segments); what is not sent within 1d expires
    outbound monthly: its list of 100,000 rows takes 28 hours through channel "sms" (a long code, 1/s in segments); what is not sent within 1d expires
    outbound seen: approved content belongs to the account that it was approved for: fallback "second" is refused it
    template free: has no approved content: free text only, which reaches only people who wrote within the last 24 hours
    "#);
}

#[test]
fn approved_content_is_refused_with_its_file_line_and_key() {
    let files = good();
    write(
        files.path(),
        &[
            (
                "templates/seen/template.toml",
                "channel_type = \"whatsapp\"\ndefault_locale = \"en\"\npurpose = \"transactional\"\n\n[approved.en]\ncontent_sd = \"HX00000000000000000000000000000001\"\nvariables = { \"1\" = \"Name\" }\n\n[approved.fr]\ncontent_sid = \"HX1\"\n\n[approved.de]\ncontent_sid = \"HX00000000000000000000000000000001\"\ntext = \"Guten Tag {{1}}, bis bald.\"\n",
            ),
            ("templates/seen/en.hbs", "Hello {{Name}}, see you."),
            ("templates/seen/de.hbs", "Guten Tag {{Name}}, bis dann."),
            (
                "templates/case-resolved/template.toml",
                "channel_type = \"sms\"\ndefault_locale = \"en\"\npurpose = \"transactional\"\n",
            ),
            ("templates/case-resolved/en.hbs", "{{CustomerName}} {{CaseName}}"),
        ],
    );
    insta::assert_snapshot!(problems(files.path()), @r#"
    templates/seen/template.toml:5: approved.en.content_sid: missing; expected HX and 32 hexadecimal digits, as the provider shows it
    templates/seen/template.toml:6: approved.en.content_sd: unknown key; the nearest known one is "content_sid"
    templates/seen/template.toml:9: approved.fr: there is no text for it; expected a file fr.hbs
    templates/seen/template.toml:10: approved.fr.content_sid: "HX1" is no content; expected HX and 32 hexadecimal digits
    templates/seen/template.toml:14: approved.de.text: says something else than de.hbs with the variables put in: "… {{name}}, bis bald." here, "… {{name}}, bis dann." there; a text that differs from the approved one is never sent as a template
    "#);
}

async fn store(folder: &Path) -> Store {
    Store::open(&format!("sqlite:{}", folder.join("herald.db").display())).await.unwrap()
}

/// Ids need chance that differs, and no more here.
fn random() -> impl FnMut() -> u128 {
    let mut last = 0_u128;
    move || {
        last += 1;
        last << 60
    }
}

fn shown(applied: &Applied) -> String {
    let lines = applied.changes.iter().map(|(kind, name, change)| format!("{} {name}: {change:?}", kind.as_str()));
    let notices = applied.notices.iter().map(ToString::to_string);
    let tokens =
        applied.callback_tokens.keys().chain(applied.hook_tokens.keys()).map(|name| format!("token of {name}"));
    let organization = format!("organization: {:?}", applied.organization);
    [organization].into_iter().chain(lines).chain(notices).chain(tokens).collect::<Vec<_>>().join("\n")
}

async fn definition(store: &Store, org: &OrgId, kind: Kind, name: &str) -> Definition {
    let all = store.definitions(org).await.unwrap();
    all.into_iter().find(|found| found.kind == kind && found.name == name).unwrap()
}

#[tokio::test]
async fn the_example_is_good_and_applies_once() {
    let from_disk = DefinitionSet::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/acme")).unwrap();
    let embedded = DefinitionSet::from_source(&acme()).unwrap();
    assert_eq!(embedded, DefinitionSet { lists: embedded.lists.clone(), ..from_disk.clone() });
    assert!(acme_customers().starts_with("\u{FEFF}Phone Number".as_bytes()));
    let herald::domain::account::Account::Twilio(twilio) = &from_disk.accounts["twilio"] else { unreachable!() };
    assert_eq!(twilio.account_sid, herald::sandbox::settings::Settings::DEFAULT_ACCOUNT_SID);
    let herald::domain::account::Account::TeleSign(telesign) = &from_disk.accounts["telesign"] else { unreachable!() };
    assert_eq!(telesign.customer_id, herald::sandbox::settings::Settings::DEFAULT_CUSTOMER_ID);

    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let org = from_disk.organization.id.clone();
    let planned = plan_apply(&store, &from_disk, NOW).await.unwrap();
    assert!(store.organization(&org).await.unwrap().is_none(), "a plan writes nothing");
    let applied = apply(&store, &from_disk, NOW, random()).await.unwrap();
    assert_eq!((&planned.changes, planned.organization), (&applied.changes, applied.organization));
    insta::assert_snapshot!(shown(&applied));
    for token in applied.callback_tokens.values().chain(applied.hook_tokens.values()) {
        assert_eq!(token_org(token), Some(org.clone()), "{token}");
    }
    assert_eq!(store.list_entries(&org, "customers", 1, 0, 1000).await.unwrap().len(), 120);
    let revision = store.organization(&org).await.unwrap().unwrap().1;

    for set in [&from_disk, &embedded] {
        let again = apply(&store, set, LATER, random()).await.unwrap();
        assert!(again.is_unchanged(), "{}", shown(&again));
        assert!(plan_apply(&store, set, LATER).await.unwrap().is_unchanged());
        assert_eq!(
            (again.callback_tokens, again.hook_tokens),
            (applied.callback_tokens.clone(), applied.hook_tokens.clone())
        );
        assert_eq!(store.organization(&org).await.unwrap().unwrap().1, revision);
    }
}

#[tokio::test]
async fn a_list_that_has_changed_is_a_new_version_and_a_bad_one_changes_nothing() {
    let files = good();
    let data = tempfile::tempdir().unwrap();
    let store = store(data.path()).await;
    let org: OrgId = "acme".parse().unwrap();
    let set = DefinitionSet::read(files.path()).unwrap();
    apply(&store, &set, NOW, random()).await.unwrap();
    write(files.path(), &[("lists/people.csv", "to,optin,CustomerName,CaseName\n+81312345678,yes,Cy,Invoice\n")]);
    let applied = apply(&store, &DefinitionSet::read(files.path()).unwrap(), LATER, random()).await.unwrap();
    let changed: Vec<_> =
        applied.changes.iter().filter(|(.., change)| *change == Change::Changed).map(|(kind, ..)| *kind).collect();
    assert_eq!(changed, [Kind::List]);
    let list: List = serde_json::from_str(&definition(&store, &org, Kind::List, "people").await.body).unwrap();
    assert_eq!((list.version, list.rows), (2, 1));
    assert_eq!(store.list_entries(&org, "people", 2, 0, 10).await.unwrap().len(), 1);
    assert_eq!(store.list_entries(&org, "people", 1, 0, 10).await.unwrap().len(), 2, "a run may still be reading it");

    write(files.path(), &[("lists/people.csv", "to,optin,CustomerName,CaseName\n+8,yes,Cy,Invoice\n")]);
    let refused = apply(&store, &set, LATER, random()).await.unwrap_err();
    assert!(
        matches!(&refused, ApplyError::Problems(problems) if problems.to_string().contains("fix 1 phone number")),
        "{refused}"
    );
    let after: List = serde_json::from_str(&definition(&store, &org, Kind::List, "people").await.body).unwrap();
    assert_eq!(after, list);
}

#[test]
fn slices_limits_and_lengths_of_time_are_refused_in_words() {
    let after = |rest: &str| format!("[trigger]\nkind = \"scheduled\"\n{rest}[audience]\nlist = \"people\"\n");
    let instant = "[trigger]\nkind = \"instant\"\n";
    let automatic = "opted_in = true\n[trigger]\nkind = \"automatic\"\nevent = \"e\"\n";
    for (text, expected) in [
        (
            format!(
                "canary = 100\ncanary_wait = \"5m\"\n{instant}[limits]\nfailed = \"10%\"\nopted_out = \"off\"\nafter = 50\n"
            ),
            "",
        ),
        (format!("canary = \"0.5%\"\n{instant}"), ""),
        (after("after = \"2h\"\n"), ""),
        (
            format!("canary = 0\n{instant}"),
            "outbound/new.toml:3: canary: 0 is no first slice: expected a number of messages from 1 on, or a share of the run like \"1%\"",
        ),
        (
            format!("canary = \"many\"\n{instant}"),
            "outbound/new.toml:3: canary: \"many\" is no first slice: expected a number of messages from 1 on, or a share of the run like \"1%\"",
        ),
        (
            format!("canary_wait = \"5m\"\n{instant}"),
            "outbound/new.toml:3: canary_wait: there is nothing to wait for; expected canary beside it",
        ),
        (
            format!("canary = 5\n{automatic}"),
            "outbound/new.toml:3: canary: an automatic configuration has none, as its contacts come one by one; expected limits alone",
        ),
        (
            format!("{instant}[limits]\nfailed = \"110%\"\n"),
            "outbound/new.toml:6: limits.failed: \"110%\" is not a percentage: expected one from 0 to 100 with at most two decimals, like \"10%\" or \"0.5%\"",
        ),
        (
            after("after = \"2h\"\ncron = \"0 9 * * *\"\n"),
            "outbound/new.toml:3: trigger: expected exactly one of at (local times), cron (an expression) and after (a length of time)",
        ),
    ] {
        let files = good();
        write(files.path(), &[("outbound/new.toml", &format!("{SEND}{text}"))]);
        assert_eq!(problems(files.path()), expected, "{text}");
    }
}

#[test]
fn the_next_firings_are_told_with_what_the_clocks_make_of_them() {
    let files = good();
    let trigger = |rest: &str| {
        format!(
            "{SEND}[trigger]\nkind = \"scheduled\"\ntimezone = \"Europe/Berlin\"\n{rest}[audience]\nlist = \"people\"\n"
        )
    };
    write(
        files.path(),
        &[
            ("outbound/changes.toml", &trigger("cron = \"30 2 28,31 3,10 *\"\n")),
            ("outbound/later.toml", &trigger("after = \"36h\"\n")),
            ("outbound/past.toml", &trigger("at = [\"2020-01-01T09:00\"]\n")),
        ],
    );
    let set = DefinitionSet::read(files.path()).unwrap();
    let told: Vec<String> =
        set.firings(NOW).iter().map(|one| format!("{}: {}", one.configuration, one.in_words())).collect();
    insta::assert_snapshot!(told.join("\n"), @"
    changes: fires next at 2027-03-28 03:00:00 +02:00 (02:30:00 does not exist there, as the clocks are put forward: it fires at the next time that does), 2027-03-31 02:30:00 +02:00, 2027-10-28 02:30:00 +02:00, 2027-10-31 02:30:00 +02:00 (this time occurs twice, as the clocks are put back: it fires the first time), 2028-03-28 02:30:00 +02:00 (Europe/Berlin)
    later: fires once, 36h after this is applied
    monthly: fires next at 2026-12-01 09:00:00 +00:00, 2027-01-01 09:00:00 +00:00, 2027-02-01 09:00:00 +00:00, 2027-03-01 09:00:00 +00:00, 2027-04-01 09:00:00 +00:00 (UTC)
    past: never fires again: all of its times are past
    ");
}

#[tokio::test]
async fn schedules_follow_their_definitions() {
    let files = good();
    let data = tempfile::tempdir().unwrap();
    let store = store(data.path()).await;
    let org: OrgId = "acme".parse().unwrap();
    apply(&store, &DefinitionSet::read(files.path()).unwrap(), NOW, random()).await.unwrap();
    let id: ConfigurationId = definition(&store, &org, Kind::Configuration, "monthly").await.id.parse().unwrap();
    let mut fired = BTreeMap::new();
    for (step, text, now) in [
        ("first", MONTHLY.to_owned(), NOW),
        ("another time", MONTHLY.replace("0 9 1", "0 9 2"), LATER),
        ("inactive", format!("active = false\n{MONTHLY}"), LATER),
        ("active again", MONTHLY.to_owned(), LATER),
        ("due and not yet fired", MONTHLY.to_owned(), Timestamp::from_millis(1_796_200_000_000)),
        ("instant", "[trigger]\nkind = \"instant\"\n".to_owned(), LATER),
    ] {
        write(files.path(), &[("outbound/monthly.toml", &format!("{SEND}{text}"))]);
        apply(&store, &DefinitionSet::read(files.path()).unwrap(), now, random()).await.unwrap();
        fired.insert(step, store.next_firing(&org, id).await.unwrap().map(|time| time.to_string()));
    }
    let first = Some("2026-12-01T09:00:00.000Z".to_owned());
    assert_eq!(fired["first"], first);
    assert_eq!(fired["another time"].as_deref(), Some("2026-12-02T09:00:00.000Z"));
    assert_eq!((&fired["inactive"], &fired["instant"]), (&None, &None));
    assert_eq!((&fired["active again"], &fired["due and not yet fired"]), (&first, &first));
}

/// What is stored, by kind and name.
async fn stored(store: &Store) -> Vec<String> {
    let all = store.definitions(&"acme".parse().unwrap()).await.unwrap();
    all.iter().map(|one| format!("{} {}", one.kind.as_str(), one.name)).collect()
}

const MINIMAL: [(&str, &str); 3] = [ORGANIZATION, ACCOUNT, CHANNEL];
const GREETING: (&str, &str) = (
    "templates/greeting/template.toml",
    "channel_type = \"sms\"\ndefault_locale = \"en\"\npurpose = \"transactional\"\n",
);
const CREATED: &str = "channel = \"sms\"\ntemplate = \"greeting\"\nopted_in = true\n[trigger]\nkind = \"automatic\"\nevent = \"e\"\n[trigger.contact]\nto = \"event.data.to\"\n[trigger.contact.context]\nName = \"event.data.name\"\n";

#[tokio::test]
async fn a_template_that_breaks_what_is_stored_is_refused_by_the_names_of_what_it_breaks() {
    let data = tempfile::tempdir().unwrap();
    let store = store(data.path()).await;
    let first = folder(&MINIMAL);
    write(first.path(), &[GREETING, ("templates/greeting/en.hbs", "Hi {{Name}}"), LIST]);
    let weekly = format!("channel = \"sms\"\ntemplate = \"greeting\"\n{}", MONTHLY.replace("people", "named"));
    let named = "to,optin,Name\n+4915112345678,yes,Ana\n";
    write(
        first.path(),
        &[("outbound/created.toml", CREATED), ("outbound/weekly.toml", &weekly), ("lists/named.csv", named)],
    );
    apply(&store, &DefinitionSet::read(first.path()).unwrap(), NOW, random()).await.unwrap();
    let before = store.organization(&"acme".parse().unwrap()).await.unwrap();

    // From its own files: the configurations are there.
    write(first.path(), &[("templates/greeting/en.hbs", "Hi {{Name}}, it is {{Day}}")]);
    let found = problems(first.path());
    let filled = "outbound/created.toml:9: trigger.contact.context: configuration \"created\" does not fill Day, which template \"greeting\" needs";
    assert!(
        found.contains(filled)
            && found.contains("columns that the file does not have: \"Day\"")
            && found.contains("; it is sent to by weekly"),
        "{found}"
    );

    // From a folder that has the template alone: they are stored.
    let second = folder(&MINIMAL);
    write(second.path(), &[GREETING, ("templates/greeting/en.hbs", "Hi {{Name}}, it is {{Day}}")]);
    let set = DefinitionSet::read(second.path()).unwrap();
    for refused in [plan_apply(&store, &set, LATER).await, apply(&store, &set, LATER, random()).await] {
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.starts_with(
                "outbound/created (stored): trigger.contact.context: configuration \"created\" does not fill Day"
            ),
            "{refused}"
        );
    }
    // What only a stored list would lack is found in its entries.
    write(
        first.path(),
        &[
            ("templates/greeting/en.hbs", "Hi {{Name}}"),
            ("outbound/created.toml", &CREATED.replace("Name =", "Day = \"event.data.day\"\nName =")),
        ],
    );
    apply(&store, &DefinitionSet::read(first.path()).unwrap(), NOW, random()).await.unwrap();
    let refused = apply(&store, &set, LATER, random()).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "outbound/weekly (stored): audience.list: list \"named\" has no Day in its entry 1, and template \"greeting\" needs it; expected a list that has it for everybody"
    );
    assert_eq!(store.organization(&"acme".parse().unwrap()).await.unwrap().unwrap().1, before.unwrap().1 + 1);

    // A slug less breaks nobody.
    write(second.path(), &[("templates/greeting/en.hbs", "Hi!")]);
    let applied = apply(&store, &DefinitionSet::read(second.path()).unwrap(), LATER, random()).await.unwrap();
    let kept: Vec<&str> = applied.kept.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(kept, ["created", "weekly", "named", "people"]);
}

#[tokio::test]
async fn files_may_name_what_is_only_stored_and_are_judged_with_it() {
    let data = tempfile::tempdir().unwrap();
    let store = store(data.path()).await;
    let first = folder(&MINIMAL);
    write(first.path(), &[GREETING, ("templates/greeting/en.hbs", "Hi {{Name}}")]);
    apply(&store, &DefinitionSet::read(first.path()).unwrap(), NOW, random()).await.unwrap();
    let second = folder(&[ORGANIZATION]);
    write(second.path(), &[("outbound/created.toml", CREATED)]);
    assert!(problems(second.path()).contains("there is no channel \"sms\""));
    let files = OnDisk(second.path().to_owned());
    assert_eq!(DefinitionSet::organization_in(&files), Some("acme".parse().unwrap()));
    let seen = Stored::read(&store, &"acme".parse().unwrap()).await.unwrap();
    let set = DefinitionSet::over(&files, &seen).unwrap();
    let applied = apply(&store, &set, LATER, random()).await.unwrap();
    let created: Vec<_> =
        applied.changes.iter().map(|(kind, name, change)| (kind.as_str(), name.as_str(), *change)).collect();
    assert_eq!(created, [("configuration", "created", Change::Created)]);

    // What was seen is another by now: it is looked at again.
    write(
        first.path(),
        &[
            ("templates/greeting/en.hbs", "Hi {{Name}}, it is {{Day}}"),
            ("outbound/created.toml", &CREATED.replace("Name =", "Day = \"event.data.day\"\nName =")),
        ],
    );
    apply(&store, &DefinitionSet::read(first.path()).unwrap(), LATER, random()).await.unwrap();
    let refused = apply(&store, &set, LATER, random()).await.unwrap_err().to_string();
    assert!(refused.contains("configuration \"created\" does not fill Day"), "{refused}");
    write(second.path(), &[("outbound/created.toml", &CREATED.replace("\"sms\"", "\"smss\""))]);
    let seen = Stored::read(&store, &"acme".parse().unwrap()).await.unwrap();
    let refused = DefinitionSet::over(&files, &seen).unwrap_err().to_string();
    assert!(
        refused.starts_with("outbound/created.toml:1: channel: there is no channel \"smss\"; did you mean \"sms\"?")
    );
}

#[tokio::test]
async fn pruning_removes_what_is_not_in_the_files_all_of_it_or_nothing() {
    let data = tempfile::tempdir().unwrap();
    let store = store(data.path()).await;
    let org: OrgId = "acme".parse().unwrap();
    let first = good();
    write(
        first.path(),
        &[OTHER, ("channels/b.toml", &at_telesign("")), ("hooks/crm.toml", "secret = { env = \"S\" }\n")],
    );
    let all = DefinitionSet::read(first.path()).unwrap();
    apply(&store, &all, NOW, random()).await.unwrap();
    let monthly: ConfigurationId = definition(&store, &org, Kind::Configuration, "monthly").await.id.parse().unwrap();
    let everything = stored(&store).await;
    let small = DefinitionSet::read(folder(&MINIMAL).path()).unwrap();
    let applied = apply(&store, &small, LATER, random()).await.unwrap();
    assert!(applied.is_unchanged() && applied.removed.is_empty(), "{}", shown(&applied));
    assert_eq!((applied.kept.len(), stored(&store).await), (everything.len() - 2, everything.clone()));

    let planned = plan_apply_and(&store, &small, Rest::Goes, LATER).await.unwrap();
    assert_eq!((planned.removed.len(), stored(&store).await), (everything.len() - 2, everything));
    let applied = apply_and(&store, &small, Rest::Goes, LATER, random()).await.unwrap();
    assert_eq!((&applied.removed, applied.kept.is_empty(), applied.is_unchanged()), (&planned.removed, true, false));
    assert_eq!(stored(&store).await, ["account main", "channel sms"]);
    assert_eq!(store.next_firing(&org, monthly).await.unwrap(), None);
    assert_eq!(store.list_entries(&org, "people", 1, 0, 10).await.unwrap().len(), 0);
    assert!(store.tokens(&org, TokenKind::Hook).await.unwrap().is_empty());
    assert!(apply_and(&store, &small, Rest::Goes, LATER, random()).await.unwrap().is_unchanged());
    // What comes again is new.
    apply(&store, &all, LATER, random()).await.unwrap();
    let again: ConfigurationId = definition(&store, &org, Kind::Configuration, "monthly").await.id.parse().unwrap();
    assert!(again != monthly && store.next_firing(&org, again).await.unwrap().is_some());
}
