//! Approved content for one contact: which locale's, the values of its variables, and the text that the recipient reads.

use std::collections::BTreeMap;

use super::{
    super::{
        approved::{Content, Part},
        formats::Formats,
        parse::Piece,
        problem::RenderProblem,
        smart::leaving,
    },
    Output, Rendered, Template,
};
use crate::domain::{
    contact::Slugs,
    definition::SmartEncoding,
    locale::Locale,
    wishes::{SendAs, Wishes, variable_fault},
};

/// One contact's approved content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedApproved {
    /// What the recipient reads: not blank, and no longer than [`MAX_CHARACTERS`](super::MAX_CHARACTERS).
    pub text: String,
    /// The locale that it is written in: the chosen one, not always the wanted one.
    pub locale: Locale,
    /// The provider's id of the content.
    pub content_id: String,
    /// The variables' values, by name.
    pub variables: BTreeMap<String, String>,
}

impl Template {
    /// Whether the provider has approved something of it. If so, it has for the default locale.
    pub fn has_approved(&self) -> bool {
        !self.approved.is_empty()
    }

    /// Makes one contact's approved content, in the best locale for them that has some. `overrides` take the place of single
    /// variables' own values, by name.
    pub fn render_approved(
        &self,
        wanted: Option<&Locale>,
        slugs: &Slugs,
        overrides: Option<&BTreeMap<String, String>>,
    ) -> Result<RenderedApproved, RenderProblem> {
        let (locale, content) = self.content(wanted).ok_or(RenderProblem::NotApproved)?;
        let overridden = |name: &str| overrides.and_then(|overrides| overrides.get(name));
        if let Some(unknown) = overrides.and_then(|all| all.keys().find(|name| !content.variables.contains_key(*name)))
        {
            return Err(no_such_variable(unknown, locale, content));
        }
        let formats = &self.text(Some(locale)).formats;
        let mut variables = BTreeMap::new();
        for (name, pieces) in &content.variables {
            let value = match overridden(name) {
                Some(value) => value.clone(),
                None => written(pieces, slugs, formats)?,
            };
            if let Some(fault) = variable_fault(&value) {
                return Err(RenderProblem::BadVariable { name: name.clone(), fault });
            }
            variables.insert(name.clone(), value);
        }
        let text = match &content.text {
            Some(parts) => said(parts, &variables, formats)?,
            None => self.render(Some(locale), &with_overrides(slugs, content, overridden))?.text,
        };
        Ok(RenderedApproved { text, locale: locale.clone(), content_id: content.content_id.clone(), variables })
    }

    /// The text that a contact reads: the approved one if there is one, unless the contact asks for free text. Whether free
    /// text is allowed is known only when it is sent.
    ///
    /// It is the text as it leaves a channel of this kind ([`leaving`]): what is counted, sent and shown.
    pub fn text_for(
        &self,
        wanted: Option<&Locale>,
        slugs: &Slugs,
        smart_encoding: SmartEncoding,
    ) -> Result<Rendered, RenderProblem> {
        if !self.has_approved() {
            let Rendered { text, locale } = self.render(wanted, slugs)?;
            return Ok(Rendered { text: leaving(text, smart_encoding), locale });
        }
        let wishes = Wishes::of(slugs).map_err(|problem| RenderProblem::Failed { why: problem.to_string() })?;
        if wishes.send_as == Some(SendAs::Text) {
            return self.render(wanted, slugs);
        }
        let approved = self.render_approved(wanted, slugs, Some(&wishes.parameters))?;
        Ok(Rendered { text: approved.text, locale: approved.locale })
    }

    /// The approved content that a contact gets; `None`: there is none, or the contact asks for free text.
    pub(in super::super) fn approved_for(
        &self,
        wanted: Option<&Locale>,
        slugs: &Slugs,
    ) -> Option<Result<RenderedApproved, RenderProblem>> {
        let wishes = Wishes::of(slugs).ok().filter(|wishes| wishes.send_as != Some(SendAs::Text))?;
        self.has_approved().then(|| self.render_approved(wanted, slugs, Some(&wishes.parameters)))
    }

    /// What is read when a contact's text is made, and its locale.
    pub(in super::super) fn read_for(&self, wanted: Option<&Locale>, slugs: &Slugs) -> (&Locale, Vec<&[Piece]>) {
        let free = Wishes::of(slugs).is_ok_and(|wishes| wishes.send_as == Some(SendAs::Text));
        match self.content(wanted).filter(|_| self.has_approved() && !free) {
            None => {
                let text = self.text(wanted);
                (&text.locale, vec![&text.pieces])
            }
            Some((locale, content)) => {
                let variables = content.variables.values().map(Vec::as_slice);
                // Where the approved text is not known, herald's own says what the recipient reads.
                let own = content.text.is_none().then(|| self.text(Some(locale)).pieces.as_slice());
                (locale, variables.chain(own).collect())
            }
        }
    }

    /// The content that a contact gets: of the wanted locale, of one of its parents, or of the default.
    fn content(&self, wanted: Option<&Locale>) -> Option<(&Locale, &Content)> {
        let found =
            wanted.and_then(|wanted| wanted.and_parents().find_map(|locale| self.approved.get_key_value(&locale)));
        found.or_else(|| self.approved.get_key_value(&self.source.default_locale))
    }
}

fn no_such_variable(name: &str, locale: &Locale, content: &Content) -> RenderProblem {
    let known = content.variables.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {known}") };
    let shown: String = name.chars().filter(|c| !c.is_control()).take(50).collect();
    let why = format!("the approved content in {locale} has no variable \"{shown}\"; {known}");
    RenderProblem::Failed { why }
}

fn written(pieces: &[Piece], slugs: &Slugs, formats: &Formats) -> Result<String, RenderProblem> {
    let mut output = Output::new(formats);
    output.write(pieces, slugs)?;
    match output.finish() {
        Err(RenderProblem::Empty) => Ok(String::new()), // said better by whoever knows which variable it is
        finished => finished,
    }
}

/// The approved text with its variables put in.
fn said(parts: &[Part], variables: &BTreeMap<String, String>, formats: &Formats) -> Result<String, RenderProblem> {
    let mut output = Output::new(formats);
    for part in parts {
        let text = match part {
            Part::Literal(text) => text,
            Part::Variable(name) => variables.get(name).map_or("", String::as_str),
        };
        output.push_value(text);
    }
    output.finish()
}

/// Where the approved text is not known, a variable that is one slug and nothing else says what the slug would have said.
fn with_overrides<'a>(slugs: &Slugs, content: &Content, overridden: impl Fn(&str) -> Option<&'a String>) -> Slugs {
    let mut slugs = slugs.clone();
    for (name, pieces) in &content.variables {
        if let ([Piece::Slug(slug)], Some(value)) = (pieces.as_slice(), overridden(name)) {
            slugs.set(&slug.folded, value);
        }
    }
    slugs
}
