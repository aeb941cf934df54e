//! The reading side: the credential check, one message, and the list that reconciles a call without an answer.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State as Shared, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate};
use serde_json::{Value, json};

use super::{
    Twilio,
    accounts::{Access, Account},
    errors::ApiError,
    messages::{Message, Status},
};
use crate::sandbox::{form::Form, settings::AccountStatus, state::State, time};

const PAGE_SIZE: usize = 50;
const PAGE_SIZE_LIMIT: usize = 1_000;

impl Twilio {
    /// The account, if the caller may send for it.
    pub(super) fn send_access(&self, headers: &HeaderMap, named: &str) -> Result<Arc<Account>, ApiError> {
        let (account, _) = self.accounts.authorize(headers, named)?;
        match account.status {
            AccountStatus::Active => Ok(account),
            AccountStatus::Suspended | AccountStatus::Closed => Err(ApiError::of(20005)),
        }
    }

    /// The number of a message of the account that the caller may use.
    fn find(&self, headers: &HeaderMap, named: &str, file: &str) -> Result<u64, ApiError> {
        let (account, _) = self.accounts.authorize(headers, named)?;
        let missing = || ApiError::of(20404);
        let sid = file.strip_suffix(".json").ok_or_else(missing)?;
        let messages = self.messages();
        let number = messages.number_of(sid).ok_or_else(missing)?;
        let own = messages.get(number).is_some_and(|message| message.account.sid == account.sid);
        if own { Ok(number) } else { Err(missing()) }
    }
}

/// `GET …/Accounts/{AC}.json`.
pub(super) async fn account(
    Shared(state): Shared<Arc<State>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(named) = file.strip_suffix(".json") else { return ApiError::of(20404).into_response() };
    let account = match state.twilio.accounts.authorize(&headers, named) {
        Ok((account, Access::Full)) => account,
        Ok((_, Access::Key)) => return ApiError::of(20003).into_response(),
        Err(error) => return error.into_response(),
    };
    let status = match account.status {
        AccountStatus::Active => "active",
        AccountStatus::Suspended => "suspended",
        AccountStatus::Closed => "closed",
    };
    let uri = format!("/2010-04-01/Accounts/{}", account.sid);
    Json(json!({
        "auth_token": account.auth_token,
        "date_created": time::rfc2822(0),
        "date_updated": time::rfc2822(0),
        "friendly_name": "Sandbox",
        "owner_account_sid": &*account.sid,
        "sid": &*account.sid,
        "status": status,
        "subresource_uris": { "messages": format!("{uri}/Messages.json") },
        "type": "Full",
        "uri": format!("{uri}.json"),
    }))
    .into_response()
}

