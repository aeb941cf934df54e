//! Tables of compiling and rendering.

mod approved;
mod bounds;
mod properties;

use super::{super::problem::ALLOWED, *};
use crate::domain::{
    contact::ChannelType,
    purpose::Purpose,
    reason::{Reason, Why},
};

fn locale(tag: &str) -> Locale {
    tag.parse().unwrap()
}

fn source(texts: &[(&str, &str)]) -> TemplateSource {
    TemplateSource {
        channel_type: ChannelType::Sms,
        default_locale: locale("en"),
        purpose: Purpose::Transactional,
        texts: texts.iter().map(|(tag, text)| (locale(tag), (*text).to_owned())).collect(),
        approved: BTreeMap::new(),
        media: Vec::new(),
    }
}

fn template(text: &str) -> Template {
    Template::compile(&source(&[("en", text)])).unwrap()
}

fn slugs(values: &[(&str, &str)]) -> Slugs {
    let mut slugs = Slugs::default();
    values.iter().for_each(|(name, value)| slugs.insert(name, *value).unwrap());
    slugs
}

fn rendered(text: &str, values: &[(&str, &str)]) -> Result<String, RenderProblem> {
    template(text).render(None, &slugs(values)).map(|rendered| rendered.text)
}

fn problems(text: &str) -> String {
    let found = Template::compile(&source(&[("en", text)])).err().unwrap_or_default();
    found.iter().map(|problem| problem.to_string().replace(ALLOWED, "ALLOWED")).collect::<Vec<_>>().join("\n")
}

#[test]
fn texts_are_rendered() {
    let ana = &[("customername", "Ana"), ("VIP", "yes"), ("No", "FALSE"), ("Zero", "0"), ("Blank", " \t")][..];
    for (text, expected) in [
        ("Hi {{CustomerName}}!", "Hi Ana!"),
        ("Hi {{customerNAME}}{{{ CustomerName }}}{{& CustomerName}}!", "Hi AnaAnaAna!"),
        ("Hi {{[CustomerName]}}", "Hi Ana"),
        ("{{#if VIP}}dear {{CustomerName}}{{else}}{{Nothing}}{{/if}}", "dear Ana"),
        ("{{#if Blank}}a{{else}}b{{/if}}{{#if Nothing}}a{{^}}c{{/if}}", "bc"),
        ("{{#if No}}a{{/if}}{{#if Zero}}b{{/if}}{{#unless No}}c{{else}}d{{/unless}}", "c"),
        ("{{#if No}}a{{else if Zero}}b{{else if VIP}}c{{else}}d{{/if}}", "c"),
        ("{{default Nothing \"there\"}} {{default Blank 'you'}} {{default CustomerName \"x\"}}", "there you Ana"),
        ("{{default Nothing 7}}", "7"),
        ("a {{~CustomerName~}} b", "aAnab"),
        ("a\n{{#if VIP}}\nb\n{{/if}}\nc", "a\nb\nc"),
        ("a {{! a note }}b{{!-- {{another}} --}}", "a b"),
        (r"\{{CustomerName}} {{CustomerName}}", "{{CustomerName}} Ana"),
        ("<b>{{Html}}</b> & \"quotes\"", "<b><i>&amp;'</i></b> & \"quotes\""),
    ] {
        let mut values = ana.to_vec();
        values.push(("Html", "<i>&amp;'</i>"));
        assert_eq!(rendered(text, &values), Ok(expected.to_owned()), "{text}");
    }
}

#[test]
fn a_contact_without_a_value_is_refused_by_name() {
    let missing = |name: &str| Err(RenderProblem::MissingSlug { name: name.to_owned() });
    for (text, values, expected) in [
        ("Hi {{CustomerName}}", &[][..], missing("CustomerName")),
        ("Hi {{CustomerName}}", &[("CustomerName", "")], missing("CustomerName")),
        ("Hi {{CustomerName}}", &[("customername", " \u{A0}\n")], missing("CustomerName")),
        ("Hi {{[Customer Name]}}", &[("CustomerName", "Ana")], missing("Customer Name")),
        ("{{#if A}}{{B}}{{/if}}x", &[("A", "1")], missing("B")),
        ("{{#if A}}{{B}}{{/if}}x", &[], Ok("x".to_owned())),
    ] {
        assert_eq!(rendered(text, values), expected, "{text} {values:?}");
    }
}

