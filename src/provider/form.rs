//! Form encoding: the bodies that some providers take, and the query of a callback's URL.

use std::borrow::Cow;

use url::form_urlencoded;

/// The type of such a body.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// How long a value is once form-encoded: one byte for what is written as it is, three for the rest.
pub(super) fn encoded_len(value: &str) -> usize {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'-' | b'.' | b'_' | b' ');
    value.bytes().map(|byte| if plain(byte) { 1 } else { 3 }).sum()
}

/// The first value of this name in a URL's query, decoded.
pub(super) fn in_query<'a>(url: &'a str, name: &str) -> Option<Cow<'a, str>> {
    form_urlencoded::parse(query(url).as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
}

/// What stands between `?` and `#`.
pub(super) fn query(url: &str) -> &str {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    url.split_once('?').map_or("", |(_, query)| query)
}
