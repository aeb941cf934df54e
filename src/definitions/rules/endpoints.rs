//! Places that want to hear of what happens: where they are, and of what.

use super::{
    super::{page::Page, problem::Problem},
    is_private_to_both, web,
};
use crate::{
    domain::{definition::Endpoint, webhook::EventType},
    keys,
};

/// Everything that can be asked for: each event, all about messages, all.
fn events() -> Vec<&'static str> {
    let mut events: Vec<_> = EventType::ALL.iter().map(|event| event.as_str()).chain(["*", "message.*"]).collect();
    events.sort_unstable();
    events
}

/// What is wrong with an endpoint.
pub(in super::super) fn endpoint(page: &Page, endpoint: &Endpoint) -> Vec<Problem> {
    let mut problems = Vec::new();
    match web(&endpoint.url) {
        None => {
            problems.push(page.problem("url", "is not a web address; expected one like \"https://example.com/herald\""))
        }
        Some(url) if !url.username().is_empty() || url.password().is_some() => {
            problems.push(
                page.problem("url", "has a user or a password in it; expected neither: what is posted is signed"),
            );
        }
        Some(url) if !is_private_to_both(&url) => {
            let message = "is not encrypted; expected https (plain http is for this machine's own addresses)";
            problems.push(page.problem("url", message));
        }
        Some(_) => {}
    }
    if endpoint.events.is_empty() {
        problems.push(page.problem("events", "is empty; expected at least one, or none of this key for all of them"));
    }
    let events = events();
    for unknown in endpoint.events.iter().filter(|event| !events.contains(&event.as_str())) {
        let meant = keys::nearest(unknown, &events).map(|near| format!("did you mean \"{near}\"?"));
        let meant = meant.unwrap_or_else(|| format!("expected one of: {}", events.join(", ")));
        problems.push(page.problem("events", format!("there is no event \"{unknown}\"; {meant}")));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_encrypted_or_this_machines_and_events_are_known() {
        for (url, events, expected) in [
            ("https://example.com/herald", &["*"][..], &[][..]),
            ("https://example.com/herald?x=1", &events(), &[]),
            ("http://127.0.0.1:9000/events", &["run.completed"], &[]),
            ("http://localhost:9000", &["message.*"], &[]),
            ("http://[::1]:9000", &["message.failed"], &[]),
            ("http://example.com", &["*"], &["url: is not encrypted"]),
            ("http://10.0.0.1", &["*"], &["url: is not encrypted"]),
            ("http://localhost.example.com", &["*"], &["url: is not encrypted"]),
            ("https://me:secret@example.com", &["*"], &["url: has a user"]),
            ("example.com", &["*"], &["url: is not a web address"]),
            ("ftp://example.com", &["*"], &["url: is not a web address"]),
            ("https://example.com", &[], &["events: is empty"]),
            (
                "https://example.com",
                &["message.faild", "Reply.Received", "orders.created"],
                &[
                    "events: there is no event \"message.faild\"; did you mean \"message.failed\"?",
                    "events: there is no event \"Reply.Received\"; did you mean \"reply.received\"?",
                    "events: there is no event \"orders.created\"; expected one of: *, consent.changed",
                ],
            ),
        ] {
            let text = format!("url = \"{url}\"\nsecret = {{ env = \"S\" }}\nevents = {events:?}\n");
            let page = Page::new("endpoints/e.toml", text.as_bytes().to_vec()).unwrap();
            let found = endpoint(&page, &toml::from_str(&text).unwrap());
            let told: Vec<String> =
                found.iter().map(|it| format!("{}: {}", it.key.as_deref().unwrap_or_default(), it.message)).collect();
            assert_eq!(told.len(), expected.len(), "{url} {events:?}: {told:?}");
            for (told, expected) in told.iter().zip(expected) {
                assert!(told.starts_with(expected) && !told.contains("secret"), "{told}");
            }
        }
    }
}
