//! What a contact would get, and what it costs: the text in each language, its encoding and segments, the characters that make it
//! dear, and what the contact does not fill. Pure: it sends nothing and asks nobody.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    compiled::Template,
    parse::Piece,
    problem::RenderProblem,
    segments::{Encoding, Segments, is_gsm7, segments},
    smart::{self, leaving},
};
use crate::domain::{
    contact::{ChannelType, Slugs},
    definition::SmartEncoding,
    locale::Locale,
};

/// One text, made for one contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The locale that was chosen.
    pub locale: Locale,
    /// What the contact would read, or why there is nothing.
    pub text: Result<String, RenderProblem>,
    /// What it takes on the air, if it is an SMS.
    pub cost: Option<Cost>,
    /// The provider's content that would be sent, if it is approved content.
    pub approved: Option<Approved>,
    /// The slugs that this text reads for this contact, as the author writes them.
    pub used: Vec<String>,
    /// Those of them that it needs and the contact does not fill.
    pub missing: Vec<String>,
}

/// Approved content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// The provider's id of it.
    pub content_id: String,
    /// The variables' values, by name.
    pub variables: BTreeMap<String, String>,
}

/// What an SMS takes on the air.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// As it leaves.
    pub counted: Segments,
    /// The characters that GSM-7 does not have, in the order of their first places: the first made the text UCS-2.
    pub ucs2: Vec<Costly>,
    /// What `smart_encoding` has replaced, with places in the text before; nothing, if it is off.
    pub replaced: Vec<Costly>,
    /// The segments without `smart_encoding`, and with it.
    pub without_and_with: (u32, u32),
}

/// A character that is not in GSM-7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Costly {
    /// It.
    pub character: char,
    /// `U+2019 right single quotation mark`; the number alone for what is no look-alike.
    pub name: String,
    /// What would do in its place.
    pub replacement: Option<&'static str>,
    /// Where it stands, in characters from 0.
    pub places: Vec<usize>,
}

impl Preview {
    /// Makes the text that a contact with this locale would get through a channel of this kind.
    pub fn new(template: &Template, wanted: Option<&Locale>, slugs: &Slugs, smart_encoding: SmartEncoding) -> Self {
        let (locale, pieces) = template.read_for(wanted, slugs);
        let mut reads = Reads::default();
        pieces.into_iter().for_each(|pieces| reads.walk(pieces, slugs));
        let spelt = |all: BTreeSet<String>| all.iter().map(|slug| template.slug_spelling(slug).to_owned()).collect();
        let (locale, text) = match template.text_for(wanted, slugs, smart_encoding) {
            Ok(rendered) => (rendered.locale, Ok(rendered.text)),
            Err(problem) => (locale.clone(), Err(problem)),
        };
        let sms = template.source().channel_type == ChannelType::Sms;
        let written = || template.render(wanted, slugs).map(|rendered| rendered.text).unwrap_or_default();
        let cost = text.as_ref().ok().filter(|_| sms).map(|text| Cost::of(text, written(), smart_encoding));
        let content = template.approved_for(wanted, slugs).and_then(Result::ok);
        let approved = content
            .filter(|_| text.is_ok())
            .map(|content| Approved { content_id: content.content_id, variables: content.variables });
        Self { locale, text, cost, approved, used: spelt(reads.used), missing: spelt(reads.missing) }
    }

    /// Makes the text of every locale that there is one for.
    pub fn every(template: &Template, slugs: &Slugs, smart_encoding: SmartEncoding) -> Vec<Self> {
        let locales = template.source().texts.keys();
        locales.map(|locale| Self::new(template, Some(locale), slugs, smart_encoding)).collect()
    }
}

impl Cost {
    fn of(text: &str, written: String, smart_encoding: SmartEncoding) -> Self {
        let without = segments(&written).segments;
        let replaced = if smart_encoding == SmartEncoding::On && text != written {
            costly(&written, |c| smart::replacement(c).is_some())
        } else {
            Vec::new()
        };
        let with = segments(&leaving(written, SmartEncoding::On)).segments;
        let counted = segments(text);
        let ucs2 = match counted.encoding {
            Encoding::Gsm7 => Vec::new(),
            Encoding::Ucs2 => costly(text, |c| !is_gsm7(c)),
        };
        Self { counted, ucs2, replaced, without_and_with: (without, with) }
    }
}

fn costly(text: &str, is_meant: impl Fn(char) -> bool) -> Vec<Costly> {
    let mut found: Vec<Costly> = Vec::new();
    let mut known: BTreeMap<char, usize> = BTreeMap::new();
    for (place, character) in text.chars().enumerate().filter(|(_, c)| is_meant(*c)) {
        let at = *known.entry(character).or_insert_with(|| {
            let number = format!("U+{:04X}", u32::from(character));
            let name = smart::name(character).map_or_else(|| number.clone(), |name| format!("{number} {name}"));
            found.push(Costly { character, name, replacement: smart::replacement(character), places: Vec::new() });
            found.len() - 1
        });
        if let Some(one) = found.get_mut(at) {
            one.places.push(place);
        }
    }
    found
}

/// The slugs that are read when a text is made for one contact, folded.
#[derive(Default)]
struct Reads {
    used: BTreeSet<String>,
    missing: BTreeSet<String>,
}

