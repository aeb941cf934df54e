//! Words in every dress, and those that are none.

use proptest::prelude::*;

use super::*;
use crate::config::WordLists;

fn read(text: &str) -> Option<Keyword> {
    Keywords::default().read(text, KnownConsent::Unknown)
}

fn lists(lists: &[(&str, &[&str])]) -> WordLists {
    let list = |(language, words): &(&str, &[&str])| {
        ((*language).to_owned(), words.iter().map(|word| (*word).to_owned()).collect())
    };
    lists.iter().map(list).collect()
}

#[test]
fn the_built_in_words_in_every_dress() {
    for text in [
        "STOP",
        "stop",
        "Stop.",
        "  stop\r\n",
        "\"STOP\"",
        "“Stop!”",
        "«stop»",
        "'stop'",
        "🛑 STOP 🛑",
        "stop 🙏🏽",
        "(stop)",
        "ＳＴＯＰ",
        "𝗦𝗧𝗢𝗣",
        "St\u{AD}op",
        "\u{200F}stop\u{FEFF}",
        "STÖP",
        "ſtop",
        "stop❤\u{FE0F}",
        "STOP\u{A0}ALL",
        "stopall",
        "UNSUBSCRIBE",
        "cancel",
        "End",
        "QUIT",
        "revoke",
        "optout",
        "opt out",
        "OPT-OUT",
        "opt – out",
        "Opt\n\nOut",
        "remove",
        "ARRET",
        "arrêt",
        "ARRÊT !",
        "arre\u{302}t",
        "Arrête",
        "arrett",
    ] {
        assert_eq!(read(text), Some(Keyword::Stop), "{text}");
    }
    for (text, expected) in [
        ("Start", Some(Keyword::Start)),
        ("UNSTOP!", Some(Keyword::Start)),
        ("help?", Some(Keyword::Help)),
        ("Info", Some(Keyword::Help)),
        ("", None),
        ("!!!", None),
        ("🛑", None),
        ("STOP PLEASE", None),
        ("please stop", None),
        ("don't stop", None),
        ("stop 1", None),
        ("s t o p", None),
        ("bus stop", None),
        ("stopp", None),
        ("停止", None),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn yes_opts_in_only_who_is_opted_out() {
    let words = Keywords::default();
    for (consent, expected) in
        [(KnownConsent::OptedOut, Some(Keyword::Start)), (KnownConsent::OptedIn, None), (KnownConsent::Unknown, None)]
    {
        assert_eq!(words.read(" Yes! ", consent), expected, "{consent:?}");
        assert_eq!(words.read("start", consent), Some(Keyword::Start));
        assert_eq!(words.read("yes please", consent), None);
    }
}

#[test]
fn languages_are_added() {
    let words =
        ["BAJA", "Abmelden", "STOPP", "配信停止", "ΔΙΑΚΟΠΗ", "Rezygnuję", "शुरू", "wyłącz", "iptal", "SCHLUẞ", "stop"];
    let config = |start: &[&str]| KeywordsConfig {
        stop: lists(&[("es", &words[..1]), ("de", &words[1..3]), ("xx", &words[3..])]),
        start: lists(&[("es", start)]),
        yes: lists(&[("de", &["Ja"])]),
        help: lists(&[("de", &["Hilfe"])]),
    };
    let words = Keywords::configured(&config(&["ALTA"])).unwrap();
    for text in [
        "baja",
        "ABMELDEN",
        "stopp.",
        "「配信停止」",
        "διακοπή",
        "rezygnuje",
        "शुरू!",
        "WYLACZ",
        "İPTAL",
        "schluß",
        "Schluss",
        "stop",
    ] {
        assert_eq!(words.read(text, KnownConsent::OptedIn), Some(Keyword::Stop), "{text}");
    }
    for (text, consent, expected) in [
        ("alta", KnownConsent::Unknown, Some(Keyword::Start)),
        ("hilfe!", KnownConsent::Unknown, Some(Keyword::Help)),
        ("JA", KnownConsent::OptedOut, Some(Keyword::Start)),
        ("ja", KnownConsent::OptedIn, None),
        ("yes", KnownConsent::OptedOut, Some(Keyword::Start)),
    ] {
        assert_eq!(words.read(text, consent), expected, "{text}");
    }
    assert_eq!(
        Keywords::configured(&config(&["ALTA", "Baja"])).unwrap_err().to_string(),
        "keywords.start.es: \"Baja\" is already a keyword with another meaning"
    );
}

#[test]
fn words_that_cannot_be_keywords_are_refused() {
    let long = "x".repeat(LONGEST + 1);
    for (word, expected) in [
        ("", BadKeyword::Empty(String::new())),
        (" 🛑 ", BadKeyword::Empty("🛑".into())),
        (&long, BadKeyword::TooLong(long.clone())),
        ("Stóp", BadKeyword::Ambiguous("Stóp".into())),
    ] {
        assert_eq!(Keywords::default().add(Word::Always(Keyword::Start), word), Err(expected));
    }
}

#[test]
fn long_replies_are_no_keywords() {
    assert_eq!(read(&format!("stop{}", "!".repeat(LONGEST - 4))), Some(Keyword::Stop));
    assert_eq!(read(&format!("stop{}", "!".repeat(LONGEST - 3))), None);
    assert_eq!(read(&format!("stop{}", " ".repeat(5_000))), Some(Keyword::Stop));
    assert_eq!(read(&"\u{FDFA}".repeat(100_000)), None);
}

#[test]
fn what_a_provider_recognised_is_the_same() {
    for (theirs, ours) in [
        (ProviderKeyword::Stop, Keyword::Stop),
        (ProviderKeyword::Start, Keyword::Start),
        (ProviderKeyword::Help, Keyword::Help),
    ] {
        assert_eq!(Keyword::from(theirs), ours);
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_folding_twice_changes_nothing(text in "\\PC{0,30}") {
        let _any = read(&text);
        let once = fold(&text);
        prop_assert_eq!(fold(&once), once);
    }

    #[test]
    fn a_word_in_a_sentence_is_no_keyword(before in "[a-z]{1,8}", after in "[a-z]{0,8}") {
        let sentence = format!("{before} stop {after}");
        prop_assert_eq!(read(&sentence), None);
    }
}
