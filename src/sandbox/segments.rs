//! How many parts a text is sent in: GSM-7 (160, or 153 a part) or UCS-2 (70, or 67 a part).
//!
//! Counted by filling parts, as neither an escape pair nor a surrogate pair may be split across two.

/// The default alphabet without the escape. Small ç is left out on purpose: the code in its place is capital Ç.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                     ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// The characters behind the escape: two units each.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// The number of parts; an empty text is one.
pub(super) fn segments(text: &str) -> u32 {
    match text.chars().map(septets).collect::<Option<Vec<u32>>>() {
        Some(widths) => parts(&widths, 160, 153),
        None => parts(&text.chars().map(|c| c.len_utf16() as u32).collect::<Vec<u32>>(), 70, 67),
    }
}

fn septets(c: char) -> Option<u32> {
    // Nearly every character of nearly every text; saves the search below.
    if c.is_ascii_alphanumeric() || c == ' ' || BASIC.contains(c) {
        Some(1)
    } else if EXTENSION.contains(c) {
        Some(2)
    } else {
        None
    }
}

fn parts(widths: &[u32], single: u32, part: u32) -> u32 {
    if widths.iter().sum::<u32>() <= single {
        return 1;
    }
    let mut count = 1;
    let mut used = 0;
    for width in widths {
        if used + width > part {
            count += 1;
            used = 0;
        }
        used += width;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::segments;

    #[test]
    fn parts_are_counted_without_splitting_pairs() {
        let a = |n: usize| "a".repeat(n);
        let table = [
            (String::new(), 1),
            (a(160), 1),
            (a(161), 2),
            (a(306), 2),
            (a(307), 3),
            (format!("{}{{{}", a(152), a(152)), 3),
            ("\r\n".repeat(80), 1),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            ("ç".repeat(70), 1),
            ("ç".repeat(71), 2),
            ("Ç".repeat(160), 1),
            ("😀".repeat(35), 1),
            ("😀".repeat(36), 2),
            ("😀".repeat(67), 3),
            (a(1600), 11),
            ("я".repeat(1600), 24),
        ];
        for (text, expected) in table {
            assert_eq!(segments(&text), expected, "{} characters", text.chars().count());
        }
    }
}
