//! Typographic look-alikes of GSM-7 characters. One curly quote makes a whole text UCS-2, 70 characters a segment instead of
//! 160; the straight one reads the same.
//!
//! Replaced is only what a reader does not miss: quotes, dashes, spaces, dots, ligatures. A letter never becomes another (GSM-7
//! has no small ç, and a capital Ç in its place is a mistake), and marks of other scripts stay (、。「」， and wide letters).

use std::borrow::Cow;

use super::compiled::MAX_CHARACTERS;
use crate::domain::definition::SmartEncoding;

/// A character, what stands in for it, and its name.
struct LookAlike(char, &'static str, &'static str);

const LOOK_ALIKES: [LookAlike; 70] = [
    LookAlike('\t', " ", "tab"),
    LookAlike('`', "'", "grave accent"),
    LookAlike('\u{85}', "\n", "next line"),
    LookAlike('\u{A0}', " ", "no-break space"),
    LookAlike('\u{AB}', "\"", "left-pointing double angle quotation mark"),
    LookAlike('\u{AD}', "", "soft hyphen"),
    LookAlike('\u{B4}', "'", "acute accent"),
    LookAlike('\u{BB}', "\"", "right-pointing double angle quotation mark"),
    LookAlike('\u{132}', "IJ", "capital ligature IJ"),
    LookAlike('\u{133}', "ij", "small ligature ij"),
    LookAlike('\u{152}', "OE", "capital ligature OE"),
    LookAlike('\u{153}', "oe", "small ligature oe"),
    LookAlike('\u{2BA}', "\"", "modifier letter double prime"),
    LookAlike('\u{2BB}', "'", "modifier letter turned comma"),
    LookAlike('\u{2BC}', "'", "modifier letter apostrophe"),
    LookAlike('\u{2BD}', "'", "modifier letter reversed comma"),
    LookAlike('\u{2C8}', "'", "modifier letter vertical line"),
    LookAlike('\u{2000}', " ", "en quad"),
    LookAlike('\u{2001}', " ", "em quad"),
    LookAlike('\u{2002}', " ", "en space"),
    LookAlike('\u{2003}', " ", "em space"),
    LookAlike('\u{2004}', " ", "three-per-em space"),
    LookAlike('\u{2005}', " ", "four-per-em space"),
    LookAlike('\u{2006}', " ", "six-per-em space"),
    LookAlike('\u{2007}', " ", "figure space"),
    LookAlike('\u{2008}', " ", "punctuation space"),
    LookAlike('\u{2009}', " ", "thin space"),
    LookAlike('\u{200A}', " ", "hair space"),
    LookAlike('\u{200B}', "", "zero width space"),
    LookAlike('\u{2010}', "-", "hyphen"),
    LookAlike('\u{2011}', "-", "no-break hyphen"),
    LookAlike('\u{2012}', "-", "figure dash"),
    LookAlike('\u{2013}', "-", "en dash"),
    LookAlike('\u{2014}', "-", "em dash"),
    LookAlike('\u{2015}', "-", "horizontal bar"),
    LookAlike('\u{2018}', "'", "left single quotation mark"),
    LookAlike('\u{2019}', "'", "right single quotation mark"),
    LookAlike('\u{201A}', "'", "single low quotation mark"),
    LookAlike('\u{201B}', "'", "single high reversed quotation mark"),
    LookAlike('\u{201C}', "\"", "left double quotation mark"),
    LookAlike('\u{201D}', "\"", "right double quotation mark"),
    LookAlike('\u{201E}', "\"", "double low quotation mark"),
    LookAlike('\u{201F}', "\"", "double high reversed quotation mark"),
    LookAlike('\u{2022}', "-", "bullet"),
    LookAlike('\u{2023}', "-", "triangular bullet"),
    LookAlike('\u{2024}', ".", "one dot leader"),
    LookAlike('\u{2025}', "..", "two dot leader"),
    LookAlike('\u{2026}', "...", "horizontal ellipsis"),
    LookAlike('\u{2028}', "\n", "line separator"),
    LookAlike('\u{2029}', "\n", "paragraph separator"),
    LookAlike('\u{202F}', " ", "narrow no-break space"),
    LookAlike('\u{2032}', "'", "prime"),
    LookAlike('\u{2033}', "\"", "double prime"),
    LookAlike('\u{2039}', "'", "left-pointing single angle quotation mark"),
    LookAlike('\u{203A}', "'", "right-pointing single angle quotation mark"),
    LookAlike('\u{2043}', "-", "hyphen bullet"),
    LookAlike('\u{2044}', "/", "fraction slash"),
    LookAlike('\u{204E}', "*", "low asterisk"),
    LookAlike('\u{205F}', " ", "medium mathematical space"),
    LookAlike('\u{2060}', "", "word joiner"),
    LookAlike('\u{2212}', "-", "minus sign"),
    LookAlike('\u{2215}', "/", "division slash"),
    LookAlike('\u{2217}', "*", "asterisk operator"),
    LookAlike('\u{2219}', "-", "bullet operator"),
    LookAlike('\u{2236}', ":", "ratio"),
    LookAlike('\u{FB00}', "ff", "small ligature ff"),
    LookAlike('\u{FB01}', "fi", "small ligature fi"),
    LookAlike('\u{FB02}', "fl", "small ligature fl"),
    LookAlike('\u{FB03}', "ffi", "small ligature ffi"),
    LookAlike('\u{FEFF}', "", "zero width no-break space"),
];

