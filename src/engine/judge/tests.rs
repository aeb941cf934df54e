//! Tables of judgements: who gets what, who gets nothing and why, and who is asked about first.

use std::time::Duration;

use super::*;
use crate::{
    domain::{
        fairness::Priority,
        frequency::Said as Before,
        id::{MessageId, RequestId, RunId},
        run::Pinned,
        time::Span,
    },
    engine::rules::Nights,
    template::TemplateSource,
};

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
const SID: &str = "HX0123456789abcdef0123456789abcdef";

fn run() -> RunId {
    RunId::new(NOW, 1 << 90)
}

fn request() -> Claimed {
    Claimed {
        org: "acme".parse().unwrap(),
        id: RequestId { run: run(), number: 1 },
        priority: Priority::Instant,
        first_seq: 1,
        size: 100,
        token: 2,
        attempts: 2,
        begun: 0,
        accepted_at: NOW,
        via: String::new(),
        first_sent: None,
    }
}

fn pinned() -> Pinned {
    let valid_for = Span(Duration::from_hours(1));
    serde_json::from_value(serde_json::json!({
        "channel": "main", "template": null, "version": 1, "valid_for": valid_for, "on_uncertain": "keep",
    }))
    .unwrap()
}

fn template(approved: bool) -> Content {
    let manifest = "channel_type = \"whatsapp\"\ndefault_locale = \"en\"\npurpose = \"transactional\"\n";
    let approved = if approved {
        format!("[approved.en]\ncontent_sid = \"{SID}\"\nvariables = {{ \"1\" = \"Name\" }}\n")
    } else {
        String::new()
    };
    let texts =
        [("en.hbs".to_owned(), "Hello {{Name}}".to_owned()), ("fr.hbs".to_owned(), "Bonjour {{Name}}".to_owned())];
    let source = TemplateSource::from_files(&format!("{manifest}{approved}"), texts).unwrap();
    Content::Template(Arc::new(Template::compile(&source).unwrap()))
}

fn message(slugs: &str) -> StoredMessage {
    StoredMessage {
        id: crate::domain::id::MessageId { run: run(), seq: 1 },
        row: 1,
        to: E164::from_digits(4_915_112_345_678),
        opted_in: true,
        repeat: false,
        locale: "fr-CA".to_owned(),
        slugs: slugs.to_owned(),
        state: None,
    }
}

struct Case<'a> {
    request: &'a Claimed,
    pinned: &'a Pinned,
    channel_type: ChannelType,
    content: Content,
    /// Hours since the person last wrote.
    wrote: Option<u64>,
    opted_out: bool,
    rules: Rules,
    now: Timestamp,
}

/// Which of the rules about how often and when apply.
#[derive(Clone, Copy, Default)]
struct Rules {
    capped: bool,
    looping: bool,
    quiet: bool,
}

