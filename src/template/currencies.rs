//! The currencies that amounts can be in: the codes of ISO 4217 that are money people pay with. A list, because whatever knows
//! how to write an amount would also write one in "EUZ".

use std::{fmt, str::FromStr};

/// A currency's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Currency(&'static str);

/// A text that is no code of a currency.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotACurrency;

impl FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(text: &str) -> Result<Self, NotACurrency> {
        let found = CODES.iter().flat_map(|line| line.split(' ')).find(|code| code.eq_ignore_ascii_case(text));
        found.map(Self).ok_or(NotACurrency)
    }
}

impl Currency {
    /// The code.
    pub(super) const fn code(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

const CODES: [&str; 22] = [
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN",
    "BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD",
    "CAD CDF CHF CLP CNY COP CRC CUP CVE CZK",
    "DJF DKK DOP DZD",
    "EGP ERN ETB EUR",
    "FJD FKP",
    "GBP GEL GHS GIP GMD GNF GTQ GYD",
    "HKD HNL HTG HUF",
    "IDR ILS INR IQD IRR ISK",
    "JMD JOD JPY",
    "KES KGS KHR KMF KPW KRW KWD KYD KZT",
    "LAK LBP LKR LRD LSL LYD",
    "MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN",
    "NAD NGN NIO NOK NPR NZD OMR",
    "PAB PEN PGK PHP PKR PLN PYG QAR",
    "RON RSD RUB RWF",
    "SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL",
    "THB TJS TMT TND TOP TRY TTD TWD TZS",
    "UAH UGX USD UYU UZS",
    "VED VES VND VUV WST",
    "XAF XCD XCG XOF XPF",
    "YER ZAR ZMW ZWG",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_three_capitals_once_each_and_in_order() {
        let codes: Vec<&str> = CODES.iter().flat_map(|line| line.split(' ')).collect();
        assert!(codes.iter().all(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())));
        assert!(codes.is_sorted() && codes.windows(2).all(|two| two[0] != two[1]));
        for code in ["EUR", "usd", "Jpy", "GBP", "CHF", "IDR", "BRL", "EGP"] {
            assert_eq!(code.parse::<Currency>().map(|found| found.to_string()), Ok(code.to_uppercase()));
        }
        for text in ["", "EU", "EUZ", "EUR ", "EUR USD", "BAM BBD"] {
            assert_eq!(text.parse::<Currency>(), Err(NotACurrency), "{text}");
        }
    }
}