/// `GET …/Messages/{SM}.json`.
pub(super) async fn fetch(
    Shared(state): Shared<Arc<State>>,
    Path((named, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let found = state.twilio.find(&headers, &named, &file);
    let message = found.map(|number| state.twilio.messages().get(number).cloned());
    match message {
        Ok(Some(message)) => Json(message.resource()).into_response(),
        Ok(None) => ApiError::of(20404).into_response(),
        Err(error) => error.into_response(),
    }
}

/// `POST …/Messages/{SM}.json`: cancels a scheduled message (`Status=canceled`) or redacts a text (`Body=`).
pub(super) async fn update(
    Shared(state): Shared<Arc<State>>,
    Path((named, file)): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let number = match state.twilio.find(&headers, &named, &file) {
        Ok(number) => number,
        Err(error) => return error.into_response(),
    };
    let form = Form::read(&headers, &body);
    if let Some(fault) = form.fault {
        return ApiError::from(fault).into_response();
    }
    let mut messages = state.twilio.messages();
    let Some(message) = messages.get_mut(number) else { return ApiError::of(20404).into_response() };
    match form.get("Status") {
        None => message.body = Arc::default(),
        Some("canceled") if message.status == Status::Scheduled => {
            message.advance(Status::Canceled, None, time::now_ms());
        }
        Some(_) => return ApiError::of(20400).into_response(),
    }
    let message = message.clone();
    drop(messages);
    Json(message.resource()).into_response()
}

/// `DELETE …/Messages/{SM}.json`: the text goes; the resource is kept, so that an audit still finds the sid.
pub(super) async fn remove(
    Shared(state): Shared<Arc<State>>,
    Path((named, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    match state.twilio.find(&headers, &named, &file) {
        Ok(number) => {
            if let Some(message) = state.twilio.messages().get_mut(number) {
                message.body = Arc::default();
            }
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => error.into_response(),
    }
}

/// What a list is asked for.
#[derive(Default)]
struct Asked {
    to: Option<String>,
    from: Option<String>,
    on: Option<NaiveDate>,
    since_ms: Option<i64>,
    until_ms: Option<i64>,
    page_size: usize,
    page: u64,
    token: Option<String>,
}

impl Asked {
    fn read(query: &str) -> Result<Asked, ApiError> {
        let mut asked = Asked { page_size: PAGE_SIZE, ..Asked::default() };
        let bad = |_| ApiError::of(20400);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
            match &*name {
                "To" => asked.to = Some(value.into_owned()),
                "From" => asked.from = Some(value.into_owned()),
                "DateSent" => asked.on = Some(time::day(moment(&value)?)),
                "DateSent>" => asked.since_ms = Some(moment(&value)?),
                "DateSent<" => asked.until_ms = Some(end_of(&value)?),
                "PageSize" => {
                    let size: usize = value.parse().map_err(bad)?;
                    asked.page_size = size.clamp(1, PAGE_SIZE_LIMIT);
                }
                "Page" => asked.page = value.parse().map_err(bad)?,
                "PageToken" => asked.token = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(asked)
    }

    fn wants(&self, message: &Message) -> bool {
        // One that waits to be sent has no date yet; it is found by when it was made, as it may be what is looked for.
        let at = message.sent_ms.unwrap_or(message.created_ms);
        self.from.as_deref().is_none_or(|from| message.from.as_deref() == Some(from))
            && self.on.is_none_or(|day| time::day(at) == day)
            && self.since_ms.is_none_or(|since| at >= since)
            && self.until_ms.is_none_or(|until| at <= until)
    }

    /// The path of a page of this list.
    fn uri(&self, path: &str, page: u64, token: Option<&str>, query: &str) -> String {
        let kept = url::form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| !matches!(&**name, "Page" | "PageSize" | "PageToken"));
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(kept).append_pair("PageSize", &self.page_size.to_string());
        form.append_pair("Page", &page.to_string());
        if let Some(token) = token {
            form.append_pair("PageToken", token);
        }
        format!("{path}?{}", form.finish())
    }
}

/// A day (its first moment) or a moment, in milliseconds.
fn moment(value: &str) -> Result<i64, ApiError> {
    if let Ok(day) = value.parse::<NaiveDate>() {
        return Ok(day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis());
    }
    DateTime::parse_from_rfc3339(value).map(|at| at.timestamp_millis()).map_err(|_| ApiError::of(20400))
}

/// The last moment of a day, or of a second: dates sent carry no fraction.
fn end_of(value: &str) -> Result<i64, ApiError> {
    let length = if value.parse::<NaiveDate>().is_ok() { 86_400_000 } else { 1_000 };
    Ok(moment(value)? + length - 1)
}

/// `GET …/Messages.json`, newest first.
pub(super) async fn list(
    Shared(state): Shared<Arc<State>>,
    Path(named): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let page = state
        .twilio
        .accounts
        .authorize(&headers, &named)
        .and_then(|(account, _)| Ok((account, Asked::read(&query)?)))
        .and_then(|(account, asked)| page(&state.twilio, &account, &asked, &query));
    page.map_or_else(ApiError::into_response, |page| Json(page).into_response())
}

fn page(twilio: &Twilio, account: &Account, asked: &Asked, query: &str) -> Result<Value, ApiError> {
    let mut found: Vec<Message> = {
        let messages = twilio.messages();
        // The token names the last message of the page before.
        let before = match asked.token.as_deref() {
            None => u64::MAX,
            Some(token) => {
                token.strip_prefix("PA").and_then(|sid| messages.number_of(sid)).ok_or_else(|| ApiError::of(20400))?
            }
        };
        messages
            .newest(asked.to.as_deref(), before)
            .filter(|(_, message)| message.account.sid == account.sid && asked.wants(message))
            .take(asked.page_size + 1)
            .map(|(_, message)| message.clone())
            .collect()
    };
    let more = found.len() > asked.page_size;
    found.truncate(asked.page_size);
    let path = &*account.messages_path;
    let token = found.last().filter(|_| more).map(|last| format!("PA{}", last.sid));
    let start = asked.page * asked.page_size as u64;
    Ok(json!({
        "end": (start + found.len() as u64).saturating_sub(1).max(start),
        "first_page_uri": asked.uri(path, 0, None, query),
        "next_page_uri": token.map(|token| asked.uri(path, asked.page + 1, Some(&token), query)),
        "page": asked.page,
        "page_size": asked.page_size,
        "previous_page_uri": null,
        "start": start,
        "uri": asked.uri(path, asked.page, asked.token.as_deref(), query),
        "messages": found.iter().map(Message::resource).collect::<Vec<Value>>(),
    }))
}
