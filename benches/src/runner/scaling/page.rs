//! The part of docs/scaling.md that comes from numbers.

use super::results::Results;
use super::{million, table};

const BEGIN: &str = "<!-- bench:scaling-tables -->";
const END: &str = "<!-- end of bench:scaling-tables -->";

/// Everything between the markers.
pub(super) fn text(results: &Results) -> String {
    format!("{}\n\n{}\n{}", results.setting(), table::measured(results), million::extrapolated(results))
}

/// The page with another text between its markers. `None` if it has none.
pub(super) fn replace(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{text}\n{END}{after}"))
}

/// A number with a space between thousands.
pub(super) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A number with as many digits as mean something: three, where there is a point.
pub(super) fn rounded(number: f64) -> String {
    match number.abs() {
        small if small < 10.0 => format!("{number:.2}"),
        middle if middle < 100.0 => format!("{number:.1}"),
        _ => grouped(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let page = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let once = replace(&page, "new\n").unwrap();
        assert_eq!(once, format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"));
        assert_eq!(replace(&once, "new\n").unwrap(), once);
        assert_eq!(replace("no markers", "new"), None);
    }

    #[test]
    fn numbers_have_as_many_digits_as_mean_something() {
        assert_eq!(
            (grouped(18_000.0), grouped(999.6), grouped(7.0)),
            ("18 000".into(), "1 000".into(), "7".into())
        );
        assert_eq!(
            (rounded(4.456), rounded(44.56), rounded(4456.2)),
            ("4.46".into(), "44.6".into(), "4 456".into())
        );
    }
}
