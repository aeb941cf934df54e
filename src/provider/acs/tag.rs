//! What a call carries along so that its reports find their messages: `tag`, which Azure repeats in each. One message is named by
//! its id; several by their run and the places of the first and the last, and then a report says which by its recipient.

use crate::{
    domain::{
        id::{MessageId, RunId},
        phone::E164,
    },
    provider::About,
};

/// The tag of a call that carries these.
pub(super) fn write(carried: &[MessageId]) -> String {
    match carried {
        [only] => only.to_string(),
        several => {
            let places = || several.iter().map(|id| id.seq);
            let run = several.first().map(|id| id.run.to_string()).unwrap_or_default();
            format!("{run}_{}_{}", places().min().unwrap_or_default(), places().max().unwrap_or_default())
        }
    }
}

/// Whom a report with this tag is about.
pub(super) fn read(tag: &str, to: Option<E164>) -> About {
    match (tag.parse(), to) {
        (Ok(id), _) => About::Message(id),
        (Err(_), Some(to)) => among(tag, to).unwrap_or(About::Unknown),
        (Err(_), None) => About::Unknown,
    }
}

fn among(tag: &str, to: E164) -> Option<About> {
    let (rest, last) = tag.rsplit_once('_')?;
    let (run, first) = rest.rsplit_once('_')?;
    let place = |digits: &str| -> Option<i64> {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| plain)
    };
    let (run, first, last): (RunId, i64, i64) = (run.parse().ok()?, place(first)?, place(last)?);
    (first <= last).then_some(About::Among { run, first, last, to })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::provider::acs::testing;

    fn id(seq: i64) -> MessageId {
        MessageId { run: testing::run(), seq }
    }

    #[test]
    fn a_tag_leads_back_to_its_messages() {
        let (run, to) = (testing::run(), testing::number(12));
        assert_eq!(read(&write(&[id(12)]), None), About::Message(id(12)));
        assert_eq!(write(&[id(12), id(14), id(57)]), format!("{run}_12_57"));
        assert_eq!(read(&format!("{run}_12_57"), Some(to)), About::Among { run, first: 12, last: 57, to });
    }

    #[test]
    fn what_is_no_tag_of_ours_is_about_nobody_known() {
        let (run, to) = (testing::run(), Some(testing::number(12)));
        for tag in [
            String::new(),
            "camp-1".into(),
            run.to_string(),
            format!("{run}_1"),
            format!("{run}_57_12"),
            format!("{run}_+1_2"),
            format!("{run}__2"),
            "run_1_2".into(),
        ] {
            assert_eq!(read(&tag, to), About::Unknown, "{tag}");
        }
        assert_eq!(read(&format!("{run}_12_57"), None), About::Unknown);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_written_is_read(text in "\\PC{0,50}", first in 1..1000i64, more in 1..100i64) {
            let _any = read(&text, Some(testing::number(1)));
            let to = testing::number(first);
            let found = read(&write(&[id(first), id(first + more)]), Some(to));
            prop_assert_eq!(found, About::Among { run: testing::run(), first, last: first + more, to });
        }
    }
}