impl Rules {
    /// Three messages a week are allowed; the text has gone out twenty times; it is quiet until six in the evening.
    fn people(self, message: &StoredMessage) -> People {
        let had = if self.capped { 3 } else { 2 };
        let before = |seq| MessageId { seq, ..message.id };
        let times = if self.looping { 20 } else { 19 };
        let said = (message.id.seq - times..=message.id.seq).map(|seq| Before {
            at: NOW,
            id: before(seq),
            text: Some("Bonjour Ana".to_owned()),
        });
        let hours = serde_json::from_str(r#"{"from":"12:00","to":"18:00"}"#).unwrap();
        People {
            cap: Some("3/7day".parse().unwrap()),
            had: BTreeMap::from([(message.id.seq, had)]),
            said: BTreeMap::from([(message.to, said.collect())]),
            nights: self.quiet.then(|| Nights::new(hours, chrono_tz::UTC)),
        }
    }
}

impl Case<'_> {
    fn judge(&self, message: &StoredMessage) -> String {
        let consents = if self.opted_out { BTreeMap::from([(message.to, Consent::Out)]) } else { BTreeMap::new() };
        let wrote = |hours: u64| Timestamp::from_millis(self.now.millis() - i64::try_from(hours).unwrap() * 3_600_000);
        let facts = Facts {
            request: self.request,
            pinned: self.pinned,
            run_status: RunStatus::Running,
            content: Ok(self.content.clone()),
            consents,
            channel_type: self.channel_type,
            smart_encoding: match self.channel_type {
                ChannelType::Sms => SmartEncoding::On,
                ChannelType::WhatsApp => SmartEncoding::Off,
            },
            last_inbound: self.wrote.map(|hours| (message.to, wrote(hours))).into_iter().collect(),
            people: self.rules.people(message),
            callback: None,
            via: "",
            first_sent: NOW,
            may_ask_again: true,
            now: self.now,
        };
        match facts.judge(message) {
            Decision::Nothing => "nothing".to_owned(),
            Decision::End(state) => format!("{} {}", state.status, state.why.unwrap().reason.code()),
            Decision::Hold(state) => waits(&state),
            Decision::Send(ready) => sent(&ready),
            Decision::Ask(Doubt { ready, bar }) => {
                let bar = match bar {
                    None => String::new(),
                    Some(Bar::End(status, why)) => format!(", now {status} {}", why.reason.code()),
                    Some(wait @ Bar::Wait(..)) => format!(", now {}", waits(&wait.state(self.now))),
                };
                format!("ask {:?}: {}{bar}", ready.via, sent(&ready))
            }
        }
    }
}

fn waits(state: &MessageState) -> String {
    let code = state.why.as_ref().unwrap().reason.code();
    format!("{} {code} until {}", state.status, state.held_until.unwrap())
}

fn sent(ready: &Ready) -> String {
    let Ready { outgoing, locale, .. } = ready;
    let how = outgoing.approved.as_ref().map(|approved| format!(" by {:?}", approved.variables)).unwrap_or_default();
    format!("\"{}\" in {locale}{how}", outgoing.text)
}