fn look_alike(c: char) -> Option<&'static LookAlike> {
    LOOK_ALIKES.binary_search_by_key(&c, |one| one.0).ok().and_then(|at| LOOK_ALIKES.get(at))
}

/// What stands in for a character in GSM-7, if it is a look-alike of something there.
pub(super) fn replacement(c: char) -> Option<&'static str> {
    look_alike(c).map(|one| one.1)
}

/// The name of a look-alike.
pub(super) fn name(c: char) -> Option<&'static str> {
    look_alike(c).map(|one| one.2)
}

/// A text as it leaves a channel: what is counted, sent and shown. A text that only its replacements would make too long for a
/// message stays as it is.
pub fn leaving(text: String, smart_encoding: SmartEncoding) -> String {
    match smart_encoding {
        SmartEncoding::Off => text,
        SmartEncoding::On => match replaced(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(new) if new.chars().count() > MAX_CHARACTERS || new.trim_start().is_empty() => text,
            Cow::Owned(new) => new,
        },
    }
}

fn replaced(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_graphic() && c != '`' || c == ' ';
    if text.chars().all(plain) || !text.chars().any(|c| look_alike(c).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut new = String::with_capacity(text.len());
    for c in text.chars() {
        match replacement(c) {
            Some(instead) => new.push_str(instead),
            None => new.push(c),
        }
    }
    Cow::Owned(new)
}

/// What a language's rules have put into a date or a number, with plain spaces, hyphens and apostrophes. The marks that order
/// what is written from right to left stay: without them a date is read backwards.
pub(super) fn quiet(text: String) -> String {
    if text.is_ascii() {
        return text;
    }
    let instead =
        |c: char| replacement(c).filter(|_| c == '\u{2019}').or(replacement(c).filter(|one| [" ", "-"].contains(one)));
    text.chars().fold(String::with_capacity(text.len()), |mut quiet, c| {
        match instead(c) {
            Some(one) => quiet.push_str(one),
            None => quiet.push(c),
        }
        quiet
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::template::segments::{Encoding, segments};

    #[test]
    fn what_a_reader_does_not_miss_is_replaced() {
        for (text, expected) in [
            ("It’s “fine” – really…", "It's \"fine\" - really..."),
            ("„Gut“ – ‚na ja‘", "\"Gut\" - 'na ja'"),
            ("« Œuvre » : 1\u{202F}234,50\u{A0}€", "\" OEuvre \" : 1 234,50 €"),
            ("• one\n• two", "- one\n- two"),
            ("e\u{AD}dit\u{200B}ed", "edited"),
            ("tab\there `quoted` 5′ 6″", "tab here 'quoted' 5' 6\""),
            // These are other letters, or belong to other scripts.
            ("garçon, être, Ă, ½, ©, 20°", "garçon, être, Ă, ½, ©, 20°"),
            ("「こんにちは」、10：00　。", "「こんにちは」、10：00　。"),
            ("👩\u{200D}👧 ok", "👩\u{200D}👧 ok"),
            ("plain", "plain"),
        ] {
            assert_eq!(leaving(text.to_owned(), SmartEncoding::On), expected);
            assert_eq!(leaving(text.to_owned(), SmartEncoding::Off), text);
        }
        let long = "…".repeat(600);
        assert_eq!(leaving(long.clone(), SmartEncoding::On), long, "1,800 full stops would be too long");
        assert_eq!(leaving("\u{200B}".to_owned(), SmartEncoding::On), "\u{200B}", "nothing would be left");
    }

    #[test]
    fn every_look_alike_costs_ucs2_and_its_replacement_does_not() {
        assert!(LOOK_ALIKES.windows(2).all(|two| two[0].0 < two[1].0));
        for LookAlike(c, instead, name) in &LOOK_ALIKES {
            assert_eq!(segments(&c.to_string()).encoding, Encoding::Ucs2, "{name}");
            assert_eq!(segments(instead).encoding, Encoding::Gsm7, "{name}");
        }
    }

    proptest! {
        #[test]
        fn replacing_twice_changes_nothing(text in "[a-z“”’–…\u{A0}çя]{0,300}") {
            let once = leaving(text.clone(), SmartEncoding::On);
            prop_assert_eq!(&leaving(once.clone(), SmartEncoding::On), &once);
            prop_assert!(once.chars().all(|c| replacement(c).is_none()) || once == text);
        }
    }
}
