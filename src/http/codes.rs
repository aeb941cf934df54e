//! The closed list of problem codes: what each means, and what to do about it. `docs/api-errors.md` is made of it, and the
//! API's description names these codes and no others.

use std::fmt::Write as _;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::schemas::word;

/// A stable code.
#[derive(Debug)]
pub struct Code {
    /// What programs go by.
    pub name: &'static str,
    /// The statuses that it comes with; none for a row of a file.
    pub statuses: &'static [u16],
    /// What it means, and what to do.
    pub means: &'static str,
}

macro_rules! codes {
    ($(#[$doc:meta])* $table:ident: $($name:ident [$($status:literal),*] $means:literal;)*) => {
        $(#[$doc])*
        pub const $table: &[Code] =
            &[$(Code { name: stringify!($name), statuses: &[$($status),*], means: $means }),*];
    };
}

codes! {
    /// The codes of answers, in the order of the alphabet.
    ANSWERS:
    already_sent [409] "The same file was sent through the configuration within 24 hours; `run` names the run. Send it again with `again=true`.";
    bare_carriage_return [422] "A line of the file ends with a carriage return alone; save it with lines that end with LF or CRLF.";
    being_taken_in [409] "The same is being taken in at this moment; ask again when that is done.";
    body_broken_off [400] "The body ended before it was whole; send it again.";
    body_too_large [413] "The body is larger than what is read here; send less at a time.";
    breaks_definitions [422] "The definition is good by itself, and others would not fit any more; `errors` names them and says why.";
    changed_meanwhile [412] "It is another than `If-Match` says; read it again, and say again what is to be changed.";
    channel_unusable [409] "The channel, or its account, is gone or cannot be put together; mend its definition.";
    configuration_inactive [409] "The outbound configuration is inactive, and nothing is sent through it until it is active again.";
    configuration_unusable [409] "What the outbound configuration names cannot be used; the detail says what and why.";
    conflict [409] "It is in no state for this; the detail says in which it is. Look again, and try again.";
    conversation_ended [409] "What has ended is not opened again; when the contact writes, another conversation begins.";
    duplicate_column [422] "Two columns of the file have the same name; rename or remove one of them.";
    empty_file [422] "The file is empty; expected a header line and one line for each row.";
    endpoint_disabled [409] "The endpoint has said that it is gone; enable it first.";
    endpoint_inactive [409] "The endpoint's definition says that nothing is posted to it.";
    file_changed [422] "The file changed while it was read, and nothing of it was used; send it again.";
    forbidden [403] "The API key's scope does not allow this; use a key with the scope that the detail names.";
    idempotency_key_in_use [409] "A request with this idempotency key is still being answered; ask again in a moment.";
    idempotency_key_reused [422] "Another request came under this idempotency key; a key stands for one request, so use a new one.";
    in_use [409] "Something still needs what was to be removed; the detail names it.";
    internal [500] "herald failed, and its log says why; what was asked for may be asked for again.";
    invalid_answer [422] "The answer's text or links are not what they must be; `errors` names each.";
    invalid_body [400, 422] "The body is no JSON (400), or JSON of another shape (422); the detail says where.";
    invalid_consent [422] "A part of the consent is not what it must be; `errors` names each.";
    invalid_cursor [400] "`after` is not what the page before named as `next`; begin with the first page.";
    invalid_definition [422] "The definition is not good, by the rules that files obey as well; `errors` says what is wrong and where.";
    invalid_event [400, 422] "The event is not JSON of the expected shape; the detail says what is wrong.";
    invalid_idempotency_key [400] "The header `Idempotency-Key` is not 1 to 255 visible ASCII characters.";
    invalid_key [422] "A part of the key that is to be made is not what it must be; `errors` names each.";
    invalid_name [422] "It cannot be a name; the detail says what can.";
    invalid_number [400] "The number in the path is not a possible one; write it in international form.";
    invalid_query [400] "A part of the query is unknown, missing, there twice, or not what it must be; the detail names it.";
    invalid_rows [422] "Rows of the file are wrong, and nothing was taken in; mend what `errors` names, or leave those rows out with `on_invalid=skip`.";
    invalid_template [422] "The draft cannot be a template; `errors` says what is wrong and where.";
    media_not_allowed [422] "The channel sends no attachments; leave them out, or let its definition allow them.";
    method_not_allowed [405] "The path does not take this method; the header `Allow` names those that it takes.";
    missing_columns [422] "The file lacks columns that the template needs; the detail names them.";
    name_taken [409] "There is a definition of this kind and name already.";
    no_audience [422] "The outbound configuration has no audience of its own; name a list or cases, or send a file.";
    no_good_contacts [422] "None of the contacts can be sent to; `errors` says why of each.";
    no_optin_column [422] "Nothing in the file says that the recipients agreed; add a column `optin`.";
    no_recipient_column [422] "No column of the file holds the recipient's number; the detail names those that could.";
    no_rows [422] "The file has a header line and nothing else.";
    no_seal_key [409] "A secret cannot be kept, as herald has no key to seal it with; the detail says how to make one.";
    no_temporary_space [503] "There was no room to put the file aside; try again later.";
    nobody [422] "There is nobody in the audience.";
    not_found [404] "There is nothing of this name or id, or nothing that is this organization's, which is the same.";
    not_genuine [403] "The callback is not signed as the provider signs; nothing of it was believed.";
    not_utf8 [422] "The file is not UTF-8; the detail says from which byte on.";
    nul_byte [422] "The file holds a NUL byte, which no text has.";
    open_quote [422] "A quote in the file is never closed; the detail says where it opens.";
    opted_out [409] "The contact wants nothing on this channel type; they can opt in again by writing START.";
    row_too_long [422] "A row of the file is too long to be one; is a quote left open?";
    run_cancelled [409] "The day's answers through this channel were cancelled, and no more are sent through it that day.";
    run_ended [409] "The run was ended while its audience was being taken in, and nothing was sent; send it again.";
    session_closed [422] "WhatsApp allows free text only within 24 hours of the contact's last message.";
    stray_quote [422] "Text follows a closing quote in the file; a quote inside a quoted field is written twice.";
    too_many_columns [422] "The file has more columns than are read.";
    too_many_contacts [422] "One call takes at most 100 contacts, and nothing of it was taken; make several calls.";
    too_many_events [422] "One call takes 1 to 100 events, and nothing of it was taken; make several calls.";
    too_many_requests [429] "The organization has made as many requests within the hour as are taken; try again after the seconds in the header `Retry-After`.";
    too_many_streams [429] "As many listen already as one organization may have; end one of the streams first.";
    two_columns [422] "Two columns of the file have one meaning; keep or rename one of them.";
    two_recipient_columns [422] "Two columns of the file could hold the recipient's number; keep or rename one of them.";
    unauthorized [401] "No API key came with the request, or one that does not hold; of a hook, the signature or its time is wrong.";
    unavailable [503] "herald cannot do this now; try again after the seconds in the header `Retry-After`.";
    unreadable_body [400] "The body could not be read to its end; send it again.";
    unreadable_callback [400] "The callback makes no sense; nothing of it was believed.";
    unreadable_file [503] "The file that was put aside could not be read again; send it again.";
    unsupported_media_type [415] "The body is of a type that is not taken here; the description of the operation names those that are.";
    unusable [422] "What the outbound configuration, or the request, names cannot be used; the detail says what and why.";
}

codes! {
    /// The codes of rows of a file, in the order of the alphabet: each stands in one of an answer's `errors`.
    ROWS:
    ambiguous_slug [] "A value is given twice in the row, differently.";
    empty_message [] "The row makes an empty text.";
    future_time [] "The time has not come yet; expected when it was said.";
    invalid_channel [] "Expected `sms`, `whatsapp`, `both`, or nothing.";
    invalid_consent [] "Expected `opted_out`, `opted_in`, `unknown`, or nothing.";
    invalid_locale [] "Expected a tag like `fr` or `fr-CA`, or a Windows number like 1036.";
    invalid_number [] "The number is not a possible one.";
    invalid_optin [] "Expected yes/no, true/false or 1/0.";
    invalid_sendastemplate [] "Expected yes/no, true/false or 1/0.";
    invalid_templateparameters [] "Expected a JSON object of names and texts.";
    invalid_time [] "Expected a point in time, like `2026-11-18T11:06:40Z`.";
    invalid_timezone [] "Expected an IANA name, like `Europe/Berlin`.";
    invalid_value [] "The template cannot write the value as what it is to be: a date, a number, an amount of money.";
    invalid_variable [] "The value cannot stand in the approved text.";
    message_too_long [] "The row makes a text of more than 1,600 characters.";
    missing_slug [] "The template needs a value here.";
    missing_value [] "Every row needs a value here.";
    template_failed [] "The template cannot use the value.";
    wrong_channel [] "The row names another channel type than the configuration's.";
    wrong_configuration [] "The row names another configuration than the one that it was given to.";
    wrong_field_count [] "The row has more or fewer fields than the header.";
}

/// The table as Markdown: what `docs/api-errors.md` holds.
pub fn markdown() -> String {
    let mut page = String::from("| code | status | what it means, and what to do |\n| --- | --- | --- |\n");
    for code in ANSWERS {
        let statuses: Vec<String> = code.statuses.iter().map(u16::to_string).collect();
        let _: std::fmt::Result = writeln!(page, "| `{}` | {} | {} |", code.name, statuses.join(", "), code.means);
    }
    page.push_str("\n| code of a row | what it means |\n| --- | --- |\n");
    for code in ROWS {
        let _: std::fmt::Result = writeln!(page, "| `{}` | {} |", code.name, code.means);
    }
    page
}

/// How a problem's code appears in the API's description.
pub(super) struct AnswerCode;

impl PartialSchema for AnswerCode {
    fn schema() -> RefOr<Schema> {
        word(ANSWERS.iter().map(|code| code.name), "What is wrong, for programs")
    }
}

impl ToSchema for AnswerCode {}

#[cfg(test)]
pub(crate) mod tests;
