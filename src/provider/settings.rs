//! What is asked of an account's settings whichever the provider, before any call is made with them.

use url::Url;

/// Whether a text can be a secret or an id: something, and without white space, which says that it was not copied well.
pub(super) fn is_secret(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Whether a text is an address that calls can go to: http or https, with a host, and nothing that a path could not follow.
pub fn is_base_url(text: &str) -> bool {
    Url::parse(text.trim()).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}