#[test]
fn lengths_are_characters_and_never_cut() {
    let value = |n: usize| "é".repeat(n);
    assert_eq!(rendered("{{A}}", &[("A", &value(1600))]).map(|text| text.chars().count()), Ok(1600));
    for (text, n, characters) in [("{{A}}", 1601, 1601), ("{{A}} {{A}}", 1000, 2001), ("ab{{default A 1}}", 1599, 1601)]
    {
        assert_eq!(rendered(text, &[("A", &value(n))]), Err(RenderProblem::TooLong { characters }), "{text}");
    }
    let endless = rendered(&"{{A}}".repeat(1000), &[("A", &value(90_000))]);
    assert_eq!(endless, Err(RenderProblem::TooLong { characters: 180_000 }));
    assert_eq!(
        rendered("{{A}}{{B}}", &[("A", &value(1601))]),
        Err(RenderProblem::MissingSlug { name: "B".to_owned() })
    );
}

#[test]
fn nothing_to_send_is_refused() {
    for text in [" \n", "{{#if A}}x{{/if}}", "{{default A ' '}}", "{{! only a note }}"] {
        assert_eq!(rendered(text, &[]), Err(RenderProblem::Empty), "{text}");
    }
}

#[test]
fn every_problem_has_its_reason() {
    for (problem, reason, detail) in [
        (RenderProblem::MissingSlug { name: "CaseName".into() }, Reason::MissingSlug, "CaseName"),
        (RenderProblem::TooLong { characters: 1724 }, Reason::MessageTooLong, "1724 characters"),
        (RenderProblem::Empty, Reason::EmptyMessage, ""),
        (RenderProblem::Failed { why: "no date".into() }, Reason::TemplateFailed, "no date"),
    ] {
        assert_eq!(Why::from(problem), Why::detailed(reason, detail));
    }
}

#[test]
fn the_locale_is_the_exact_one_a_parent_or_the_default() {
    let texts = [("en", "Hi"), ("fr", "Salut"), ("fr-CA", "Allo"), ("zh-Hant", "你好")];
    let template = Template::compile(&source(&texts)).unwrap();
    for (wanted, chosen) in [
        (Some("fr-CA"), "fr-CA"),
        (Some("fr-BE"), "fr"),
        (Some("fr"), "fr"),
        (Some("zh-Hant-TW"), "zh-Hant"),
        (Some("zh"), "en"),
        (Some("el"), "en"),
        (Some("1036"), "fr"),
        (None, "en"),
    ] {
        let wanted = wanted.map(locale);
        assert_eq!(template.choose(wanted.as_ref()), &locale(chosen), "{wanted:?}");
        let rendered = template.render(wanted.as_ref(), &Slugs::default()).unwrap();
        assert_eq!(
            (rendered.text.as_str(), rendered.locale),
            (texts.iter().find(|t| t.0 == chosen).unwrap().1, locale(chosen))
        );
    }
}

#[test]
fn required_slugs_are_those_that_no_condition_spares() {
    let texts = [
        ("en", "{{CustomerName}}{{#if Location}} {{Location}}{{/if}}{{default Nick 'x'}}"),
        (
            "fr",
            "{{customername}} {{CASENAME}}{{#if A}}{{B}}{{Both}}{{else}}{{both}}{{/if}}{{#unless C}}{{D}}{{/unless}}",
        ),
    ];
    let template = Template::compile(&source(&texts)).unwrap();
    assert_eq!(template.required_slugs().iter().collect::<Vec<_>>(), ["both", "casename", "customername"]);
    assert_eq!(
        template.known_slugs().map(|slug| template.slug_spelling(slug)).collect::<Vec<_>>(),
        ["A", "B", "Both", "C", "CASENAME", "CustomerName", "D", "Location", "Nick"]
    );
    assert_eq!(template.slug_spelling("unknown"), "unknown");
}