#[test]
fn whatsapp_goes_by_its_window_and_its_approved_content() {
    let (request, pinned) = (request(), pinned());
    let table = [
        (true, None, r#"{"name":"Ana"}"#, r#""Hello Ana" in en by {"1": "Ana"}"#),
        (true, Some(1), r#"{"name":"Ana"}"#, r#""Hello Ana" in en by {"1": "Ana"}"#),
        (true, None, r#"{"name":"Ana","sendastemplate":"false"}"#, "failed session_closed"),
        (true, Some(23), r#"{"name":"Ana","sendastemplate":"false"}"#, r#""Bonjour Ana" in fr"#),
        (true, None, r#"{"name":"Ana","templateparameters":"{\"1\":\"Bo\"}"}"#, r#""Hello Bo" in en by {"1": "Bo"}"#),
        (true, None, r#"{"name":"Ana","templateparameters":"{\"7\":\"Bo\"}"}"#, "failed template_failed"),
        (true, None, r#"{}"#, "failed missing_slug"),
        (false, None, r#"{"name":"Ana"}"#, "failed session_closed"),
        (false, Some(24), r#"{"name":"Ana"}"#, "failed session_closed"),
        (false, Some(23), r#"{"name":"Ana"}"#, r#""Bonjour Ana" in fr"#),
        (false, Some(23), r#"{"name":"Ana","sendastemplate":"true"}"#, "failed invalid_template"),
    ];
    for (approved, wrote, slugs, expected) in table {
        let content = template(approved);
        let case = Case {
            request: &request,
            pinned: &pinned,
            channel_type: ChannelType::WhatsApp,
            content,
            wrote,
            opted_out: false,
            rules: Rules::default(),
            now: NOW,
        };
        assert_eq!(case.judge(&message(slugs)), expected, "{approved} {wrote:?} {slugs}");
    }
}

#[test]
fn a_message_may_bring_its_own_text() {
    let (request, pinned) = (request(), pinned());
    let case = Case {
        request: &request,
        pinned: &pinned,
        channel_type: ChannelType::WhatsApp,
        content: Content::Own,
        wrote: Some(2),
        opted_out: false,
        rules: Rules::default(),
        now: NOW,
    };
    assert_eq!(case.judge(&message(r#"{"text":"{{as it is}}"}"#)), r#""{{as it is}}" in fr-CA"#);
    assert_eq!(case.judge(&message("{}")), "failed empty_message");
    assert_eq!(Case { wrote: None, ..case }.judge(&message(r#"{"text":"Hi"}"#)), "failed session_closed");
}

#[test]
fn look_alikes_are_replaced_before_segments_are_counted() {
    let (request, pinned) = (request(), pinned());
    let case = |channel_type, content| Case {
        request: &request,
        pinned: &pinned,
        channel_type,
        content,
        wrote: Some(2),
        opted_out: false,
        rules: Rules::default(),
        now: NOW,
    };
    let (own, named) = (message(r#"{"text":"It’s “fine”…"}"#), message(r#"{"name":"L’Œil"}"#));
    assert_eq!(case(ChannelType::Sms, Content::Own).judge(&own), "\"It's \"fine\"...\" in fr-CA");
    assert_eq!(case(ChannelType::Sms, template(false)).judge(&named), "\"Bonjour L'OEil\" in fr");
    assert_eq!(case(ChannelType::WhatsApp, Content::Own).judge(&own), "\"It’s “fine”…\" in fr-CA");
    assert_eq!(
        case(ChannelType::WhatsApp, template(true)).judge(&named),
        "\"Hello L’Œil\" in en by {\"1\": \"L’Œil\"}"
    );
}

#[test]
fn what_is_doubtful_is_asked_about_before_it_is_barred() {
    let (request, pinned) = (Claimed { begun: 1, via: "spare".to_owned(), ..request() }, pinned());
    let text = r#"{"name":"Ana"}"#;
    let case = |opted_out: bool, wrote: Option<u64>, later: Duration| Case {
        request: &request,
        pinned: &pinned,
        channel_type: ChannelType::WhatsApp,
        content: template(false),
        wrote,
        opted_out,
        rules: Rules::default(),
        now: NOW.plus(later),
    };
    let (soon, late) = (Duration::from_secs(1), Duration::from_hours(2));
    let asked = r#"ask "spare": "Bonjour Ana" in fr"#;
    assert_eq!(case(false, Some(1), soon).judge(&message(text)), asked);
    assert_eq!(case(true, Some(1), soon).judge(&message(text)), format!("{asked}, now suppressed opted_out"));
    assert_eq!(case(false, None, soon).judge(&message(text)), format!("{asked}, now failed session_closed"));
    assert_eq!(case(false, Some(1), late).judge(&message(text)), format!("{asked}, now expired expired"));
    // One whose outcome the last holder has written is not doubtful; one that was left uncertain is, and by its own channel.
    let left = |status: Status, token: i64, via: &str| StoredMessage {
        state: Some(MessageState {
            token,
            via: via.to_owned(),
            ..MessageState::new(status, Some(Reason::Throttled.into()), NOW)
        }),
        ..message(text)
    };
    assert_eq!(case(false, Some(1), soon).judge(&left(Status::Queued, 1, "")), r#""Bonjour Ana" in fr"#);
    assert_eq!(case(false, Some(1), soon).judge(&left(Status::Sent, 1, "")), "nothing");
    let uncertain = left(Status::Uncertain, 1, "third");
    assert_eq!(case(false, Some(1), soon).judge(&uncertain), r#"ask "third": "Bonjour Ana" in fr"#);
}

#[test]
fn the_first_rule_that_applies_gives_the_end() {
    let (request, pinned) = (request(), pinned());
    let case = Case {
        request: &request,
        pinned: &pinned,
        channel_type: ChannelType::Sms,
        content: Content::Own,
        wrote: None,
        opted_out: true,
        rules: Rules::default(),
        now: NOW.plus(Duration::from_hours(2)),
    };
    let refused = StoredMessage { opted_in: false, repeat: true, ..message(r#"{"text":"Hi"}"#) };
    assert_eq!(case.judge(&refused), "suppressed opted_out");
    let case = Case { opted_out: false, ..case };
    assert_eq!(case.judge(&refused), "suppressed not_opted_in");
    assert_eq!(case.judge(&StoredMessage { opted_in: true, ..refused.clone() }), "suppressed duplicate");
    let late = StoredMessage { opted_in: true, repeat: false, ..refused };
    assert_eq!(case.judge(&late), "expired expired");
    assert_eq!(Case { channel_type: ChannelType::WhatsApp, ..case }.judge(&late), "failed session_closed");
}

/// All of what may apply to a message, in the order of SPEC 7, and what the message gets if it is the first.
const RULES: [(&str, &str); 8] = [
    ("an opt-out", "suppressed opted_out"),
    ("optin=false", "suppressed not_opted_in"),
    ("a duplicate", "suppressed duplicate"),
    ("the cap", "suppressed frequency_capped"),
    ("a loop", "suppressed looping"),
    ("a closed window", "failed session_closed"),
    ("quiet hours", "queued quiet_hours until 2026-11-18T12:06:40.001Z"),
    ("its age", "expired expired"),
];

#[test]
fn whatever_applies_together_the_earlier_rule_wins() {
    let (request, pinned) = (request(), pinned());
    for applying in 0u32..1 << RULES.len() {
        let applies = |nth: usize| applying & (1 << nth) != 0;
        let case = Case {
            request: &request,
            pinned: &pinned,
            channel_type: ChannelType::WhatsApp,
            content: template(false),
            wrote: (!applies(5)).then_some(1),
            opted_out: applies(0),
            rules: Rules { capped: applies(3), looping: applies(4), quiet: applies(6) },
            now: if applies(7) { NOW.plus(Duration::from_hours(2)) } else { NOW },
        };
        let judged = StoredMessage { opted_in: !applies(1), repeat: applies(2), ..message(r#"{"name":"Ana"}"#) };
        let first = (0..RULES.len()).find(|nth| applies(*nth));
        let expected = match first {
            None => r#""Bonjour Ana" in fr"#,
            // A wait that would outlast the message is none: it ends when its time is over.
            Some(6) if applies(7) => RULES[7].1,
            Some(first) => RULES[first].1,
        };
        let together: Vec<&str> = (0..RULES.len()).filter(|nth| applies(*nth)).map(|nth| RULES[nth].0).collect();
        assert_eq!(case.judge(&judged), expected, "{together:?}");
        // What bars sending bars sending again.
        let doubtful = Claimed { begun: 1, ..request.clone() };
        let barred = first.map(|_| format!(", now {expected}")).unwrap_or_default();
        let asked = format!(r#"ask "": "Bonjour Ana" in fr{barred}"#);
        assert_eq!(Case { request: &doubtful, ..case }.judge(&judged), asked, "in doubt, and {together:?}");
    }
}

#[test]
fn a_wait_is_by_the_clock_of_the_recipient_and_no_longer_than_the_message_is_worth_sending() {
    let (request, day) = (request(), Pinned { valid_for: Span(Duration::from_hours(24)), ..pinned() });
    let case = |pinned| Case {
        request: &request,
        pinned,
        channel_type: ChannelType::Sms,
        content: template(false),
        wrote: None,
        opted_out: false,
        rules: Rules { quiet: true, ..Rules::default() },
        now: NOW,
    };
    let berlin = "queued quiet_hours until 2026-11-18T17:00:00.000Z";
    assert_eq!(case(&day).judge(&message(r#"{"name":"Ana"}"#)), berlin);
    assert_eq!(case(&day).judge(&message(r#"{"name":"Ana","timezone":"nowhere"}"#)), berlin);
    let (kolkata, tokyo) = (r#"{"name":"Ana","timezone":"Asia/Kolkata"}"#, r#"{"name":"Ana","timezone":"Asia/Tokyo"}"#);
    assert_eq!(case(&day).judge(&message(kolkata)), "queued quiet_hours until 2026-11-18T12:30:00.000Z");
    assert_eq!(case(&day).judge(&message(tokyo)), r#""Bonjour Ana" in fr"#);
    assert_eq!(
        case(&pinned()).judge(&message(kolkata)),
        "queued quiet_hours until 2026-11-18T12:06:40.001Z",
        "valid for an hour"
    );
}
