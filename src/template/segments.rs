//! How many SMS segments a text takes, exactly as providers count and charge. It counts only: replacing the characters
//! that make a text expensive is another's decision.

/// What a text takes on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// The alphabet that the whole text is sent in.
    pub encoding: Encoding,
    /// Its length in that alphabet's units: septets or UTF-16 code units.
    pub units: usize,
    /// The parts that it is sent, and charged, in. An empty text takes none.
    pub segments: u32,
    /// The units that are left in the last part, before another is needed.
    pub left: usize,
    /// The first character that GSM-7 does not have, with its place among the characters (from 0): why the text is UCS-2.
    pub first_ucs2: Option<(usize, char)>,
}

/// The two alphabets of SMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// GSM 03.38 with its extension table: 160 septets, 153 a part when there are several.
    Gsm7,
    /// UTF-16, for everything else: 70 code units, 67 a part when there are several.
    Ucs2,
}

impl Encoding {
    /// The units that a text may have to go out in one piece.
    const fn single(self) -> usize {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// The units in each part of a text that needs several.
    const fn part(self) -> usize {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }
}

/// Whether GSM-7 has the character, in its table or in the extension.
pub(super) fn is_gsm7(c: char) -> bool {
    septets(c) > 0
}

/// Counts a text's units and segments.
pub fn segments(text: &str) -> Segments {
    // Nearly every text is ASCII or nearly so; bytes through a table are several times faster than decoded characters.
    if text.is_ascii() {
        let units = text.bytes().map(|byte| usize::from(ASCII[usize::from(byte)])).sum::<usize>();
        if text.bytes().all(|byte| ASCII[usize::from(byte)] != 0) {
            return counted(Encoding::Gsm7, units, units == text.len(), text.bytes().map(|b| ASCII[usize::from(b)]));
        }
    }
    let first_ucs2 = text.chars().enumerate().find(|(_, c)| septets(*c) == 0);
    let (encoding, width): (_, fn(char) -> u8) = match first_ucs2 {
        None => (Encoding::Gsm7, septets),
        Some(_) => (Encoding::Ucs2, code_units),
    };
    let (units, characters) =
        text.chars().fold((0, 0), |(units, characters), c| (units + usize::from(width(c)), characters + 1));
    Segments { first_ucs2, ..counted(encoding, units, units == characters, text.chars().map(width)) }
}

/// Cuts widths into parts. A character two units wide (an escape and its character, a surrogate pair) is never split, so
/// a part may stay one unit short and division alone would sometimes count one too few.
fn counted(encoding: Encoding, units: usize, all_single: bool, widths: impl Iterator<Item = u8>) -> Segments {
    let (segments, left) = if units <= encoding.single() {
        (units.min(1), encoding.single() - units)
    } else if all_single {
        let parts = units.div_ceil(encoding.part());
        (parts, parts * encoding.part() - units)
    } else {
        let (parts, used) = widths.map(usize::from).fold((1, 0), |(parts, used), width| {
            if used + width > encoding.part() { (parts + 1, width) } else { (parts, used + width) }
        });
        (parts, encoding.part() - used)
    };
    Segments { encoding, units, segments: u32::try_from(segments).unwrap_or(u32::MAX), left, first_ucs2: None }
}

/// UTF-16 code units of a character: 1 or 2.
const fn code_units(c: char) -> u8 {
    if c as u32 > 0xFFFF { 2 } else { 1 }
}

/// Septets of a character in GSM-7: 1, 2 with the escape, 0 if it has no place there.
///
/// Small ç has none: the standard's 0x09 is the capital, and providers take it so.
const fn septets(c: char) -> u8 {
    match c {
        '\n' | '\r' | ' '..='Z' | '_' | 'a'..='z' => 1,
        '£' | '¥' | 'è' | 'é' | 'ù' | 'ì' | 'ò' | 'Ç' | 'Ø' | 'ø' | 'Å' | 'å' => 1,
        'Æ' | 'æ' | 'ß' | 'É' | '¤' | '¡' | 'Ä' | 'Ö' | 'Ñ' | 'Ü' | '§' | '¿' | 'ä' | 'ö' | 'ñ' | 'ü' | 'à' => {
            1
        }
        'Δ' | 'Φ' | 'Γ' | 'Λ' | 'Ω' | 'Π' | 'Ψ' | 'Σ' | 'Θ' | 'Ξ' => 1,
        '\x0C' | '^' | '{' | '}' | '\\' | '[' | '~' | ']' | '|' | '€' => 2,
        _ => 0,
    }
}

/// [`septets`] of every ASCII character.
const ASCII: [u8; 128] = {
    let mut table = [0; 128];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = septets(byte as char);
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The alphabet as the standard prints it, in code order (without the escape).
    const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
        ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    const EXTENSION: &str = "\x0C^{}\\[~]|€";

    /// The same count, slowly and from the standard's table: parts are built one unit sequence after the other.
    fn reference(text: &str) -> Segments {
        let known = |c: char| BASIC.contains(c) || EXTENSION.contains(c);
        let first_ucs2 = text.chars().enumerate().find(|(_, c)| !known(*c));
        let (encoding, single, part) = match first_ucs2 {
            None => (Encoding::Gsm7, 160, 153),
            Some(_) => (Encoding::Ucs2, 70, 67),
        };
        let widths: Vec<usize> = match encoding {
            Encoding::Gsm7 => text.chars().map(|c| if BASIC.contains(c) { 1 } else { 2 }).collect(),
            Encoding::Ucs2 => text.chars().map(char::len_utf16).collect(),
        };
        let units = widths.iter().sum();
        let mut parts: Vec<usize> = Vec::new();
        for width in widths {
            let room = if units <= single { single } else { part };
            match parts.last_mut() {
                Some(used) if *used + width <= room => *used += width,
                _ => parts.push(width),
            }
        }
        let left = match parts.as_slice() {
            [] => single,
            [one] => single - one,
            [.., last] => part - last,
        };
        Segments { encoding, units, segments: u32::try_from(parts.len()).unwrap(), left, first_ucs2 }
    }

    #[test]
    fn the_alphabet_is_the_standards() {
        assert_eq!((BASIC.chars().count(), EXTENSION.chars().count()), (127, 10));
        for c in (0..=0x10FFFF).filter_map(char::from_u32) {
            let expected = if c as u32 > 0x2100 { u8::from(c == '€') * 2 } else { by_table(c) };
            assert_eq!(septets(c), expected, "{c:?}");
        }
        fn by_table(c: char) -> u8 {
            if BASIC.contains(c) { 1 } else { u8::from(EXTENSION.contains(c)) * 2 }
        }
    }

    #[test]
    fn texts_are_counted() {
        use Encoding::{Gsm7, Ucs2};
        let a = |n: usize| "a".repeat(n);
        let cyrillic = |n: usize| "я".repeat(n);
        for (text, encoding, units, segments) in [
            (String::new(), Gsm7, 0, 0),
            (a(1), Gsm7, 1, 1),
            (a(160), Gsm7, 160, 1),
            (a(161), Gsm7, 161, 2),
            (a(306), Gsm7, 306, 2),
            (a(307), Gsm7, 307, 3),
            (a(1600), Gsm7, 1600, 11),
            // An extension character at the end of a part moves to the next.
            (format!("{}{{{}", a(152), a(152)), Gsm7, 306, 3),
            (format!("{}{{{}", a(151), a(152)), Gsm7, 305, 2),
            ("{".repeat(80), Gsm7, 160, 1),
            ("{".repeat(81), Gsm7, 162, 2),
            ("{".repeat(153), Gsm7, 306, 3),
            ("€".repeat(77), Gsm7, 154, 1),
            (format!("{}é", a(159)), Gsm7, 160, 1),
            (format!("{}é€{}", a(151), a(152)), Gsm7, 306, 3),
            // A line break of Windows is two characters.
            ("\r\n".repeat(80), Gsm7, 160, 1),
            (format!("{}\r\n", a(159)), Gsm7, 161, 2),
            (cyrillic(70), Ucs2, 70, 1),
            (cyrillic(71), Ucs2, 71, 2),
            (cyrillic(134), Ucs2, 134, 2),
            (cyrillic(135), Ucs2, 135, 3),
            (cyrillic(1600), Ucs2, 1600, 24),
            // A surrogate pair at the end of a part moves to the next.
            (format!("{}😀", cyrillic(68)), Ucs2, 70, 1),
            (format!("{}😀{}", cyrillic(66), cyrillic(66)), Ucs2, 134, 3),
            (format!("{}😀{}", cyrillic(65), cyrillic(67)), Ucs2, 134, 2),
            ("😀".repeat(35), Ucs2, 70, 1),
            ("😀".repeat(36), Ucs2, 72, 2),
            ("😀".repeat(67), Ucs2, 134, 3),
        ] {
            let counted = self::segments(&text);
            assert_eq!((counted.encoding, counted.units, counted.segments), (encoding, units, segments), "{text:?}");
            assert_eq!(counted, reference(&text), "{text:?}");
        }
    }

    #[test]
    fn the_first_character_outside_gsm_is_shown() {
        for (text, first) in [
            ("Été à la plage", None),
            ("garçon", Some((3, 'ç'))),
            ("a`b", Some((1, '`'))),
            ("a\tb\tc", Some((1, '\t'))),
            ("it’s – fine…", Some((2, '’'))),
            ("10\u{A0}€", Some((2, '\u{A0}'))),
            ("ÉÉ\x1B", Some((2, '\x1B'))),
        ] {
            assert_eq!(segments(text).first_ucs2, first, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_counted_as_the_reference_counts(
            gsm in "[a-z{€é\r\n]{0,500}", mixed in "[a-eя{😀]{0,200}", any in ".{0,200}",
        ) {
            for text in [gsm, mixed, any] {
                prop_assert_eq!(segments(&text), reference(&text));
            }
        }
    }
}
