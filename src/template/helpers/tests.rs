//! What helpers write, in the languages of the world, and what is said of calls and values that cannot be used.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::{
    domain::{contact::ChannelType, locale::Locale, purpose::Purpose},
    template::{Encoding, Template, TemplateSource, segments},
};

const LOCALES: [&str; 10] = ["en", "en-US", "de", "fr", "ja", "el", "id", "ar", "es", "pt-BR"];

fn compile(locale: &str, text: &str) -> Result<Template, String> {
    let locale: Locale = locale.parse().unwrap();
    let source = TemplateSource {
        channel_type: ChannelType::Sms,
        default_locale: locale.clone(),
        purpose: Purpose::Transactional,
        texts: [(locale, text.to_owned())].into(),
        approved: [].into(),
        media: Vec::new(),
    };
    Template::compile(&source)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn slugs(values: &[(&str, &str)]) -> Slugs {
    let mut slugs = Slugs::default();
    values.iter().for_each(|(name, value)| slugs.insert(name, *value).unwrap());
    slugs
}

fn written(locale: &str, text: &str, values: &[(&str, &str)]) -> String {
    let rendered = compile(locale, text).unwrap().render(None, &slugs(values));
    rendered.map_or_else(|problem| format!("refused: {problem}"), |rendered| rendered.text)
}

/// What each language makes of it; marks that nobody sees are shown.
fn table(text: &str, values: &[(&str, &str)]) -> String {
    LOCALES.iter().fold(String::new(), |mut table, locale| {
        let written = written(locale, text, values);
        let shown: String = written
            .chars()
            .map(|c| match c {
                '\u{200E}' | '\u{200F}' | '\u{61C}' => format!("<{:X}>", u32::from(c)),
                _ => c.to_string(),
            })
            .collect();
        writeln!(table, "{locale}: {shown}").unwrap();
        table
    })
}

const WHEN: &[(&str, &str)] = &[("When", "2026-12-01T09:05:00+01:00")];

#[test]
fn dates_are_written_as_each_language_writes_them() {
    let text =
        "{{date When style=\"short\"}} | {{date When}} | {{date When style=\"long\"}} | {{date When style=\"full\"}}";
    insta::assert_snapshot!(table(text, WHEN), @r##"
    en: 12/1/26 | Dec 1, 2026 | December 1, 2026 | Tuesday, December 1, 2026
    en-US: 12/1/26 | Dec 1, 2026 | December 1, 2026 | Tuesday, December 1, 2026
    de: 01.12.26 | 01.12.2026 | 1. Dezember 2026 | Dienstag, 1. Dezember 2026
    fr: 01/12/2026 | 1 déc. 2026 | 1 décembre 2026 | mardi 1 décembre 2026
    ja: 2026/12/01 | 2026/12/01 | 2026年12月1日 | 2026年12月1日火曜日
    el: 1/12/26 | 1 Δεκ 2026 | 1 Δεκεμβρίου 2026 | Τρίτη 1 Δεκεμβρίου 2026
    id: 01/12/26 | 1 Des 2026 | 1 Desember 2026 | Selasa, 1 Desember 2026
    ar: 1<200F>/12<200F>/2026 | 01<200F>/12<200F>/2026 | 1 ديسمبر 2026 | الثلاثاء، 1 ديسمبر 2026
    es: 1/12/26 | 1 dic 2026 | 1 de diciembre de 2026 | martes, 1 de diciembre de 2026
    pt-BR: 01/12/2026 | 1 de dez. de 2026 | 1 de dezembro de 2026 | terça-feira, 1 de dezembro de 2026
    "##);
}

#[test]
fn times_are_written_as_each_language_writes_them() {
    let text = "{{time When}} | {{datetime When style=\"short\"}} | {{datetime When}} | {{datetime When style=\"long\"}} | {{datetime When style=\"full\"}}";
    insta::assert_snapshot!(table(text, WHEN), @r##"
    en: 9:05 AM | 12/1/26, 9:05 AM | Dec 1, 2026, 9:05 AM | December 1, 2026 at 9:05 AM | Tuesday, December 1, 2026 at 9:05 AM
    en-US: 9:05 AM | 12/1/26, 9:05 AM | Dec 1, 2026, 9:05 AM | December 1, 2026 at 9:05 AM | Tuesday, December 1, 2026 at 9:05 AM
    de: 09:05 | 01.12.26, 09:05 | 01.12.2026, 09:05 | 1. Dezember 2026 um 09:05 | Dienstag, 1. Dezember 2026 um 09:05
    fr: 09:05 | 01/12/2026 09:05 | 1 déc. 2026, 09:05 | 1 décembre 2026 à 09:05 | mardi 1 décembre 2026 à 09:05
    ja: 9:05 | 2026/12/01 9:05 | 2026/12/01 9:05 | 2026年12月1日 9:05 | 2026年12月1日火曜日 9:05
    el: 9:05 π.μ. | 1/12/26, 9:05 π.μ. | 1 Δεκ 2026, 9:05 π.μ. | 1 Δεκεμβρίου 2026 στις 9:05 π.μ. | Τρίτη 1 Δεκεμβρίου 2026 στις 9:05 π.μ.
    id: 09.05 | 01/12/26, 09.05 | 1 Des 2026, 09.05 | 1 Desember 2026 pukul 09.05 | Selasa, 1 Desember 2026 pukul 09.05
    ar: 9:05 ص | 1<200F>/12<200F>/2026، 9:05 ص | 01<200F>/12<200F>/2026، 9:05 ص | 1 ديسمبر 2026 في 9:05 ص | الثلاثاء، 1 ديسمبر 2026 في 9:05 ص
    es: 09:05 | 1/12/26, 09:05 | 1 dic 2026, 09:05 | 1 de diciembre de 2026 a las 09:05 | martes, 1 de diciembre de 2026 a las 09:05
    pt-BR: 09:05 | 01/12/2026, 09:05 | 1 de dez. de 2026, 09:05 | 1 de dezembro de 2026 às 09:05 | terça-feira, 1 de dezembro de 2026 às 09:05
    "##);
}

#[test]
fn numbers_are_written_as_each_language_writes_them() {
    let values = &[("A", "1234567.891"), ("B", "-1234.5"), ("C", "7")];
    let text =
        "{{number A}} | {{number A decimals=2}} | {{number B decimals=0}} | {{number C}} | {{number C decimals=1}}";
    insta::assert_snapshot!(table(text, values), @r##"
    en: 1,234,567.891 | 1,234,567.89 | -1,235 | 7 | 7.0
    en-US: 1,234,567.891 | 1,234,567.89 | -1,235 | 7 | 7.0
    de: 1.234.567,891 | 1.234.567,89 | -1.235 | 7 | 7,0
    fr: 1 234 567,891 | 1 234 567,89 | -1 235 | 7 | 7,0
    ja: 1,234,567.891 | 1,234,567.89 | -1,235 | 7 | 7.0
    el: 1.234.567,891 | 1.234.567,89 | -1.235 | 7 | 7,0
    id: 1.234.567,891 | 1.234.567,89 | -1.235 | 7 | 7,0
    ar: 1,234,567.891 | 1,234,567.89 | <200E>-1,235 | 7 | 7.0
    es: 1.234.567,891 | 1.234.567,89 | -1235 | 7 | 7,0
    pt-BR: 1.234.567,891 | 1.234.567,89 | -1.235 | 7 | 7,0
    "##);
}

#[test]
fn amounts_are_written_as_each_language_writes_them() {
    let values = &[("A", "1234.5"), ("B", "-0.5"), ("Paid", "usd")];
    let text = "{{money A currency=\"EUR\"}} | {{money A currency=\"JPY\"}} | {{money A currency=Paid}} | {{money B currency=\"GBP\"}} | {{money A currency=\"IDR\"}}";
    insta::assert_snapshot!(table(text, values), @r##"
    en: €1,234.50 | ¥1,235 | $1,234.50 | -£0.50 | IDR 1,235
    en-US: €1,234.50 | ¥1,235 | $1,234.50 | -£0.50 | IDR 1,235
    de: 1.234,50 € | 1.235 ¥ | 1.234,50 $ | -0,50 £ | 1.235 IDR
    fr: 1 234,50 € | 1 235 JP¥ | 1 234,50 $US | -0,50 £GB | 1 235 IDR
    ja: €1,234.50 | ￥1,235 | $1,234.50 | -£0.50 | IDR 1,235
    el: 1.234,50 € | 1.235 JP¥ | 1.234,50 $ | -0,50 £ | 1.235 IDR
    id: €1.234,50 | JP¥1.235 | US$1.234,50 | -£0,50 | Rp 1.235
    ar: <200F>1,234.50 € | <200F>1,235 JP¥ | <200F>1,234.50 US$ | <200F><200E>-0.50 UK£ | <200F>1,235 IDR
    es: 1234,50 € | 1235 JP¥ | 1234,50 US$ | -0,50 £ | 1235 IDR
    pt-BR: € 1.234,50 | JP¥ 1.235 | US$ 1.234,50 | -£ 0,50 | IDR 1.235
    "##);
}

#[test]
fn a_time_zone_moves_what_has_an_offset_and_nothing_else() {
    let text = "{{datetime When timezone=\"Europe/Berlin\"}} | {{date When timezone=Zone}} | {{time When}}";
    for (when, expected) in [
        ("2026-12-01T23:30:00Z", "Dec 2, 2026, 12:30 AM | Dec 1, 2026 | 11:30 PM"),
        ("2026-12-01T23:30:00-05:00", "Dec 2, 2026, 5:30 AM | Dec 1, 2026 | 11:30 PM"),
        ("2026-12-01T23:30", "Dec 1, 2026, 11:30 PM | Dec 1, 2026 | 11:30 PM"),
    ] {
        assert_eq!(written("en", text, &[("When", when), ("Zone", "America/New_York")]), expected, "{when}");
    }
    assert_eq!(written("de", "{{time When}}", &[("When", "07:30")]), "07:30");
}

#[test]
fn what_a_helper_writes_keeps_a_text_in_gsm() {
    let text =
        "{{datetime When style=\"full\"}} {{number A}} {{money A currency=\"EUR\"}} {{money B currency=\"CHF\"}}";
    let values = &[("When", "2026-05-01T09:05"), ("A", "1234567.5"), ("B", "-1234567.5")];
    for locale in ["en", "en-US", "de", "de-CH", "fr", "fr-CH", "es", "it", "id", "nl", "sv", "nb", "fi", "et", "pt-BR"]
    {
        let text = written(locale, text, values);
        let found = segments(&text);
        assert_eq!((found.encoding, found.first_ucs2), (Encoding::Gsm7, None), "{locale}: {text}");
    }
}

#[test]
fn values_that_cannot_be_used_are_refused_by_name_and_kind() {
    let cases = [
        ("{{date When}}", "01/12/2026"),
        ("{{time When}}", "2026-12-01"),
        ("{{datetime When}}", "2026-12-01"),
        ("{{number When}}", "1.234,50"),
        ("{{money When currency=\"EUR\"}}", "€ 5"),
        ("{{money Other currency=When}}", "EURO"),
        ("{{date Day timezone=When}}", "CEST"),
        ("{{date When default=\"soon\"}}", "soon"),
        ("{{date When}}", " "),
        ("{{money Other currency=When}}", ""),
        ("{{#if Nothing}}{{date When}}{{/if}}x{{date Nothing default=\"y\"}}", "bad"),
    ];
    let told = cases.map(|(text, value)| {
        let values = [("When", value), ("Other", "5"), ("Day", "2026-12-01")];
        format!("{text} {value:?}: {}", written("en", text, &values))
    });
    insta::assert_snapshot!(told.join("\n"), @r##"
    {{date When}} "01/12/2026": refused: When is not a date; expected 2026-12-01, 2026-12-01T09:00 or 2026-12-01T09:00:00+01:00
    {{time When}} "2026-12-01": refused: When is not a time; expected 09:00, 2026-12-01T09:00 or 2026-12-01T09:00:00+01:00
    {{datetime When}} "2026-12-01": refused: When is not a date with a time; expected 2026-12-01T09:00 or 2026-12-01T09:00:00+01:00
    {{number When}} "1.234,50": refused: When is not a number; expected 1234 or 1234.5, with a point and without separators
    {{money When currency="EUR"}} "€ 5": refused: When is not a number; expected 1234 or 1234.5, with a point and without separators
    {{money Other currency=When}} "EURO": refused: When is not a currency; expected three letters of ISO 4217, like EUR
    {{date Day timezone=When}} "CEST": refused: When is not a time zone; expected an IANA name like Europe/Berlin
    {{date When default="soon"}} "soon": refused: When is not a date; expected 2026-12-01, 2026-12-01T09:00 or 2026-12-01T09:00:00+01:00
    {{date When}} " ": refused: the contact has no value for When
    {{money Other currency=When}} "": refused: the contact has no value for When
    {{#if Nothing}}{{date When}}{{/if}}x{{date Nothing default="y"}} "bad": xy
    "##);
    let problem = compile("en", "{{date When}}").unwrap().render(None, &slugs(&[("when", &"x".repeat(500))]));
    let problem = problem.unwrap_err();
    let RenderProblem::InvalidValue { name, value, kind } = &problem else { panic!("{problem:?}") };
    assert_eq!((name.as_str(), value.len(), *kind), ("When", 60, ValueKind::Date));
    assert!(!problem.to_string().contains("xx"), "what a contact brings along is not put into sentences: {problem}");
}

#[test]
fn slugs_of_helpers_are_required_like_others() {
    for (text, required, known) in [
        ("{{date When}}{{money A currency=Paid}}", "a paid when", "a paid when"),
        ("{{date When default=\"x\" timezone=Zone}}", "", "when zone"),
        ("{{#if When}}{{date When}}{{/if}}", "", "when"),
        ("{{#if A}}{{number A}}{{else}}{{money A currency=\"EUR\"}}{{/if}}", "a", "a"),
        // Alone, these are slugs.
        ("{{date}} {{number}} {{[money]}}", "date money number", "date money number"),
    ] {
        let template = compile("en", text).unwrap();
        let required_slugs = template.required_slugs().iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(
            (required_slugs.as_str(), template.known_slugs().collect::<Vec<_>>().join(" ").as_str()),
            (required, known)
        );
    }
}

#[test]
fn calls_that_cannot_be_used_are_refused_with_their_place() {
    let text = "{{date}}{{date When style=\"tiny\"}} {{date When style=long}} {{date When styl=\"long\"}}\n\
        {{date When timezone=\"CEST\"}} {{date When timezone=a.b}} {{time When style=\"long\"}} {{date \"2026-12-01\"}} {{date A B}}\n\
        {{number A decimals=10}} {{number A decimals=\"x\"}} {{number A decimals=-1}} {{number}} {{number A currency=\"EUR\"}}\n\
        {{money A}} {{money A currency=\"EUZ\"}} {{money A currency=5}} {{money A \"EUR\"}} {{Money A currency=\"EUR\"}}\n\
        {{date When default=true}} {{date When default=A}} {{date (default A \"x\")}} {{dat When}} {{default A \"x\" style=\"long\"}} {{#date When}}{{/date}}";
    insta::assert_snapshot!(compile("en", text).unwrap_err().replace(super::super::problem::ALLOWED, "ALLOWED"), @r##"
    en, line 1, column 9: style="tiny" cannot be used; expected "short", "medium", "long" or "full"
    en, line 1, column 36: style=long cannot be used; expected "short", "medium", "long" or "full"
    en, line 1, column 61: date takes no styl; expected {{date Slug}}: one slug, then style="…", timezone="…" or default="…" if they are wanted
    en, line 2, column 1: timezone="CEST" cannot be used; expected an IANA name in quotes, like "Europe/Berlin", or the slug that has one
    en, line 2, column 31: "a.b" is not a slug: expected one plain name, without dots, slashes, @ or "this"
    en, line 2, column 58: time takes no style; expected {{time Slug}}: one slug, then timezone="…" or default="…" if they are wanted
    en, line 2, column 85: expected {{date Slug}}: one slug, then style="…", timezone="…" or default="…" if they are wanted
    en, line 2, column 107: expected {{date Slug}}: one slug, then style="…", timezone="…" or default="…" if they are wanted
    en, line 3, column 1: decimals=10 cannot be used; expected a number from 0 to 9
    en, line 3, column 26: decimals="x" cannot be used; expected a number from 0 to 9
    en, line 3, column 52: decimals=-1 cannot be used; expected a number from 0 to 9
    en, line 3, column 88: number takes no currency; expected {{number Slug}}: one slug, then decimals=2 or default="…" if they are wanted
    en, line 4, column 1: expected {{money Slug currency="EUR"}}: one slug and a currency, then default="…" if it is wanted
    en, line 4, column 13: currency="EUZ" cannot be used; expected three letters of ISO 4217 in quotes, like "EUR", or the slug that has them
    en, line 4, column 40: currency=5 cannot be used; expected three letters of ISO 4217 in quotes, like "EUR", or the slug that has them
    en, line 4, column 63: expected {{money Slug currency="EUR"}}: one slug and a currency, then default="…" if it is wanted
    en, line 4, column 81: there is no helper "Money" (it is written small); expected ALLOWED
    en, line 5, column 1: default=true cannot be used; expected a text in quotes
    en, line 5, column 28: default=A cannot be used; expected a text in quotes
    en, line 5, column 52: expected {{date Slug}}: one slug, then style="…", timezone="…" or default="…" if they are wanted
    en, line 5, column 77: there is no helper "dat" (a slug with blanks in its name is written in brackets: {{[Slug Name]}}); expected ALLOWED
    en, line 5, column 90: default takes no style; expected {{default Slug "text"}}: one slug, then a text in quotes
    en, line 5, column 121: there is no block "#date"; expected ALLOWED
    "##);
}

#[test]
fn a_language_that_is_not_known_is_written_as_no_language_in_particular() {
    assert_eq!(written("xx", "{{number A}} {{money A currency=\"EUR\"}}", &[("A", "1234.5")]), "1,234.5 € 1,234.50");
}

proptest! {
    #[test]
    fn no_value_ends_in_a_panic_or_a_flood(
        any in ".{0,80}", odd in "[-+.0-9eE:TZ /]{0,40}",
        locale in prop::sample::select(vec!["en", "ar", "th", "fa", "zh-Hant-TW", "sr-Latn", "xx-YY"]),
    ) {
        let text = "{{#if D}}{{date D style=\"full\"}}{{else}}-{{/if}}";
        for (text, slug) in [
            (text, "D"), ("{{datetime D timezone=D}}", "D"), ("{{time D}}", "D"), ("{{number D decimals=9}}", "D"),
            ("{{number D}}", "D"), ("{{money D currency=\"BHD\"}}", "D"), ("{{money N currency=D}}", "D"),
        ] {
            let template = compile(locale, text).unwrap();
            for value in [&any, &odd] {
                if let Ok(rendered) = template.render(None, &slugs(&[(slug, value), ("N", "5")])) {
                    prop_assert!(rendered.text.chars().count() <= 300, "{} {:?}", text, rendered.text);
                }
            }
        }
    }
}
