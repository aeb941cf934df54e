//! What is wrong with a file, in words.

use super::*;

#[test]
fn problems_are_sentences() {
    let table = [
        (
            RowProblem::new(17, "Phone Number", "12", RowProblemKind::InvalidNumber(NumberProblem::TooShort)),
            "line 17, column Phone Number: \"12\" is too short for its country",
        ),
        (
            RowProblem::new(3, "CaseName", " ", RowProblemKind::MissingSlug),
            "line 3, column CaseName: is empty; the template needs a value here",
        ),
        (
            RowProblem::new(9, "", "", RowProblemKind::WrongFieldCount { expected: 6, found: 1 }),
            "line 9: the row has 1 field; the header has 6",
        ),
        (
            RowProblem::new(2, "x", "a\u{1b}[31m\nb", RowProblemKind::TemplateFailed),
            "line 2, column x: \"a [31m b\" cannot be used by the template",
        ),
    ];
    for (problem, sentence) in table {
        assert_eq!(problem.to_string(), sentence);
    }
    let long = RowProblem::new(2, "x", &"é".repeat(500), RowProblemKind::InvalidLocale);
    assert_eq!(long.value.chars().count(), SHOWN + 1);
}
