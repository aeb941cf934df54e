//! Who may call: Basic credentials, or the TSA scheme, each of its rules with its own code.

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::{HeaderMap, Method, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use subtle::ConstantTimeEq as _;

use super::{
    errors::ApiError,
    signature::{Signed, mac},
};
use crate::sandbox::{
    settings::{AccountStatus, Keywords, ReportSignature, TeleSignAccount, callback_url},
    time,
};

/// How far a date may be off, either way, in milliseconds.
const TOLERANCE_MS: i64 = 15 * 60_000;
/// How long a nonce may be.
const NONCE: std::ops::RangeInclusive<usize> = 8..=64;

/// An account, with the strings that many messages share.
pub(in crate::sandbox) struct Account {
    pub customer_id: Arc<str>,
    api_key: String,
    pub secret: Vec<u8>,
    pub senders: Vec<String>,
    pub callback: Option<Arc<url::Url>>,
    pub inbound: Option<url::Url>,
    pub signature: ReportSignature,
    pub keywords: Keywords,
    status: AccountStatus,
}

/// The accounts, and the nonces of late.
pub(super) struct Accounts {
    all: Vec<Arc<Account>>,
    nonces: Mutex<Nonces>,
}

/// Nonces of the last while, as hashes: two that differ share one in a case that nobody lives to see.
#[derive(Default)]
struct Nonces {
    hasher: RandomState,
    seen: HashSet<u64>,
    order: VecDeque<(i64, u64)>,
}

/// The parts of a call that its credentials are about.
pub(super) struct Calling<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

impl Accounts {
    pub(super) fn new(settings: &[TeleSignAccount]) -> Self {
        let url = |address: &Option<String>| address.as_deref().and_then(|address| callback_url(address).ok());
        let all = settings.iter().map(|known| {
            Arc::new(Account {
                customer_id: known.customer_id.as_str().into(),
                api_key: known.api_key.clone(),
                secret: STANDARD.decode(&known.api_key).unwrap_or_default(),
                senders: known.senders.clone(),
                callback: url(&known.callback_url).map(Arc::new),
                inbound: url(&known.inbound_url),
                signature: known.report_signature,
                keywords: known.keywords,
                status: known.status,
            })
        });
        Accounts { all: all.collect(), nonces: Mutex::default() }
    }

    /// The account of a call.
    pub(super) fn authenticate(&self, call: &Calling<'_>, now_ms: i64) -> Result<Arc<Account>, ApiError> {
        let value = call.headers.get(header::AUTHORIZATION).ok_or_else(|| ApiError::of(10009))?;
        let odd = || ApiError::of(10028);
        let (scheme, credentials) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(odd)?;
        let account = match scheme {
            "TSA" => self.tsa(call, credentials, now_ms)?,
            _ if scheme.eq_ignore_ascii_case("basic") => self.basic(credentials)?,
            _ => return Err(odd()),
        };
        match account.status {
            AccountStatus::Active => Ok(account),
            AccountStatus::Suspended => Err(ApiError::of(10010)),
            AccountStatus::Closed => Err(ApiError::of(10013)),
        }
    }

    /// The account that the name stands for, whoever asks; for the log.
    pub(super) fn named(&self, headers: &HeaderMap) -> Option<&Arc<Account>> {
        let (scheme, credentials) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        match scheme {
            "TSA" => self.find(credentials.split_once(':')?.0),
            _ => self.find(&user_and_password(credentials)?.0),
        }
    }

    /// The account that a message to `sender` reaches: the one that lists it, or the first that may use any.
    pub(super) fn owner(&self, sender: &str) -> Option<&Arc<Account>> {
        let any = |account: &&Arc<Account>| account.senders.is_empty();
        self.all.iter().find(|account| account.lists(sender)).or_else(|| self.all.iter().find(any))
    }

    pub(super) fn lists(&self, sender: &str) -> bool {
        self.all.iter().any(|account| account.lists(sender))
    }

    fn find(&self, customer_id: &str) -> Option<&Arc<Account>> {
        self.all.iter().find(|account| *account.customer_id == *customer_id)
    }

    fn basic(&self, credentials: &str) -> Result<Arc<Account>, ApiError> {
        let (user, password) = user_and_password(credentials).ok_or_else(|| ApiError::of(10028))?;
        let account = self.find(&user).ok_or_else(|| ApiError::of(10015))?;
        if bool::from(account.api_key.as_bytes().ct_eq(password.as_bytes())) {
            return Ok(account.clone());
        }
        Err(ApiError::of(10022))
    }

    fn tsa(&self, call: &Calling<'_>, credentials: &str, now_ms: i64) -> Result<Arc<Account>, ApiError> {
        let odd = || ApiError::of(10028);
        let (customer, signature) = credentials.split_once(':').ok_or_else(odd)?;
        let signature = STANDARD.decode(signature).map_err(|_| odd())?;
        let account = self.find(customer).ok_or_else(|| ApiError::of(10015))?;
        let signed = signed(call, now_ms)?;
        let text = signed.text();
        if !bool::from(mac(&account.secret, &text).ct_eq(&signature)) {
            return Err(ApiError::of(10008).echo(String::from_utf8_lossy(&text).into_owned()));
        }
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.is_new(&account.customer_id, signed.nonce, now_ms) {
            Ok(account.clone())
        } else {
            Err(ApiError::of(10002))
        }
    }
}

impl Account {
    fn lists(&self, sender: &str) -> bool {
        self.senders.iter().any(|own| own == sender)
    }

    /// Whether a message may carry this sender.
    pub(super) fn may_send_as(&self, sender: &str) -> bool {
        self.senders.is_empty() || self.lists(sender)
    }
}

impl Nonces {
    fn is_new(&mut self, customer: &str, nonce: &str, now_ms: i64) -> bool {
        // A call with an older date is refused anyway, and one with the latest date is for twice the tolerance.
        while self.order.front().is_some_and(|(at, _)| now_ms - at > 2 * TOLERANCE_MS) {
            let Some((_, oldest)) = self.order.pop_front() else { break };
            self.seen.remove(&oldest);
        }
        let hash = self.hasher.hash_one((customer, nonce));
        if !self.seen.insert(hash) {
            return false;
        }
        self.order.push_back((now_ms, hash));
        true
    }
}

/// What the call has signed, as far as its headers are in order.
fn signed<'a>(call: &Calling<'a>, now_ms: i64) -> Result<Signed<'a>, ApiError> {
    let text = |name: &str| call.headers.get(name).and_then(|value| value.to_str().ok());
    let (date, ts_date) = (text("date"), text("x-ts-date"));
    let told = ts_date.or(date).ok_or_else(|| ApiError::of(10007))?;
    let at_ms = time::read_rfc2822(told).ok_or_else(|| ApiError::of(10005))?;
    if (now_ms - at_ms).abs() > TOLERANCE_MS {
        return Err(ApiError::of(10004));
    }
    let auth_method = text("x-ts-auth-method").filter(|method| *method == "HMAC-SHA256");
    let auth_method = auth_method.ok_or_else(|| ApiError::of(10006))?;
    let nonce = text("x-ts-nonce").filter(|nonce| NONCE.contains(&nonce.len())).ok_or_else(|| ApiError::of(10003))?;
    Ok(Signed {
        method: call.method.as_str(),
        content_type: text("content-type").unwrap_or_default(),
        date: date.unwrap_or_default(),
        ts_date,
        auth_method,
        nonce,
        body: call.body,
        path: call.path,
    })
}

fn user_and_password(credentials: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Nonces, TOLERANCE_MS};

    #[test]
    fn a_nonce_is_remembered_for_as_long_as_its_date_may_be_good() {
        let mut nonces = Nonces::default();
        let late = 2 * TOLERANCE_MS;
        for (customer, nonce, at_ms, new) in [
            ("a", "1", 0, true),
            ("a", "2", 1, true),
            ("b", "1", 2, true),
            ("a", "1", 3, false),
            ("a", "1", late, false),
            ("a", "1", late + 1, true),
            ("a", "2", late + 1, false),
            ("a", "1", late + 2, false),
        ] {
            assert_eq!(nonces.is_new(customer, nonce, at_ms), new, "{customer} {nonce} {at_ms}");
        }
    }
}
