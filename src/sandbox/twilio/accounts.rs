//! Who may call: Basic credentials against the accounts of the settings, and whether the path is theirs.

use std::{collections::HashMap, sync::Arc};

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use subtle::ConstantTimeEq as _;

use super::{
    errors::ApiError,
    whatsapp::{Channel, SHARED},
};
use crate::sandbox::settings::{AccountStatus, ContentTemplate, TwilioAccount, is_sid};

/// Twilio's magic sender that is always good; also what a Messaging Service sends from when its account lists no number.
pub(super) const POOL_OF_NONE: &str = "+15005550006";

/// An account, with the strings that many messages share.
pub(in crate::sandbox) struct Account {
    pub sid: Arc<str>,
    pub auth_token: String,
    pub status: AccountStatus,
    pub numbers: Vec<Arc<str>>,
    pub services: Vec<String>,
    pub templates: Vec<ContentTemplate>,
    pub messages_path: Arc<str>,
}

/// What a caller may do with the account that it named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// The account's own sid and token: everything.
    Full,
    /// An API key: messages, not the account itself.
    Key,
}

struct User {
    password: String,
    account: Arc<Account>,
    access: Access,
}

/// The accounts, by sid and by user name.
pub(super) struct Accounts {
    pub all: Vec<Arc<Account>>,
    users: HashMap<String, User>,
}

impl Account {
    /// The senders on a channel: what a Messaging Service chooses from.
    pub(super) fn pool(&self, channel: Channel) -> impl Iterator<Item = &Arc<str>> {
        self.numbers.iter().filter(move |number| Channel::of(number) == channel)
    }
}

impl Accounts {
    pub(super) fn new(settings: &[TwilioAccount]) -> Self {
        let mut accounts = Accounts { all: Vec::new(), users: HashMap::new() };
        for known in settings {
            let account = Arc::new(Account {
                sid: known.account_sid.as_str().into(),
                auth_token: known.auth_token.clone(),
                status: known.status,
                numbers: known.numbers.iter().map(|number| number.as_str().into()).collect(),
                services: known.messaging_services.clone(),
                templates: known.templates.clone(),
                messages_path: format!("/2010-04-01/Accounts/{}/Messages.json", known.account_sid).into(),
            });
            let mut add = |user: &str, password: &str, access| {
                let user_of = User { password: password.to_owned(), account: account.clone(), access };
                accounts.users.insert(user.to_owned(), user_of);
            };
            add(&known.account_sid, &known.auth_token, Access::Full);
            for key in &known.api_keys {
                add(&key.sid, &key.secret, Access::Key);
            }
            accounts.all.push(account);
        }
        accounts
    }

    /// The account that the path names, if the caller may use it.
    pub(super) fn authorize(&self, headers: &HeaderMap, named: &str) -> Result<(Arc<Account>, Access), ApiError> {
        let user = self.user(headers)?;
        if *user.account.sid == *named {
            return Ok((user.account.clone(), user.access));
        }
        let known = is_sid("AC", named) && self.all.iter().any(|account| *account.sid == *named);
        Err(ApiError::of(if known { 20003 } else { 20404 }))
    }

    /// The caller's own account, where the path names none.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Result<Arc<Account>, ApiError> {
        self.user(headers).map(|user| user.account.clone())
    }

    fn user(&self, headers: &HeaderMap) -> Result<&User, ApiError> {
        let user = basic(headers).and_then(|(name, password)| {
            let user = self.users.get(&name)?;
            bool::from(user.password.as_bytes().ct_eq(password.as_bytes())).then_some(user)
        });
        user.ok_or_else(|| ApiError::of(20003))
    }

    /// Whether a sender is listed by an account other than this one.
    pub(super) fn belongs_to_another(&self, account: &Account, sender: &str) -> bool {
        self.all.iter().any(|other| other.sid != account.sid && other.numbers.iter().any(|number| **number == *sender))
    }

    /// The account that a message to `number` reaches: the one that lists it, or the first that may use any.
    pub(super) fn owner(&self, number: &str) -> Option<&Arc<Account>> {
        let lists = |account: &&Arc<Account>| account.numbers.iter().any(|own| **own == *number);
        let shared = number == POOL_OF_NONE || number == SHARED;
        let any = |account: &&Arc<Account>| account.numbers.is_empty() || shared;
        self.all.iter().find(lists).or_else(|| self.all.iter().find(any))
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}
