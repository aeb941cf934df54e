//! The starter library: the templates at the project's top level, compiled into the binary, so that `herald demo` and a
//! new organization need no files.

use std::collections::BTreeMap;

use include_dir::{Dir, File, include_dir};

use super::source::{MANIFEST, SourceFault, SourceProblem, TemplateSource};

static STARTER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// Every template of the starter library, by name. A problem names its file as `case-created/en.hbs`.
pub fn starter() -> Result<BTreeMap<String, TemplateSource>, Vec<SourceProblem>> {
    let mut library = BTreeMap::new();
    let mut problems = Vec::new();
    for folder in STARTER.dirs() {
        let name = folder.path().display().to_string();
        match read(folder) {
            Ok(source) => {
                library.insert(name, source);
            }
            Err(found) => problems.extend(
                found.into_iter().map(|problem| SourceProblem { file: format!("{name}/{}", problem.file), ..problem }),
            ),
        }
    }
    if problems.is_empty() { Ok(library) } else { Err(problems) }
}

fn read(folder: &Dir<'_>) -> Result<TemplateSource, Vec<SourceProblem>> {
    let mut manifest = String::new();
    let mut texts = Vec::new();
    let mut problems = Vec::new();
    for file in folder.files() {
        let name = file_name(file);
        match file.contents_utf8() {
            None => problems.push(SourceProblem { file: name, key: None, fault: SourceFault::NotUtf8 }),
            Some(text) if name == MANIFEST => text.clone_into(&mut manifest),
            Some(text) => texts.push((name, text.to_owned())),
        }
    }
    if problems.is_empty() { TemplateSource::from_files(&manifest, texts) } else { Err(problems) }
}

fn file_name(file: &File<'_>) -> String {
    file.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::{super::compiled::Template, super::segments::*, *};
    use crate::domain::contact::{ChannelType, Slugs};

    #[test]
    fn each_template_is_complete_and_asks_for_what_it_says() {
        let library = starter().unwrap();
        let told = library.iter().map(|(name, source)| {
            let template = Template::compile(source).unwrap();
            let locales = source.texts.keys().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            assert_eq!(
                (locales.as_str(), source.default_locale.to_string().as_str()),
                ("de el en fr id ja", "en"),
                "{name}"
            );
            let slugs = template.required_slugs().iter().map(|slug| template.slug_spelling(slug)).collect::<Vec<_>>();
            format!("{name}: {}, {}, {}", source.channel_type, source.purpose, slugs.join(" "))
        });
        insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"");
    }

    #[test]
    fn every_text_reads_well_and_what_it_costs_is_known() {
        let mut all = String::new();
        for (name, source) in starter().unwrap() {
            let template = Template::compile(&source).unwrap();
            for locale in source.texts.keys() {
                let rendered = template.render(Some(locale), &values(source.channel_type)).unwrap();
                let cost = segments(&rendered.text);
                if source.channel_type == ChannelType::Sms
                    && ["de", "en", "fr", "id"].contains(&locale.to_string().as_str())
                {
                    assert_eq!((cost.encoding, cost.segments), (Encoding::Gsm7, 1), "{name} {locale}: {cost:?}");
                }
                writeln!(all, "{name} {locale} {:?} {}: {}", cost.encoding, cost.segments, rendered.text).unwrap();
            }
        }
        insta::assert_snapshot!(all, @"");
    }

    #[test]
    fn an_appointment_needs_no_place() {
        let template = Template::compile(&starter().unwrap()["appointment-reminder"]).unwrap();
        let slugs = values(ChannelType::Sms);
        let texts = template.source().texts.keys().map(|locale| template.render(Some(locale), &slugs).unwrap().text);
        insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n"), @"");
    }

    /// A place to meet is told only on WhatsApp, so that both texts of a reminder can be seen.
    fn values(channel_type: ChannelType) -> Slugs {
        let mut slugs = Slugs::default();
        for (name, value) in [
            ("customername", "Ana"),
            ("CASENAME", "Broken heater"),
            ("OrderNumber", "A-1042"),
            ("DeliveryDate", "2026-12-04"),
            ("AppointmentTime", "2026-12-04 10:00"),
        ] {
            slugs.insert(name, value).unwrap();
        }
        if channel_type == ChannelType::WhatsApp {
            slugs.insert("Location", "Building 2").unwrap();
        }
        slugs
    }
}
