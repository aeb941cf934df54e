//! Two texts held against each other: the approved one, with places for variables, and the one that herald renders.
//!
//! They are the same if their flat forms are: one text for each, in which slugs are written in one way.

use super::super::parse::Piece;

/// What stands in an approved text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Part {
    /// What is always there.
    Literal(String),
    /// A variable, by its name.
    Variable(String),
}

/// Cuts an approved text at its variables, `{{1}}`.
pub(super) fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(open) = rest[from..].find("{{").map(|at| from + at) {
        let Some(close) = rest[open..].find("}}").map(|at| open + at) else { break };
        let name = rest[open + 2..close].trim();
        if !is_name(name) {
            from = open + 2;
            continue;
        }
        if open > 0 {
            parts.push(Part::Literal(rest[..open].to_owned()));
        }
        parts.push(Part::Variable(name.to_owned()));
        rest = &rest[close + 2..];
        from = 0;
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.to_owned()));
    }
    parts
}

/// Whether something can be a variable's name: `1`, mostly.
pub(super) fn is_name(name: &str) -> bool {
    (1..=50).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The same pieces, with what is always there in as few of them as possible.
pub(super) fn joined(pieces: &[Piece]) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Literal { text, characters }), Piece::Literal { text: more, characters: count }) => {
                text.push_str(more);
                *characters += count;
            }
            (_, Piece::Literal { text, .. }) if text.is_empty() => {}
            _ => joined.push(piece.clone()),
        }
    }
    joined
}

/// One text for pieces that say the same, whatever case slugs are written in.
pub(super) fn flat(pieces: &[Piece]) -> String {
    let mut all = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal { text, .. } => all.push_str(&text.replace("{{", "\\{{")),
            Piece::Slug(slug) => all.push_str(&format!("{{{{{}}}}}", slug.folded)),
            Piece::Helper(helper) => all.push_str(&helper.to_string()),
            Piece::If { slug, then, otherwise } => {
                let (then, otherwise) = (flat(then), flat(otherwise));
                all.push_str(&format!("{{{{#if {}}}}}{then}{{{{else}}}}{otherwise}{{{{/if}}}}", slug.folded));
            }
        }
    }
    all
}

/// How much of a text is shown before and after the place at which it differs, in characters.
const BEFORE: usize = 15;
const AFTER: usize = 25;

/// Where two texts part, with a few words of each.
pub(super) fn difference(one: &str, other: &str) -> (String, String) {
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let shown = |text: &str| {
        let start = same.saturating_sub(BEFORE);
        let part: String = text.chars().skip(start).take(same - start + AFTER).collect();
        let (before, after) = (start > 0, text.chars().nth(same + AFTER).is_some());
        format!("{}{part}{}", if before { "…" } else { "" }, if after { "…" } else { "" })
    };
    (shown(one), shown(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::parse::parse;

    #[test]
    fn an_approved_text_is_cut_at_its_variables() {
        let shown = |text: &str| {
            let shown = parts(text).into_iter().map(|part| match part {
                Part::Literal(text) => text,
                Part::Variable(name) => format!("<{name}>"),
            });
            shown.collect::<Vec<_>>().join("|")
        };
        for (text, expected) in [
            ("Hello {{1}}, see {{ 2 }}.", "Hello |<1>|, see |<2>|."),
            ("{{1}}{{name}}", "<1>|<name>"),
            ("no variable", "no variable"),
            ("{{a b}} {{1}", "{{a b}} {{1}"),
            ("{{ {{1}}", "{{ |<1>"),
            ("", ""),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn flat_texts_are_equal_when_the_texts_say_the_same() {
        let same = |a: &str, b: &str| flat(&joined(&parse(a).unwrap())) == flat(&joined(&parse(b).unwrap()));
        assert!(same("Hi {{CustomerName}}{{! a note }}!", "Hi {{customername}}!"));
        assert!(same("{{date When style=\"medium\"}}", "{{date when}}"));
        assert!(same(
            "{{datetime A timezone=Z default='x' style=\"full\"}}",
            "{{datetime a style='full' default=\"x\" timezone=z}}"
        ));
        assert!(same("{{#unless A}}x{{else}}y{{/unless}}", "{{#if a}}y{{else}}x{{/if}}"));
        for (a, b) in [
            ("Hi {{A}}", "Hi {{B}}"),
            ("Hi {{A}}", "Hi  {{A}}"),
            ("Hi {{default A \"x\"}}", "Hi {{default A \"y\"}}"),
            ("{{#if A}}x{{/if}}", "{{#if A}}y{{/if}}"),
            ("Hi {{date A}}", "Hi {{A}}"),
            ("Hi {{date A}}", "Hi {{datetime A}}"),
            ("Hi {{date A}}", "Hi {{date A style=\"long\"}}"),
            ("Hi {{money A currency=\"EUR\"}}", "Hi {{money A currency=EUR}}"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
        let (one, other) =
            difference("Hello {{name}}, welcome back to the shop", "Hello {{name}}, welcome to the shop");
        assert_eq!((one.as_str(), other.as_str()), ("…ame}}, welcome back to the shop", "…ame}}, welcome to the shop"));
    }
}
