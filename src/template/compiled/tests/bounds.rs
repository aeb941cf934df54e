//! What no template and no contact can do: read files, run without end, recurse, or make more than a message. Each bound is proven
//! by what would break it.

use proptest::prelude::*;

use super::{super::*, problems, slugs, source};
use crate::domain::{
    contact::{ChannelType, Slugs},
    definition::SmartEncoding,
};
use crate::template::Preview;

/// More than anybody sends: a file's row may have that many bytes.
const HUGE: usize = 1 << 20;

#[test]
fn nothing_is_read_called_or_repeated() {
    for text in [
        "{{> etc/passwd}}",
        "{{> (lookup . 'A')}}",
        "{{#> self}}{{/self}}",
        "{{#*inline \"self\"}}{{> self}}{{/inline}}{{> self}}",
        "{{#each A}}{{#each A}}{{A}}{{/each}}{{/each}}",
        "{{#each A as |x|}}{{x}}{{/each}}",
        "{{#with A}}{{B}}{{/with}}",
        "{{lookup A B}}",
        "{{log A}}",
        "{{#log A}}{{/log}}",
        "{{@root}}",
        "{{__proto__.x}}",
        "{{constructor.constructor}}",
        "{{this}}",
        "{{../A}}",
        "{{raw A}}",
        "{{{{raw}}}}{{/each}}{{{{/raw}}}}",
        "{{date (date (date A))}}",
        "{{number A decimals=(number A)}}",
        "{{money A currency=(lookup A B)}}",
        "{{date A style=\"full\" style2=\"full\"}}",
        "{{#date A}}{{#time B}}x{{/time}}{{/date}}",
        "{{number A decimals=999999999999}}",
        "{{number A decimals=1e9}}",
    ] {
        let found = problems(text);
        assert!(found.starts_with("en, line 1, column "), "{text}: {found:?}");
    }
}

/// Texts of 5,000 characters that are hard on whoever reads them.
fn long_texts() -> Vec<String> {
    let braces = ["{", "}", "{{", "}}", "{{{", "{ {", "{{}}", "{{{}}}", "}}{{", "{{a}}", "{{{a}}}", "{{~a~}}"];
    let opened = ["{{#if a}}", "{{else}}", "{{^}}", "{{/if}}", "{{#if a}}x{{/if}}", "{{!", "{{!--", "{{!a}}", "--}}"];
    let quoted = ["\\", "\\{{", "\\\\{{a", "\"", "'", "{{a \"", "{{a '\\'", "{{default a \"x\"}}", "{{default a '}}'"];
    let nested = ["(", "{{(", "[", "{{[", "{{a (b ", "{{a b=", "{{a b=(c ", "{{a.", "{{a/", "../", "@", "|", "as |a|"];
    let helpers = [
        "{{date a}}",
        "{{date a style=\"full\"}}",
        "{{number a decimals=9}}",
        "{{money a currency=b}}",
        "{{time a timezone=b}}",
    ];
    let all = [&braces[..], &opened, &quoted, &nested, &helpers].concat();
    let whole = |part: &&str| part.repeat(5_000 / part.chars().count());
    all.iter()
        .map(whole)
        .chain(all.windows(2).map(|two| two.concat().repeat(5_000 / two.concat().chars().count())))
        .collect()
}

