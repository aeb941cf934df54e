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
        insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r##"
        appointment-reminder: whatsapp, transactional, AppointmentTime CustomerName
        case-created: sms, transactional, CaseName CustomerName
        case-resolved: sms, transactional, CaseName CustomerName
        payment-due: sms, transactional, Amount Currency CustomerName DueDate InvoiceNumber
        shipping-delay: sms, transactional, CustomerName DeliveryDate OrderNumber
        "##);
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
        insta::assert_snapshot!(all, @r##"
        appointment-reminder de Gsm7 1: Guten Tag Ana, wir erinnern Sie an Ihren Termin: 2026-12-04 10:00, Building 2. Falls Sie verhindert sind, antworten Sie bitte auf diese Nachricht.
        appointment-reminder el Ucs2 3: Γεια σας Ana, σας υπενθυμίζουμε το ραντεβού σας: 2026-12-04 10:00, Building 2. Αν δεν μπορείτε να έρθετε, παρακαλούμε απαντήστε σε αυτό το μήνυμα.
        appointment-reminder en Gsm7 1: Hello Ana, this is a reminder of your appointment: 2026-12-04 10:00, Building 2. If you cannot come, please reply to this message.
        appointment-reminder fr Gsm7 1: Bonjour Ana, nous vous rappelons votre rendez-vous : 2026-12-04 10:00, Building 2. Si vous ne pouvez pas venir, merci de répondre à ce message.
        appointment-reminder id Gsm7 1: Halo Ana, kami mengingatkan janji temu Anda: 2026-12-04 10:00, Building 2. Jika berhalangan hadir, silakan balas pesan ini.
        appointment-reminder ja Ucs2 2: Ana様、ご予約についてのお知らせです。日時：2026-12-04 10:00、場所：Building 2。ご都合が悪くなった場合は、このメッセージにご返信ください。
        case-created de Gsm7 1: Guten Tag Ana, Ihre Anfrage "Broken heater" ist bei uns eingegangen. Wir melden uns in Kürze bei Ihnen.
        case-created el Ucs2 2: Γεια σας Ana, λάβαμε το αίτημά σας «Broken heater». Θα επικοινωνήσουμε σύντομα μαζί σας.
        case-created en Gsm7 1: Hello Ana, we have opened your case "Broken heater". We will be in touch soon.
        case-created fr Gsm7 1: Bonjour Ana, votre demande "Broken heater" a bien été enregistrée. Nous vous répondrons rapidement.
        case-created id Gsm7 1: Halo Ana, laporan Anda "Broken heater" sudah kami terima. Kami akan segera menghubungi Anda.
        case-created ja Ucs2 1: Ana様、お問い合わせ「Broken heater」を受け付けました。担当者よりご連絡いたしますので、しばらくお待ちください。
        case-resolved de Gsm7 1: Guten Tag Ana, Ihre Anfrage "Broken heater" ist gelöst. Bei weiteren Fragen sind wir gern für Sie da.
        case-resolved el Ucs2 2: Γεια σας Ana, το αίτημά σας «Broken heater» έχει διευθετηθεί. Για οτιδήποτε άλλο, είμαστε στη διάθεσή σας.
        case-resolved en Gsm7 1: Hello Ana, your case "Broken heater" has been resolved. If you need anything else, please let us know.
        case-resolved fr Gsm7 1: Bonjour Ana, votre demande "Broken heater" est résolue. Pour toute question, nous restons à votre disposition.
        case-resolved id Gsm7 1: Halo Ana, laporan Anda "Broken heater" telah selesai kami tangani. Jika masih ada kendala, silakan hubungi kami kembali.
        case-resolved ja Ucs2 1: Ana様、お問い合わせ「Broken heater」の対応が完了いたしました。ほかにご不明な点がございましたら、お気軽にお知らせください。
        payment-due de Gsm7 1: Guten Tag Ana, die Rechnung R-77 über 1.234,50 € ist am 4. Dezember 2026 fällig. Falls Sie schon bezahlt haben, vielen Dank.
        payment-due el Ucs2 2: Γεια σας Ana, το τιμολόγιο R-77 ποσού 1.234,50 € λήγει στις 4 Δεκεμβρίου 2026. Αν έχετε ήδη πληρώσει, αγνοήστε αυτό το μήνυμα.
        payment-due en Gsm7 1: Hello Ana, invoice R-77 of €1,234.50 is due on December 4, 2026. If you have already paid, please ignore this message.
        payment-due fr Gsm7 1: Bonjour Ana, votre facture R-77 de 1 234,50 € est à régler avant le 4 décembre 2026. Si vous avez déjà payé, ignorez ce message.
        payment-due id Gsm7 1: Halo Ana, tagihan R-77 sebesar €1.234,50 jatuh tempo pada 4 Desember 2026. Abaikan pesan ini jika sudah membayar.
        payment-due ja Ucs2 2: Ana様、請求書R-77（€1,234.50）のお支払い期限は2026年12月4日です。お支払い済みの場合は、このメッセージをご放念ください。
        shipping-delay de Gsm7 1: Guten Tag Ana, Ihre Bestellung A-1042 verspätet sich leider. Neuer Liefertermin: 2026-12-04. Wir bitten um Entschuldigung.
        shipping-delay el Ucs2 2: Γεια σας Ana, η παραγγελία σας A-1042 θα καθυστερήσει. Νέα ημερομηνία παράδοσης: 2026-12-04. Ζητούμε συγγνώμη.
        shipping-delay en Gsm7 1: Hello Ana, your order A-1042 is delayed. The new delivery date is 2026-12-04. We are sorry for the inconvenience.
        shipping-delay fr Gsm7 1: Bonjour Ana, votre commande A-1042 a pris du retard. Nouvelle date de livraison : 2026-12-04. Veuillez nous en excuser.
        shipping-delay id Gsm7 1: Halo Ana, pengiriman pesanan Anda A-1042 mengalami keterlambatan. Perkiraan tiba yang baru: 2026-12-04. Mohon maaf atas ketidaknyamanannya.
        shipping-delay ja Ucs2 1: Ana様、ご注文（A-1042）の配送が遅れております。新しいお届け予定日は2026-12-04です。ご迷惑をおかけし、申し訳ございません。
        "##);
    }

    #[test]
    fn what_is_approved_reads_as_the_text_does_in_every_language() {
        for (name, source) in starter().unwrap() {
            let template = Template::compile(&source).unwrap();
            assert_eq!(template.has_approved(), source.channel_type == ChannelType::WhatsApp, "{name}");
            let mut ids: Vec<&str> = source.approved.values().map(|content| content.content_sid.as_str()).collect();
            assert!(ids.is_empty() || ids.len() == source.texts.len(), "{name}");
            for locale in source.approved.keys() {
                for channel_type in [ChannelType::Sms, ChannelType::WhatsApp] {
                    let free = template.render(Some(locale), &values(channel_type)).unwrap();
                    let approved = template.render_approved(Some(locale), &values(channel_type), None).unwrap();
                    assert_eq!((approved.text, approved.locale), (free.text, free.locale), "{name} {locale}");
                    assert_eq!(approved.variables["1"], "Ana");
                }
            }
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), source.approved.len(), "{name}: each language has content of its own");
        }
    }

    #[test]
    fn an_appointment_needs_no_place() {
        let template = Template::compile(&starter().unwrap()["appointment-reminder"]).unwrap();
        let slugs = values(ChannelType::Sms);
        let texts = template.source().texts.keys().map(|locale| template.render(Some(locale), &slugs).unwrap().text);
        insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n"), @r##"
        Guten Tag Ana, wir erinnern Sie an Ihren Termin: 2026-12-04 10:00. Falls Sie verhindert sind, antworten Sie bitte auf diese Nachricht.
        Γεια σας Ana, σας υπενθυμίζουμε το ραντεβού σας: 2026-12-04 10:00. Αν δεν μπορείτε να έρθετε, παρακαλούμε απαντήστε σε αυτό το μήνυμα.
        Hello Ana, this is a reminder of your appointment: 2026-12-04 10:00. If you cannot come, please reply to this message.
        Bonjour Ana, nous vous rappelons votre rendez-vous : 2026-12-04 10:00. Si vous ne pouvez pas venir, merci de répondre à ce message.
        Halo Ana, kami mengingatkan janji temu Anda: 2026-12-04 10:00. Jika berhalangan hadir, silakan balas pesan ini.
        Ana様、ご予約についてのお知らせです。日時：2026-12-04 10:00。ご都合が悪くなった場合は、このメッセージにご返信ください。
        "##);
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
            ("InvoiceNumber", "R-77"),
            ("Amount", "1234.5"),
            ("Currency", "EUR"),
            ("DueDate", "2026-12-04"),
        ] {
            slugs.insert(name, value).unwrap();
        }
        if channel_type == ChannelType::WhatsApp {
            slugs.insert("Location", "Building 2").unwrap();
        }
        slugs
    }
}
