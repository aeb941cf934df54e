//! Properties of compiling and rendering: nothing panics, and what is rendered is what Handlebars would render.

use proptest::prelude::*;

use super::{
    super::{super::limits, *},
    slugs, source, template,
};

/// Pieces of templates, good and bad, that proptest joins.
fn fragment() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "{{A}}",
        "{{b}}",
        "{{{A}}}",
        "{{&b}}",
        "{{#if A}}",
        "{{#if b}}",
        "{{#unless A}}",
        "{{else}}",
        "{{^}}",
        "{{/if}}",
        "{{/unless}}",
        "{{else if b}}",
        "{{default A \"x\"}}",
        "{{default b 'y\"'}}",
        "{{~A~}}",
        "{{~#if A~}}",
        "{{~/if~}}",
        "{{~else~}}",
        "{{!c}}",
        "{{!-- c --}}",
        "\\{{A}}",
        "\\\\{{A}}",
        "\\",
        "\n",
        "\r\n",
        " ",
        "\n  ",
        "x",
        "é",
        "😀",
        "{{",
        "}}",
        "{",
        "}",
        "(",
        "[",
        "{{>",
        "{{#",
        "{{/",
        "{{{{",
        "~",
        "\"",
        "'",
        "|",
        "as |x|",
        "@",
        "..",
        "/",
        ".",
        "=",
        "{{[a b]}}",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => ".{0,6}"]
}

/// Texts that are balanced, so that most of them are good.
fn balanced() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "{{a}}",
        "{{{b}}}",
        "{{&c}}",
        "{{~a}}",
        "{{b~}}",
        "{{~ c ~}}",
        "{{default a \"x\"}}",
        "{{default c 'it is'~}}",
        "x",
        " y ",
        "\n",
        "\n\n",
        " \t",
        "\r\n",
        "é",
        "{{!c}}",
        "{{!-- {{c}} --}}",
        "\\{{a}}",
        "\\\\{{a}}",
        "\\ ",
        "}}",
        "{ ",
        "}",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(3, 16, 4, |inner| {
        let part = prop::collection::vec(inner, 0..5).prop_map(|parts| parts.concat());
        let slug = prop::sample::select(vec!["a", "b", "c"]);
        let shape = prop::sample::select(vec![
            "{{#if S}}P{{/if}}",
            "{{#if S}}P{{else}}Q{{/if}}",
            "{{#unless S}}P{{^}}Q{{/unless}}",
            "\n{{#if S}}\nP\n{{else}}\nQ\n{{/if}}\n",
            "{{~#if S~}} P {{~else~}} Q {{~/if~}}",
            "{{#if S}}P{{else if b}}Q{{else}}P{{/if}}",
            "\n  {{#unless S}}  \nP\n  {{/unless}}  \n",
        ]);
        (shape, slug, part.clone(), part)
            .prop_map(|(shape, slug, p, q)| shape.replace('S', slug).replace('P', &p).replace('Q', &q))
    })
}

/// The same text through Handlebars' own renderer.
fn by_handlebars(text: &str, slugs: &[(&str, String)]) -> Result<String, String> {
    use handlebars::{Context, Handlebars, Helper, HelperResult, Output as Out, RenderContext};
    fn default(
        helper: &Helper<'_>,
        _: &Handlebars<'_>,
        _: &Context,
        _: &mut RenderContext<'_, '_>,
        out: &mut dyn Out,
    ) -> HelperResult {
        let value = helper.params().iter().map(|param| param.render()).find(|text| !text.is_empty());
        out.write(&value.unwrap_or_default())?;
        Ok(())
    }
    let mut handlebars = Handlebars::new();
    handlebars.set_strict_mode(true);
    handlebars.register_escape_fn(handlebars::no_escape);
    handlebars.register_helper("default", Box::new(default));
    let context: serde_json::Map<_, _> =
        slugs.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
    handlebars.render_template(text, &context).map_err(|error| error.to_string())
}

proptest! {
    #[test]
    fn no_text_and_no_value_ends_in_a_panic(
        parts in prop::collection::vec(fragment(), 0..12), any in ".{0,60}", a in ".{0,20}", b in "[ \n]{0,2}|.{0,3}",
    ) {
        for text in [parts.concat(), any] {
            match Template::compile(&source(&[("en", &text)])) {
                Err(problems) => for problem in problems {
                    let CompilePlace::Text { line, column, .. } = &problem.place else { panic!("{problem}") };
                    prop_assert!(*line >= 1 && *column >= 1 && !problem.to_string().is_empty());
                },
                Ok(template) => if let Ok(rendered) = template.render(None, &slugs(&[("A", &a), ("b", &b)])) {
                    prop_assert!(rendered.text.chars().count() <= MAX_CHARACTERS && !rendered.text.trim().is_empty());
                },
            }
        }
    }

    #[test]
    fn what_is_rendered_is_what_handlebars_renders(
        parts in prop::collection::vec(balanced(), 0..4), b in "|[a-z<&\"]{1,3}", c in "[A-Z\n]{1,2}",
    ) {
        let text = parts.concat();
        prop_assume!(limits::check(&text).is_ok());
        let values = [("a", "Ana".to_owned()), ("b", b), ("c", c.replace('\n', "x\n"))];
        let ours = template(&text).render(None, &slugs(&values.each_ref().map(|(name, value)| (*name, value.as_str()))));
        match ours {
            Ok(rendered) => prop_assert_eq!(Ok(rendered.text), by_handlebars(&text, &values)),
            // Handlebars has nothing against a value that is blank.
            Err(RenderProblem::MissingSlug { name }) => prop_assert_eq!(name, "b"),
            Err(RenderProblem::Empty) => prop_assert!(by_handlebars(&text, &values).unwrap().trim().is_empty()),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
