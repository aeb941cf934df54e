//! The files under `examples/acme` and what is in them: the demo and its documentation rely on these figures.

use std::{collections::BTreeMap, fs::File};

use super::*;
use crate::domain::contact::ChannelType;

fn checked(path: &str, slugs: &[&str], country: Option<&str>) -> (Checked, BTreeMap<String, u64>) {
    let path = format!("{}/examples/acme/{path}", env!("CARGO_MANIFEST_DIR"));
    let required_slugs = slugs.iter().map(|slug| (*slug).to_owned()).collect();
    let expect = Expect {
        channel_type: ChannelType::Sms,
        configuration: None,
        required_slugs: &required_slugs,
        default_country: country.map(|country| country.parse().unwrap()),
        attested: None,
    };
    let mut endings = BTreeMap::new();
    let mut judge = |_: &Row<'_>, contact: &crate::domain::contact::Contact| {
        let digits = contact.to.digits().to_string();
        *endings.entry(digits[digits.len() - 5..].to_owned()).or_default() += 1;
        Ok(())
    };
    let found = check(File::open(path).unwrap(), expect, CheckOptions::new(&mut judge, &mut |_| ())).unwrap();
    (found, endings)
}

#[test]
fn customers_have_the_figures_that_the_demo_relies_on() {
    let (found, mut endings) = checked("customers.csv", &["CustomerName", "OrderNumber", "DeliveryDate"], None);
    let groups: Vec<(&str, &str, u64)> = found
        .summary
        .groups()
        .into_iter()
        .map(|group| (group.column.as_str(), group.kind.code(), group.rows))
        .collect();
    assert_eq!((found.rows, found.valid, found.invalid), (3557, 3517, 40));
    assert_eq!((found.duplicates, found.not_opted_in), (25, 60));
    assert_eq!(
        groups,
        [
            ("Phone Number", "invalid_number", 15),
            ("OptIn", "invalid_optin", 5),
            ("OrderNumber", "missing_slug", 5),
            ("CustomerName", "missing_slug", 5),
            ("Phone Number", "missing_value", 4),
            ("Locale", "invalid_locale", 3),
            ("OptIn", "missing_value", 3),
            ("", "wrong_field_count", 2),
        ]
    );
    // What the provider's simulator answers to numbers that end so.
    for (ending, times) in [
        ("97867", 3),
        ("98468", 5),
        ("90003", 6),
        ("90005", 6),
        ("90007", 2),
        ("91211", 4),
        ("91610", 3),
        ("90429", 4),
        ("90500", 2),
    ] {
        assert_eq!(endings.remove(ending), Some(times), "{ending}");
    }
    assert!(!endings.keys().any(|ending| ending.starts_with('9')));
}

#[test]
fn a_default_country_makes_some_numbers_without_a_plus_good() {
    for (country, valid, invalid) in [("US", 3519, 38), ("DE", 3520, 37), ("FR", 3518, 39)] {
        let (found, _) = checked("customers.csv", &["CustomerName", "OrderNumber", "DeliveryDate"], Some(country));
        assert_eq!((found.valid, found.invalid, found.duplicates), (valid, invalid, 25), "{country}");
    }
}

#[test]
fn the_stored_list_is_all_good() {
    let (found, _) = checked("lists/customers.csv", &["CustomerName", "CaseName"], None);
    assert_eq!((found.rows, found.valid, found.duplicates, found.not_opted_in), (120, 120, 0, 0));
    assert_eq!(found.summary.to_string(), "");
}