#[test]
fn what_is_not_for_messages_is_refused_in_words() {
    let text = "{{> footer}}\n{{#> layout}}x{{/layout}}\n{{* inline}}{{#*inline \"a\"}}x{{/inline}}\n  {{#each Items}}{{a.b}}{{/each}}\
        \n{{#with A}}{{../B}}{{/with}}\n{{lookup A B}} {{log A}} {{log}} {{@root.A}} {{this}} {{@index}} {{A/B}} {{./A}}\
        \n{{Customer Name}} {{If A}} {{if A}} {{#default A \"x\"}}{{/default}} {{default}}\
        \n{{#if}}{{/if}}{{#if A B}}{{/if}}{{#if A includeZero=true}}{{/if}}{{#if (eq A B)}}{{/if}}{{#unless \"A\"}}{{/unless}}\
        \n{{default A}}{{default A B}}{{default A true}}{{default A \"b\" c=1}}{{(default A \"b\")}}{{[ ]}}{{#Name}}x{{/Name}}";
    insta::assert_snapshot!(problems(text), @r##"
    en, line 1, column 1: partials are not for messages; expected ALLOWED
    en, line 2, column 1: partials are not for messages; expected ALLOWED
    en, line 3, column 1: decorators are not for messages; expected ALLOWED
    en, line 3, column 13: decorators are not for messages; expected ALLOWED
    en, line 4, column 3: there is no block "#each"; expected ALLOWED
    en, line 4, column 18: "a.b" is not a slug: expected one plain name, without dots, slashes, @ or "this"
    en, line 5, column 1: there is no block "#with"; expected ALLOWED
    en, line 5, column 12: "../B" is not a slug: expected one plain name, without dots, slashes, @ or "this"
    en, line 6, column 1: there is no helper "lookup"; expected ALLOWED
    en, line 6, column 16: there is no helper "log"; expected ALLOWED
    en, line 6, column 26: there is no helper "log"; expected ALLOWED
    en, line 6, column 34: "@root.A" is not a slug: expected one plain name, without dots, slashes, @ or "this"
    en, line 6, column 46: "this" is not a slug: expected one plain name, without dots, slashes, @ or "this"
    en, line 6, column 55: "@index" is not a slug: expected one plain name, without dots, slashes, @ or "this"
    en, line 6, column 66: "A/B" is not a slug: expected one plain name, without dots, slashes, @ or "this"
    en, line 6, column 74: "./A" is not a slug: expected one plain name, without dots, slashes, @ or "this"
    en, line 7, column 1: there is no helper "Customer" (a slug with blanks in its name is written in brackets: {{[Slug Name]}}); expected ALLOWED
    en, line 7, column 19: there is no helper "If" (it is a block: {{#if Slug}}); expected ALLOWED
    en, line 7, column 28: there is no helper "if" (it is a block: {{#if Slug}}); expected ALLOWED
    en, line 7, column 37: there is no block "#default"; expected ALLOWED
    en, line 7, column 68: expected {{default Slug "text"}}: one slug, then a text in quotes
    en, line 8, column 1: expected {{#if Slug}}: one slug and nothing else
    en, line 8, column 15: expected {{#if Slug}}: one slug and nothing else
    en, line 8, column 33: expected {{#if Slug}}: one slug and nothing else
    en, line 8, column 66: expected {{#if Slug}}: one slug and nothing else
    en, line 8, column 89: expected {{#unless Slug}}: one slug and nothing else
    en, line 9, column 1: expected {{default Slug "text"}}: one slug, then a text in quotes
    en, line 9, column 14: expected {{default Slug "text"}}: one slug, then a text in quotes
    en, line 9, column 29: expected {{default Slug "text"}}: one slug, then a text in quotes
    en, line 9, column 47: default takes no c; expected {{default Slug "text"}}: one slug, then a text in quotes
    en, line 9, column 68: calls in round brackets are not for messages; expected ALLOWED
    en, line 9, column 87: "[ ]" is not a slug: expected one plain name, without dots, slashes, @ or "this"
    en, line 9, column 94: there is no block "#Name"; expected ALLOWED
    "##);
}

#[test]
fn what_is_not_handlebars_is_refused_with_its_place() {
    let texts = [
        "Hi {{CustomerName",
        "Hi {{CustomerName}",
        "Hi {{}}",
        "a\nb {{#if A}} c",
        "{{#if A}}{{#unless B}}x{{/if}}{{/unless}}",
        "é {{/if}}",
        "{{else}}",
        "{{Name!}}",
        "{{{{raw}}}}x{{{{/raw}}}}",
        "{{{{#if A}}}}",
    ];
    let all = texts.map(|text| format!("{text:?}\n    {}", problems(text))).join("\n");
    insta::assert_snapshot!(all, @r##"
    "Hi {{CustomerName"
        en, line 1, column 4: this is not Handlebars: this {{ is never closed; expected }}
    "Hi {{CustomerName}"
        en, line 1, column 4: this is not Handlebars: this {{ is never closed; expected }}
    "Hi {{}}"
        en, line 1, column 4: this is not Handlebars: there is nothing between {{ and }}; expected a slug
    "a\nb {{#if A}} c"
        en, line 2, column 3: this is not Handlebars: this {{#if}} is never closed; expected {{/if}}
    "{{#if A}}{{#unless B}}x{{/if}}{{/unless}}"
        en, line 1, column 24: this is not Handlebars: {{#unless}} is open here; expected {{/unless}}
    "é {{/if}}"
        en, line 1, column 3: this is not Handlebars: there is no open block here that {{/if}} could close
    "{{else}}"
        en, line 1, column 1: this is not Handlebars: there is no open block here that {{else}} could belong to
    "{{Name!}}"
        en, line 1, column 7: this is not Handlebars: what stands here cannot be read; expected ALLOWED
    "{{{{raw}}}}x{{{{/raw}}}}"
        en, line 1, column 1: raw blocks are not for messages; expected ALLOWED
    "{{{{#if A}}}}"
        en, line 1, column 1: raw blocks are not for messages; expected ALLOWED
    "##);
}

#[test]
fn every_locale_is_checked_and_the_default_must_be_there() {
    let problems = Template::compile(&source(&[("fr", "{{a.b}}"), ("de", "{{/if}}")])).unwrap_err();
    let told: Vec<_> = problems.iter().map(|problem| problem.place.to_string()).collect();
    assert_eq!(told, ["de, line 1, column 1", "fr, line 1, column 1", "en, line 1, column 1"]);
    assert_eq!(problems[2].fault, CompileFault::NoDefaultText);
}

#[test]
fn the_deepest_text_that_is_allowed_fits_a_small_stack_and_deeper_ones_are_refused() {
    let nested = |n: usize| format!("{}x{}", "{{#if A}}".repeat(n), "{{/if}}".repeat(n));
    let chained = |n: usize| format!("{{{{#if A}}}}x{}{{{{/if}}}}", "{{else if A}}x".repeat(n));
    let called = |n: usize| format!("{{{{f {}a{}}}}}", "(f ".repeat(n), ")".repeat(n));
    let listed = |n: usize| format!("{{{{f {}{}}}}}", "[".repeat(n), "]".repeat(n));
    let check = move || {
        assert_eq!(rendered(&nested(32), &[("A", "yes")]), Ok("x".to_owned()));
        assert_eq!(rendered(&chained(31), &[("A", "yes")]), Ok("x".to_owned()));
        assert!(problems(&called(100)).contains("no helper"), "{}", problems(&called(100)));
        assert!(problems(&listed(100)).contains("no helper"), "{}", problems(&listed(100)));
        for (text, what) in [
            (nested(5_000).replace("{{/if}}", ""), "too many characters"),
            (nested(33), "too many blocks"),
            (nested(300), "too many blocks"),
            (chained(32), "too many blocks"),
            (called(101), "too many brackets"),
            (listed(101), "too many brackets"),
            (format!("{{{{f {}1", "{\"a\":".repeat(101)), "too many brackets"),
            ("a".repeat(5_001), "too many characters"),
        ] {
            assert!(problems(&text).contains(what), "{what}: {}", problems(&text));
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(check).unwrap().join().unwrap();
}

#[test]
fn a_template_is_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&template("x"));
}
