//! The unguessable part of an address: whose it is, a dot, and 128 bits of chance. The organization stands in it so that a
//! token is looked up under one organization, as everything is.

use std::fmt::Write;

use crate::domain::id::OrgId;

/// How many digits follow the dot.
const DIGITS: usize = 32;

/// A new token of an organization.
pub(super) fn fresh(org: &OrgId) -> Result<String, getrandom::Error> {
    let mut chance = [0_u8; DIGITS / 2];
    getrandom::fill(&mut chance)?;
    let mut token = format!("{org}.");
    for byte in chance {
        let _: std::fmt::Result = write!(token, "{byte:02x}");
    }
    Ok(token)
}

/// The organization of a token, if it has the shape of one. Whether the token exists is the store's to say.
pub fn token_org(token: &str) -> Option<OrgId> {
    let (org, digits) = token.split_once('.')?;
    let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let shaped = digits.len() == DIGITS && digits.chars().all(hexadecimal);
    org.parse().ok().filter(|_| shaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_whose_it_is() {
        let org: OrgId = "acme".parse().unwrap();
        let (one, two) = (fresh(&org).unwrap(), fresh(&org).unwrap());
        assert_eq!((token_org(&one), one == two, one.len()), (Some(org), false, 37));
        for wrong in [
            "",
            "acme",
            "acme.",
            ".0123456789abcdef0123456789abcdef",
            "acme.0123456789ABCDEF0123456789ABCDEF",
            "acme.0123456789abcdef0123456789abcde",
            "Acme.0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(token_org(wrong), None, "{wrong}");
        }
    }
}
