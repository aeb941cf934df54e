//! Whether a reply is a word that changes consent (SPEC 7).
//!
//! Only a reply that is nothing *but* the word counts, as with every provider: "please stop by" is a visit, not an
//! opt-out. Before it is compared, a reply is folded: compatibility forms (ＳＴＯＰ), case, accents, quotes, emoji and
//! punctuation around it, dashes and runs of white space within it.

use std::{collections::HashMap, iter};

use unicode_normalization::UnicodeNormalization as _;

use crate::provider::ProviderKeyword;

/// What a keyword asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keyword {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
    /// Help; passed on to whoever answers replies.
    Help,
}

/// What is known about the consent of the person who wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownConsent {
    /// They opted in.
    OptedIn,
    /// They opted out.
    OptedOut,
    /// Nothing is known.
    Unknown,
}

/// The words that are recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keywords(HashMap<String, Keyword>);

/// A word that cannot be a keyword.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyword {
    /// Nothing is left of it once it is folded.
    #[error("\"{0}\" is not a keyword: it has neither letters nor digits")]
    Empty(String),
    /// Too long ever to match.
    #[error("\"{0}\" is not a keyword: it is longer than {LONGEST} characters")]
    TooLong(String),
    /// It already means something else.
    #[error("\"{0}\" is already a keyword with another meaning")]
    Ambiguous(String),
}

/// The longest reply, in characters, that can be a keyword.
pub const LONGEST: usize = 40;

/// US carriers (CTIA).
const CARRIERS: &[&str] = &["STOP", "END", "CANCEL", "UNSUBSCRIBE", "QUIT"];
/// What US law takes for a revocation by itself (47 CFR 64.1200(a)(10)), besides the carriers' words.
const LAW: &[&str] = &["REVOKE", "OPT OUT"];
/// Twilio's defaults, besides those; AWS's OPT-OUT folds to the same as the law's.
const PROVIDERS: &[&str] = &["STOPALL", "STOP ALL", "OPTOUT", "REMOVE"];
/// French, as TeleSign, AWS and Twilio have it; ARRÊT folds to the first.
const FRENCH: &[&str] = &["ARRET", "ARRETE", "ARRETT"];
const STARTS: &[&str] = &["START", "UNSTOP"];
const HELPS: &[&str] = &["HELP", "INFO", "AIDE", "CONTACT"];
/// Opts in, but only who is opted out: from anyone else it answers a question. As folded.
const YES: &str = "yes";

impl Default for Keywords {
    /// The built-in words. Other languages are the configuration's: see [`Keywords::with`].
    fn default() -> Self {
        let stops = [CARRIERS, LAW, PROVIDERS, FRENCH].concat();
        let groups = [(Keyword::Stop, stops.as_slice()), (Keyword::Start, STARTS), (Keyword::Help, HELPS)];
        let words = groups.into_iter().flat_map(|(keyword, words)| words.iter().map(move |word| (fold(word), keyword)));
        Self(words.collect())
    }
}

impl Keywords {
    /// Adds words, in any spelling, for example a language's from the configuration.
    ///
    /// # Errors
    ///
    /// If a word could never match, or already means something else.
    pub fn with<W: AsRef<str>>(
        mut self,
        keyword: Keyword,
        words: impl IntoIterator<Item = W>,
    ) -> Result<Self, BadKeyword> {
        for word in words {
            let word = word.as_ref().trim();
            if is_long(word) {
                return Err(BadKeyword::TooLong(word.to_owned()));
            }
            let folded = fold(word);
            if folded.is_empty() {
                return Err(BadKeyword::Empty(word.to_owned()));
            }
            let known = *self.0.entry(folded).or_insert(keyword);
            if known != keyword {
                return Err(BadKeyword::Ambiguous(word.to_owned()));
            }
        }
        Ok(self)
    }

    /// The keyword that the whole reply is, if it is one. The work is bounded, however long the reply.
    pub fn read(&self, text: &str, consent: KnownConsent) -> Option<Keyword> {
        let text = text.trim();
        if is_long(text) {
            return None;
        }
        let folded = fold(text);
        let yes = || (consent == KnownConsent::OptedOut && folded == YES).then_some(Keyword::Start);
        self.0.get(&folded).copied().or_else(yes)
    }
}

impl From<ProviderKeyword> for Keyword {
    fn from(keyword: ProviderKeyword) -> Self {
        match keyword {
            ProviderKeyword::Stop => Self::Stop,
            ProviderKeyword::Start => Self::Start,
            ProviderKeyword::Help => Self::Help,
        }
    }
}

fn is_long(text: &str) -> bool {
    text.chars().nth(LONGEST).is_some()
}

/// The form in which words are compared.
fn fold(text: &str) -> String {
    let letters: String = text.nfkd().filter(|c| !is_mark(*c) && !is_invisible(*c)).flat_map(fold_case).collect();
    let core = letters.trim_matches(|c: char| !c.is_alphanumeric());
    let words: Vec<_> = core.split(|c: char| c.is_whitespace() || is_dash(c)).filter(|word| !word.is_empty()).collect();
    words.join(" ").nfc().collect()
}

/// By way of upper case, so that ß (and ẞ) is ss and ς is σ; then the letters whose stroke is no mark of its own.
fn fold_case(c: char) -> impl Iterator<Item = char> {
    let lower = c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    lower.flat_map(|c| {
        let (first, second) = match c {
            'ł' => ('l', None),
            'ø' => ('o', None),
            'đ' => ('d', None),
            'æ' => ('a', Some('e')),
            'œ' => ('o', Some('e')),
            other => (other, None),
        };
        iter::once(first).chain(second)
    })
}

/// The accents of European scripts. Marks that other scripts spell with (vowel signs, voicing) stay.
const fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}')
}

/// Joiners, directions, soft hyphens, variation selectors.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}')
}

const fn is_dash(c: char) -> bool {
    matches!(c, '-' | '_' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Keyword> {
        Keywords::default().read(text, KnownConsent::Unknown)
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
        for (consent, expected) in [
            (KnownConsent::OptedOut, Some(Keyword::Start)),
            (KnownConsent::OptedIn, None),
            (KnownConsent::Unknown, None),
        ] {
            assert_eq!(words.read(" Yes! ", consent), expected, "{consent:?}");
            assert_eq!(words.read("start", consent), Some(Keyword::Start));
            assert_eq!(words.read("yes please", consent), None);
        }
    }

    #[test]
    fn languages_are_added() {
        let words = [
            "BAJA",
            "Abmelden",
            "STOPP",
            "配信停止",
            "ΔΙΑΚΟΠΗ",
            "Rezygnuję",
            "शुरू",
            "wyłącz",
            "iptal",
            "SCHLUẞ",
            "stop",
        ];
        let words = Keywords::default().with(Keyword::Stop, words).unwrap();
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
        let words = words.with(Keyword::Start, ["ALTA"]).unwrap();
        assert_eq!(words.read("alta", KnownConsent::Unknown), Some(Keyword::Start));
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
            assert_eq!(Keywords::default().with(Keyword::Start, [word]), Err(expected));
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
}