impl Reads {
    fn walk(&mut self, pieces: &[Piece], slugs: &Slugs) {
        for piece in pieces {
            match piece {
                Piece::Literal { .. } => {}
                Piece::Slug(slug) => {
                    self.used.insert(slug.folded.clone());
                    self.missing.extend(slug.value(slugs).is_none().then(|| slug.folded.clone()));
                }
                Piece::Helper(helper) => {
                    self.used.extend(helper.slugs().map(|slug| slug.folded.clone()));
                    self.missing.extend(helper.missing(slugs).into_iter().map(|slug| slug.folded.clone()));
                }
                Piece::If { slug, then, otherwise } => {
                    self.used.insert(slug.folded.clone());
                    self.walk(if slug.is_true(slugs) { then } else { otherwise }, slugs);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::purpose::Purpose, template::TemplateSource};

    fn compiled(texts: &[(&str, &str)]) -> Template {
        let source = TemplateSource {
            channel_type: ChannelType::Sms,
            default_locale: "en".parse().unwrap(),
            purpose: Purpose::Transactional,
            texts: texts.iter().map(|(tag, text)| (tag.parse().unwrap(), (*text).to_owned())).collect(),
            approved: BTreeMap::new(),
            media: Vec::new(),
        };
        Template::compile(&source).unwrap()
    }

    fn slugs(values: &[(&str, &str)]) -> Slugs {
        let mut slugs = Slugs::default();
        values.iter().for_each(|(name, value)| slugs.insert(name, *value).unwrap());
        slugs
    }

    #[test]
    fn what_makes_a_text_dear_is_told_with_its_places() {
        let template = compiled(&[("en", "It’s {{Name}}’s – ça va… {{Rest}}")]);
        let slugs = slugs(&[("name", "Ana"), ("rest", &"x".repeat(60))]);
        let shown = |smart_encoding| {
            let Preview { text, cost, .. } = Preview::new(&template, None, &slugs, smart_encoding);
            let cost = cost.unwrap();
            let told = |all: &[Costly]| {
                let each = all.iter().map(|one| format!("{} {:?} at {:?}", one.name, one.replacement, one.places));
                each.collect::<Vec<_>>().join(", ")
            };
            let Segments { encoding, units, segments, left, .. } = cost.counted;
            format!(
                "{}\n{encoding:?} {units} in {segments}, {left} left\nucs2: {}\nreplaced: {}\n{:?}",
                text.unwrap().trim_end_matches('x'),
                told(&cost.ucs2),
                told(&cost.replaced),
                cost.without_and_with
            )
        };
        insta::assert_snapshot!(shown(SmartEncoding::Off), @r##"
        It’s Ana’s – ça va… 
        Ucs2 80 in 2, 54 left
        ucs2: U+2019 right single quotation mark Some("'") at [2, 8], U+2013 en dash Some("-") at [11], U+00E7 None at [13], U+2026 horizontal ellipsis Some("...") at [18]
        replaced: 
        (2, 2)
        "##);
        insta::assert_snapshot!(shown(SmartEncoding::On), @r##"
        It's Ana's - ça va... 
        Ucs2 82 in 2, 52 left
        ucs2: U+00E7 None at [13]
        replaced: U+2019 right single quotation mark Some("'") at [2, 8], U+2013 en dash Some("-") at [11], U+2026 horizontal ellipsis Some("...") at [18]
        (2, 2)
        "##);
        let cheaper = compiled(&[("en", "It’s {{Name}}’s – va… {{Rest}}")]);
        let cost = Preview::new(&cheaper, None, &slugs, SmartEncoding::Off).cost.unwrap();
        assert_eq!((cost.counted.encoding, cost.without_and_with), (Encoding::Ucs2, (2, 1)));
        let cost = Preview::new(&cheaper, None, &slugs, SmartEncoding::On).cost.unwrap();
        assert_eq!((cost.counted.encoding, cost.without_and_with), (Encoding::Gsm7, (2, 1)));
    }

    #[test]
    fn slugs_that_are_used_and_missing_depend_on_the_contact() {
        let text = "{{Name}}{{#if Vip}}{{Gift}}{{date Until timezone=Zone}}{{else}}{{default Nick \"x\"}}{{/if}}{{money Sum currency=Paid default=\"-\"}}";
        let template = compiled(&[("en", text), ("fr", "{{Name}}")]);
        for (wanted, values, used, missing) in [
            ("en", &[][..], "Name Nick Paid Sum Vip", "Name"),
            ("en", &[("name", "Ana"), ("vip", "yes")], "Gift Name Paid Sum Until Vip Zone", "Gift Until Zone"),
            ("en", &[("name", "Ana"), ("sum", "5")], "Name Nick Paid Sum Vip", "Paid"),
            ("fr-CA", &[], "Name", "Name"),
            ("de", &[("name", "Ana")], "Name Nick Paid Sum Vip", ""),
        ] {
            let preview = Preview::new(&template, Some(&wanted.parse().unwrap()), &slugs(values), SmartEncoding::Off);
            assert_eq!(
                (preview.used.join(" ").as_str(), preview.missing.join(" ").as_str()),
                (used, missing),
                "{values:?}"
            );
            assert_eq!(preview.text.is_ok(), missing.is_empty(), "{:?}", preview.text);
            assert_eq!(preview.locale.to_string(), if wanted == "fr-CA" { "fr" } else { "en" });
        }
        let every = Preview::every(&template, &slugs(&[("name", "Ana")]), SmartEncoding::Off);
        assert_eq!(every.iter().map(|one| one.locale.to_string()).collect::<Vec<_>>(), ["en", "fr"]);
    }
}