#[test]
fn long_texts_of_anything_end_in_an_answer_on_a_small_stack() {
    let check = || {
        let values = [("a", "1234.5"), ("b", "EUR")];
        for text in long_texts() {
            assert!(text.chars().count() <= 5_000);
            match Template::compile(&source(&[("en", &text)])) {
                Err(problems) => assert!(problems.iter().all(|problem| !problem.to_string().is_empty())),
                Ok(template) => drop(bounded(&template, &slugs(&values))),
            }
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(check).unwrap().join().unwrap();
}

/// What a contact would get is no longer than a message, whatever it is.
fn bounded(template: &Template, slugs: &Slugs) -> Result<String, RenderProblem> {
    let found = template.text_for(None, slugs, SmartEncoding::On);
    if let Ok(rendered) = &found {
        assert!(rendered.text.chars().count() <= MAX_CHARACTERS && !rendered.text.trim().is_empty());
    }
    let preview = Preview::new(template, None, slugs, SmartEncoding::On);
    assert_eq!(preview.text.is_ok(), found.is_ok());
    found.map(|rendered| rendered.text)
}

#[test]
fn huge_values_are_cut_off_while_the_text_is_made() {
    let huge = "é".repeat(HUGE);
    let blank = " ".repeat(HUGE);
    let many = |piece: &str| piece.repeat(5_000 / piece.len());
    let all = slugs(&[("a", &huge), ("b", &blank)]);
    for text in
        [many("{{a}}"), many("{{default a 'x'}}"), many("{{default b 'xxxxxxxxxx'}}"), many("{{#if a}}{{a}}{{/if}}")]
    {
        let Ok(template) = Template::compile(&source(&[("en", &text)])) else { continue };
        let found = template.render(None, &all).unwrap_err();
        let RenderProblem::TooLong { characters } = found else { panic!("{found:?}") };
        assert!(characters <= 2 * COUNTED, "nobody goes on counting: {characters}");
        let mut output = Output::new(&template.default.formats);
        output.write(&template.default.pieces, &all).unwrap();
        assert!(output.text.len() <= 4 * MAX_CHARACTERS, "what is too long is not kept: {}", output.text.len());
    }
    // Blanks are no value, however many; and no helper reads on in what it cannot use.
    for text in ["{{b}}", "{{date b}}", "{{date a}}", "{{number a}}", "{{money a currency=a}}", "{{time a timezone=a}}"]
    {
        let template = Template::compile(&source(&[("en", text)])).unwrap();
        let found = template.render(None, &all).unwrap_err();
        assert!(found.to_string().len() < 200, "{found}");
    }
    let digits = slugs(&[("a", &"9".repeat(64))]);
    let most = many("{{number a decimals=9}}");
    assert!(matches!(bounded(&super::template(&most), &digits), Err(RenderProblem::TooLong { .. })));
}

#[test]
fn approved_content_is_bounded_as_well() {
    use crate::template::ApprovedContent;
    let approved = ApprovedContent {
        content_sid: format!("HX{}", "0".repeat(32)),
        variables: [("1".to_owned(), "{{a}}{{a}}".to_owned())].into(),
        text: None,
    };
    let text = TemplateSource {
        channel_type: ChannelType::WhatsApp,
        approved: [("en".parse().unwrap(), approved)].into(),
        ..source(&[("en", "{{a}}{{a}}")])
    };
    let template = Template::compile(&text).unwrap();
    let found = template.render_approved(None, &slugs(&[("a", &"x".repeat(HUGE))]), None).unwrap_err();
    assert!(matches!(found, RenderProblem::TooLong { .. }), "{found:?}");
}

proptest! {
    #[test]
    fn no_template_and_no_contact_makes_more_than_a_message(
        parts in prop::collection::vec(prop::sample::select(vec![
            "{{a}}", "{{b}}", "{{#if a}}", "{{else}}", "{{/if}}", "{{#unless b}}", "{{/unless}}", "{{date a}}", "{{date b default='x'}}",
            "{{number a decimals=3}}", "{{money a currency=b}}", "{{time a timezone='Asia/Tokyo'}}", "{{default b '……………'}}", "…", "x", "{{", "}}",
            "{{#each a}}", "{{/each}}", "{{> a}}", "(", "\"", "\n",
        ]), 0..60),
        a in prop_oneof![".{0,40}", "[0-9.:T-]{0,25}", "x{0,3000}"], b in prop_oneof!["[A-Z]{3}", " {0,2000}", "…{0,1700}"],
    ) {
        if let Ok(template) = Template::compile(&source(&[("en", &parts.concat())])) {
            drop(bounded(&template, &slugs(&[("a", &a), ("b", &b)])));
        }
    }
}
