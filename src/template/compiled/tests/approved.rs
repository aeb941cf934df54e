//! Tables of approved content: what is refused when it is compiled, and what each contact gets.

use super::*;
use crate::template::ApprovedContent;

const SID: &str = "HX0123456789abcdef0123456789ABCDEF";

fn content(variables: &[(&str, &str)], text: Option<&str>) -> ApprovedContent {
    ApprovedContent {
        content_sid: SID.to_owned(),
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        text: text.map(str::to_owned),
    }
}

fn whatsapp(texts: &[(&str, &str)], approved: &[(&str, ApprovedContent)]) -> TemplateSource {
    let approved = approved.iter().map(|(tag, content)| (locale(tag), content.clone())).collect();
    TemplateSource { channel_type: ChannelType::WhatsApp, approved, ..source(texts) }
}

fn one(text: &str, content: ApprovedContent) -> Result<Template, String> {
    let compiled = Template::compile(&whatsapp(&[("en", text)], &[("en", content)]));
    compiled.map_err(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn overrides(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const HELLO: &str = "Hello {{Name}}, see you on {{Day}}.";

#[test]
fn variables_are_filled_and_the_text_is_what_the_recipient_reads() {
    let by_name: &[(&str, &str)] = &[("1", "Name"), ("2", "{{default Day \"Monday\"}}")];
    let given = content(by_name, None);
    let word_for_word = content(by_name, Some("Hello {{1}}, see you on {{2}}."));
    let by_place = content(&[], Some("Hello {{1}}, see you on {{2}}."));
    let with_default = "Hello {{Name}}, see you on {{default Day \"Monday\"}}.";
    for (text, content, values, parameters, expected) in [
        (
            HELLO,
            &given,
            &[("name", "Ana"), ("day", "Friday")][..],
            &[][..],
            ("Ana", "Friday", "Hello Ana, see you on Friday."),
        ),
        (
            HELLO,
            &by_place,
            &[("name", "Ana"), ("day", "Friday")],
            &[],
            ("Ana", "Friday", "Hello Ana, see you on Friday."),
        ),
        (with_default, &word_for_word, &[("NAME", "Ana")], &[], ("Ana", "Monday", "Hello Ana, see you on Monday.")),
        (with_default, &by_place, &[("NAME", "Ana")], &[], ("Ana", "Monday", "Hello Ana, see you on Monday.")),
        (HELLO, &by_place, &[("name", "Ana")], &[("2", "today")], ("Ana", "today", "Hello Ana, see you on today.")),
        (HELLO, &given, &[("day", "Friday")], &[("1", "Bo")], ("Bo", "Friday", "Hello Bo, see you on Friday.")),
    ] {
        let template = one(text, content.clone()).unwrap();
        let rendered = template.render_approved(None, &slugs(values), Some(&overrides(parameters))).unwrap();
        assert_eq!((rendered.content_id.as_str(), rendered.locale), (SID, locale("en")));
        let (name, day, read) = expected;
        assert_eq!(rendered.variables, overrides(&[("1", name), ("2", day)]), "{text}");
        assert_eq!(rendered.text, read, "{content:?}");
    }
}

#[test]
fn what_cannot_be_sent_is_refused_in_words() {
    let template = one(HELLO, content(&[("1", "Name"), ("2", "{{default Day \"\"}}")], None)).unwrap();
    let rendered = |values: &[(&str, &str)], parameters: &[(&str, &str)]| {
        template.render_approved(None, &slugs(values), Some(&overrides(parameters))).unwrap_err()
    };
    let bad = |name: &str, word: &str, found: RenderProblem| {
        let RenderProblem::BadVariable { name: which, fault } = &found else { panic!("{found:?}") };
        assert!(which == name && fault.contains(word), "{found}");
        assert_eq!(Why::from(found).reason, Reason::TemplateFailed);
    };
    assert_eq!(rendered(&[("day", "x")], &[]), RenderProblem::MissingSlug { name: "Name".to_owned() });
    bad("2", "empty", rendered(&[("name", "Ana")], &[]));
    bad("1", "line break", rendered(&[("name", "Ana\nBo"), ("day", "x")], &[]));
    bad("1", "four blanks", rendered(&[("name", "A     B"), ("day", "x")], &[]));
    bad("1", "empty", rendered(&[("day", "x")], &[("1", " ")]));
    let unknown = rendered(&[("name", "Ana"), ("day", "x")], &[("7", "x")]);
    assert_eq!(unknown.to_string(), "the approved content in en has no variable \"7\"; it has 1, 2");
    let long = rendered(&[("name", &"é".repeat(1_600)), ("day", "x")], &[]);
    assert_eq!(long, RenderProblem::TooLong { characters: 1_621 });
    let free = template_of_free_text();
    assert!(!free.has_approved());
    let none = free.render_approved(None, &slugs(&[("name", "Ana")]), None).unwrap_err();
    assert_eq!((none.clone(), Why::from(none).reason), (RenderProblem::NotApproved, Reason::InvalidTemplate));
}

#[test]
fn variables_say_dates_as_the_text_does() {
    let said = "{{date Day style=\"long\"}}";
    let text = format!("Hello {{{{Name}}}}, see you on {said}.");
    let word_for_word = content(&[("1", "Name"), ("2", said)], Some("Hello {{1}}, see you on {{2}}."));
    let by_place = content(&[], Some("Hello {{1}}, see you on {{2}}."));
    for content in [word_for_word, by_place, content(&[("1", "Name"), ("2", said)], None)] {
        let french = whatsapp(&[("en", &text), ("fr", &text)], &[("en", content.clone()), ("fr", content)]);
        let template = Template::compile(&french).unwrap();
        let rendered =
            template.render_approved(Some(&locale("fr-CA")), &slugs(&[("name", "Ana"), ("day", "2026-12-01")]), None);
        let rendered = rendered.unwrap();
        assert_eq!(rendered.variables["2"], "1 décembre 2026");
        assert_eq!(rendered.text, "Hello Ana, see you on 1 décembre 2026.");
        let refused = template.render_approved(None, &slugs(&[("name", "Ana"), ("day", "soon")]), None).unwrap_err();
        assert_eq!(Why::from(refused).reason, Reason::InvalidValue);
    }
}

fn template_of_free_text() -> Template {
    Template::compile(&whatsapp(&[("en", "Hello {{Name}}")], &[])).unwrap()
}

#[test]
fn the_locale_is_one_that_has_approved_content() {
    let texts = [("en", "Hi"), ("fr", "Salut"), ("fr-CA", "Allo"), ("de", "Hallo")];
    let plain = || content(&[], None);
    let template = Template::compile(&whatsapp(&texts, &[("en", plain()), ("fr", plain())])).unwrap();
    assert!(template.has_approved());
    for (wanted, chosen) in [
        (Some("fr"), "fr"),
        (Some("fr-CA"), "fr"),
        (Some("fr-BE"), "fr"),
        (Some("de"), "en"),
        (Some("ja"), "en"),
        (None, "en"),
    ] {
        let wanted = wanted.map(locale);
        let rendered = template.render_approved(wanted.as_ref(), &Slugs::default(), None).unwrap();
        assert_eq!(rendered.locale, locale(chosen), "{wanted:?}");
        assert_eq!(rendered.text, texts.iter().find(|text| text.0 == chosen).unwrap().1);
        assert!(rendered.variables.is_empty());
    }
    let free = template.render(Some(&locale("de")), &Slugs::default()).unwrap();
    assert_eq!((free.text.as_str(), template.choose(Some(&locale("fr-CA")))), ("Hallo", &locale("fr-CA")));
}

#[test]
fn the_slugs_of_variables_are_needed_like_any_others() {
    let variables = content(&[("1", "Name"), ("2", "Day"), ("3", "{{default Link \"x\"}}{{Order}}")], None);
    let template = one(HELLO, variables).unwrap();
    assert_eq!(template.required_slugs().iter().collect::<Vec<_>>(), ["day", "name", "order"]);
    assert_eq!(template.known_slugs().collect::<Vec<_>>(), ["day", "link", "name", "order"]);
    assert_eq!(template.slug_spelling("order"), "Order");
}

#[test]
fn content_that_is_not_good_is_refused_with_its_key() {
    let both: &[(&str, &str)] = &[("1", "Name"), ("2", "Day")];
    for (text, content, expected) in [
        (
            HELLO,
            ApprovedContent { content_sid: "HX1".into(), ..content(both, None) },
            "approved.en.content_sid: \"HX1\" is no content; expected HX and 32 hexadecimal digits",
        ),
        (
            HELLO,
            content(&[("1", "Name")], None),
            "approved.en.variables: en.hbs says {{Day}}, which no variable carries",
        ),
        (
            "Hello{{#if Name}} {{Name}}{{/if}}",
            content(&[], None),
            "approved.en.variables: en.hbs says {{Name}}, which no variable carries",
        ),
        (
            "Hello {{Name}}, see you on {{date Day}}.",
            content(both, None),
            "approved.en.variables: en.hbs says {{date day style=\"medium\"}}, which no variable carries so",
        ),
        (HELLO, content(&[("a b", "Name"), ("2", "Day")], None), "approved.en.variables.a b: is not a variable's name"),
        (HELLO, content(&[("1", "Na]me"), ("2", "Day")], None), "approved.en.variables.1: \"Na]me\" is not a slug"),
        (HELLO, content(&[("1", "{{Name"), ("2", "Day")], None), "approved.en.variables.1: this is not Handlebars"),
        (HELLO, content(&[("1", " "), ("2", "Day")], None), "approved.en.variables.1: is empty"),
        (
            HELLO,
            content(both, Some("Hello {{1}}, see you on {{3}}.")),
            "approved.en.text: has {{3}}, which variables does not have; it has 1, 2",
        ),
        (
            HELLO,
            content(both, Some("Hello {{1}}, see you at {{2}}.")),
            "approved.en.text: says something else than en.hbs with the variables put in: \"…ame}}, see you at {{day}}.\" here, \"…ame}}, see you on {{day}}.\" there; a text that differs",
        ),
        (HELLO, content(both, Some("Hello {{2}}, see you on {{1}}.")), "approved.en.text: says something else"),
        (HELLO, content(&[], Some("Hello {{1}}, see you on Friday.")), "approved.en.text: says something else"),
        (HELLO, content(&[], Some("Hello {{1}}, see you on {{1}}.")), "approved.en.text: says something else"),
    ] {
        let found = one(text, content).unwrap_err();
        assert!(found.starts_with(expected) && found.lines().count() == 1, "{expected}\n{found}");
    }
    let plain = || content(&[], None);
    let problems = |source: &TemplateSource| {
        let found = Template::compile(source).err().unwrap_or_default();
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let french = whatsapp(&[("en", "Hi"), ("fr", "Salut")], &[("fr", plain())]);
    assert!(problems(&french).starts_with("approved.en: missing; en is the default locale"), "{}", problems(&french));
    let textless = whatsapp(&[("en", "Hi")], &[("en", plain()), ("fr", plain())]);
    assert_eq!(problems(&textless), "approved.fr: there is no text for it; expected a file fr.hbs");
    let sms = TemplateSource { channel_type: ChannelType::Sms, ..whatsapp(&[("en", "Hi")], &[("en", plain())]) };
    assert!(problems(&sms).starts_with("approved: only a template for whatsapp"), "{}", problems(&sms));
}

#[test]
fn media_are_at_most_ten_web_addresses() {
    let with = |media: &[&str]| TemplateSource {
        media: media.iter().map(|link| (*link).to_owned()).collect(),
        ..source(&[("en", "Hi")])
    };
    let good = Template::compile(&with(&["https://a.example/1.png", "http://a.example/2.png"])).unwrap();
    assert_eq!(good.media().len(), 2);
    let links: Vec<String> = (0..11).map(|n| format!("https://a.example/{n}")).collect();
    let links: Vec<&str> = links.iter().map(String::as_str).collect();
    for (media, expected) in [
        (&links[..], "media: 11 links; expected at most 10"),
        (&["ftp://a.example/1"], "media: \"ftp://a.example/1\" is not a web address"),
        (&["/1.png"], "media: \"/1.png\" is not a web address"),
        (&["https://a.example", "https://a.example"], "media: \"https://a.example\" stands there twice"),
    ] {
        let found = Template::compile(&with(media)).unwrap_err();
        assert!(found.len() == 1 && found[0].to_string().starts_with(expected), "{found:?}");
    }
}
