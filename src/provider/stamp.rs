//! The time and the chance that a signed request needs, and how providers write them.

use crate::domain::time::Timestamp;

/// Given by the caller, so that adapters stay pure.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Now.
    pub now: Timestamp,
    /// Fresh for each request.
    pub nonce: u128,
}

/// As HTTP writes dates (RFC 1123): `Fri, 20 Nov 2026 08:00:00 GMT`.
pub(super) fn http_date(at: Timestamp) -> String {
    at.to_utc().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A random UUID (version 4) as text, in lower case, from bits that the caller has: six of the 128 say which kind it is.
pub(super) fn uuid(bits: u128) -> String {
    const KIND: u128 = (0xF << 76) | (0b11 << 62);
    let hex = format!("{:032x}", bits & !KIND | (4 << 76) | (0b10 << 62));
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    parts.map(|part| hex.get(part).unwrap_or_default()).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_has_them() {
        for (millis, expected) in [
            (1_795_161_600_000, "Fri, 20 Nov 2026 08:00:00 GMT"),
            (1_554_099_723_999, "Mon, 01 Apr 2019 06:22:03 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            assert_eq!(http_date(Timestamp::from_millis(millis)), expected);
        }
    }

    #[test]
    fn uuids_say_that_they_are_random() {
        for (bits, expected) in [
            (0, "00000000-0000-4000-8000-000000000000"),
            (u128::MAX, "ffffffff-ffff-4fff-bfff-ffffffffffff"),
            (0xFDA6_D242_46AA_4247_8BF6_619A_1206_F9C3, "fda6d242-46aa-4247-8bf6-619a1206f9c3"),
        ] {
            assert_eq!(uuid(bits), expected);
        }
    }
}
