//! Reads cron expressions with crontab's meaning into schedules of the `cron` crate, which numbers weekdays differently,
//! wants both days to match, and names no field in its errors. It knows no time zones.

use std::str::FromStr;

use super::NotASchedule;

/// The fields in the order of the `cron` crate, and what may stand there.
const FIELDS: [(&str, &str); 7] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of the week", "SUN to SAT or 0 to 7 (0 and 7 are Sunday)"),
    ("year", "1970 to 2100"),
];
const DAY_OF_MONTH: usize = 3;
const DAY_OF_WEEK: usize = 5;

/// crontab's names for common expressions.
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

const WEEKDAYS: [(&str, &str); 7] = [
    ("sun", "sunday"),
    ("mon", "monday"),
    ("tue", "tuesday"),
    ("wed", "wednesday"),
    ("thu", "thursday"),
    ("fri", "friday"),
    ("sat", "saturday"),
];

/// One schedule, or two where a day on which either matches will do.
pub(super) fn read(expression: &str) -> Result<Vec<cron::Schedule>, NotASchedule> {
    let trimmed = expression.trim();
    let nickname = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(trimmed));
    let given: Vec<&str> = nickname.map_or(trimmed, |(_, meaning)| *meaning).split_whitespace().collect();
    let fields = match given[..] {
        [m, h, d, mo, w] => ["0", m, h, d, mo, w, "*"],
        [s, m, h, d, mo, w] => [s, m, h, d, mo, w, "*"],
        [s, m, h, d, mo, w, y] => [s, m, h, d, mo, w, y],
        _ => return Err(NotASchedule::Fields { expression: expression.to_owned(), found: given.len() }),
    };
    let either = [DAY_OF_MONTH, DAY_OF_WEEK].iter().all(|place| !fields[*place].starts_with(['*', '?']));
    let weekdays = weekdays(fields[DAY_OF_WEEK]);
    let fields = check(fields, weekdays.as_deref())?;
    let stars: &[Option<usize>] = if either { &[Some(DAY_OF_MONTH), Some(DAY_OF_WEEK)] } else { &[None] };
    Ok(stars.iter().filter_map(|star| parse(&with_star(fields, *star))).collect())
}

/// The fields as the `cron` crate wants them, each having been read by itself, so that an error can name it.
fn check<'a>(mut fields: [&'a str; 7], weekdays: Option<&'a str>) -> Result<[&'a str; 7], NotASchedule> {
    for (place, (field, expected)) in FIELDS.into_iter().enumerate() {
        let given = fields[place];
        let read = if place == DAY_OF_WEEK { weekdays } else { Some(given) };
        let mut alone = ["*"; 7];
        alone[place] = read.unwrap_or_default();
        if read.is_none() || parse(&alone).is_none() {
            return Err(NotASchedule::Field { field, given: given.to_owned(), expected });
        }
        fields[place] = alone[place];
    }
    Ok(fields)
}

fn parse(fields: &[&str; 7]) -> Option<cron::Schedule> {
    cron::Schedule::from_str(&fields.join(" ")).ok()
}

fn with_star(mut fields: [&str; 7], place: Option<usize>) -> [&str; 7] {
    place.into_iter().for_each(|place| fields[place] = "*");
    fields
}

/// A field of weekdays in crontab's numbers or names, as a list in the numbers of the `cron` crate (1 is Sunday). A range
/// may run over the weekend: `FRI-MON`, `5-7`.
fn weekdays(field: &str) -> Option<String> {
    if matches!(field, "*" | "?") {
        return Some("*".to_owned());
    }
    let mut listed = [false; 7];
    for item in field.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<usize>().ok().filter(|step| (1..=7).contains(step))?)),
            None => (item, None),
        };
        let (from, to) = match (range, range.split_once('-'), step) {
            ("*", _, _) => (0, 6),
            (_, Some((from, to)), _) => (weekday(from)?, weekday(to)?),
            (day, None, Some(_)) => (weekday(day)? % 7, 6),
            (day, None, None) => (weekday(day)?, weekday(day)?),
        };
        let to = if to < from { to + 7 } else { to };
        (from..=to).step_by(step.unwrap_or(1)).for_each(|day| listed[day % 7] = true);
    }
    let numbers = (1..=7).filter(|day| listed[day - 1]).map(|day: usize| day.to_string());
    Some(numbers.collect::<Vec<_>>().join(","))
}

/// 0 to 7, or a name.
fn weekday(text: &str) -> Option<usize> {
    let named = |(short, long): &(&str, &str)| text.eq_ignore_ascii_case(short) || text.eq_ignore_ascii_case(long);
    WEEKDAYS.iter().position(named).or_else(|| match text.as_bytes() {
        [digit @ b'0'..=b'7'] => Some(usize::from(digit - b'0')),
        _ => None,
    })
}
