//! What a call carries along so that its reports find their messages: `tag`, which Azure repeats in each.
//!
//! It must be the same in every try of a message, for it is a part of what a repeated try must not differ in; so it cannot say what
//! shares the call. A message that is alone in its request is named by its id. Those of a larger request are named by their run and
//! the places of the request's first and last message, and then a report says which by its recipient.

use crate::{
    domain::{
        id::{MessageId, RunId},
        phone::E164,
    },
    provider::About,
};

/// The tag of a message with those of its request.
pub(super) fn write(id: MessageId, (first, last): (i64, i64)) -> String {
    if first == last { id.to_string() } else { format!("{}_{first}_{last}", id.run) }
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
        assert_eq!(read(&write(id(12), (12, 12)), None), About::Message(id(12)));
        assert_eq!(write(id(14), (12, 57)), format!("{run}_12_57"));
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
            let found = read(&write(id(first), (first, first + more)), Some(to));
            prop_assert_eq!(found, About::Among { run: testing::run(), first, last: first + more, to });
        }
    }
}
