//! Whether a reply is a word that changes consent (SPEC 7).
//!
//! Only a reply that is nothing *but* the word counts, as with every provider: "please stop by" is a visit, not an
//! opt-out. Before it is compared, a reply is folded: compatibility forms (ＳＴＯＰ), case, accents, quotes, emoji and
//! punctuation around it, dashes and runs of white space within it.

use std::{collections::HashMap, iter};

use unicode_normalization::UnicodeNormalization as _;

use crate::{config::KeywordsConfig, provider::ProviderKeyword};

#[cfg(test)]
mod tests;

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

impl Keyword {
    /// The name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Help => "help",
        }
    }

    /// The keyword of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Stop, Self::Start, Self::Help].into_iter().find(|keyword| keyword.as_str() == name)
    }
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

/// The words that are recognised, folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keywords(HashMap<String, Word>);

/// What a word is to whoever says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// This keyword.
    Always(Keyword),
    /// It opts in, but only who is opted out: from anyone else it answers a question.
    Yes,
}

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
const YES: &[&str] = &["YES"];

impl Default for Keywords {
    /// The built-in words. Other languages are the settings': see [`Keywords::configured`].
    fn default() -> Self {
        let stops = [CARRIERS, LAW, PROVIDERS, FRENCH].concat();
        let [stop, start, help] = [Keyword::Stop, Keyword::Start, Keyword::Help].map(Word::Always);
        let groups = [(stop, stops.as_slice()), (start, STARTS), (help, HELPS), (Word::Yes, YES)];
        let words = groups.into_iter().flat_map(|(means, words)| words.iter().map(move |word| (fold(word), means)));
        Self(words.collect())
    }
}

/// A word in the settings that cannot be a keyword.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("keywords.{list}.{language}: {problem}")]
pub struct BadKeywords {
    /// The list that it stands in.
    list: &'static str,
    /// Of which language.
    language: String,
    /// What is wrong with it.
    problem: BadKeyword,
}

impl Keywords {
    /// The built-in words and those of the settings, whatever their language: nobody knows in which one a person will write.
    ///
    /// # Errors
    ///
    /// If a word could never match, or already means something else.
    pub fn configured(config: &KeywordsConfig) -> Result<Self, BadKeywords> {
        let [stop, start, help] = [Keyword::Stop, Keyword::Start, Keyword::Help].map(Word::Always);
        let lists = [
            ("stop", &config.stop, stop),
            ("start", &config.start, start),
            ("yes", &config.yes, Word::Yes),
            ("help", &config.help, help),
        ];
        let mut keywords = Self::default();
        for (list, languages, means) in lists {
            for (language, words) in languages {
                for word in words {
                    let bad = |problem| BadKeywords { list, language: language.clone(), problem };
                    keywords.add(means, word).map_err(bad)?;
                }
            }
        }
        Ok(keywords)
    }

    /// Adds a word, in any spelling.
    fn add(&mut self, means: Word, word: &str) -> Result<(), BadKeyword> {
        let word = word.trim();
        if is_long(word) {
            return Err(BadKeyword::TooLong(word.to_owned()));
        }
        let folded = fold(word);
        if folded.is_empty() {
            return Err(BadKeyword::Empty(word.to_owned()));
        }
        let known = *self.0.entry(folded).or_insert(means);
        if known == means { Ok(()) } else { Err(BadKeyword::Ambiguous(word.to_owned())) }
    }

    /// The keyword that the whole reply is, if it is one. The work is bounded, however long the reply.
    pub fn read(&self, text: &str, consent: KnownConsent) -> Option<Keyword> {
        let text = text.trim();
        if is_long(text) {
            return None;
        }
        match self.0.get(&fold(text))? {
            Word::Always(keyword) => Some(*keyword),
            Word::Yes => (consent == KnownConsent::OptedOut).then_some(Keyword::Start),
        }
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
