//! The JSON check, and how it compares with two other parsers over texts that are nearly JSON.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::de::IgnoredAny;
use tidegate_core::limits::JSON_DEPTH_MAX;
use tidegate_core::socket_io::json::{JsonError, validate, validate_list};

const VALID: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "10",
    "-1.5",
    "0.001",
    "1e5",
    "1E-05",
    "0e+0",
    "-12.34e56",
    "1e400",
    "123456789012345678901234567890",
    r#""""#,
    r#""a""#,
    r#""\"\\\/\b\f\n\r\t\u0000\uABCD\uabcd""#,
    r#""\ud800""#,
    r#""\udc00\ud800""#,
    "\"é€😀\u{7f}\u{2028}\"",
    "[]",
    "{}",
    "[[],{},[{}]]",
    r#"[1,"2",{"3":[true]},null]"#,
    r#"{"a":1,"a":2,"__proto__":{},"":0}"#,
    " \t\r\n[ 1 , 2 ] \n",
    r#"{ "a" : [ ] , "b" : { } }"#,
    r#"["a string of more than thirty-two bytes, so that it is read in blocks\n, and then some more of it"]"#,
    r#"["message",{"id":37,"user":"user-1","text":"how are you?","ok":true,"pos":[3,-4.5]}]"#,
];

/// One group per line: nothing, numbers, words, strings, brackets, objects, more than one value, white space.
const INVALID: &[&[&str]] = &[
    &["", " ", "\u{0}"],
    &["-", "+1", "01", "-01", "1.", ".5", "1.e5", "1e", "1e+", "0x1", "1_0", "NaN", "Infinity", "-Infinity"],
    &["undefined", "nul", "truE", "nulll", "t"],
    &[
        "\"",
        "\"a",
        "'a'",
        r#""\""#,
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        "\"\n\"",
        "\"\t\"",
        "\"\0\"",
        "\"\u{1f}\"",
    ],
    &[
        "\"a string of more than thirty-two bytes with a raw\ttab in it\"",
        "\"one of thirty-two that never ends",
    ],
    &["[", "]", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1 2]", "[1}", "[[]", "[]]", "[\0]"],
    &[
        "{",
        "}",
        "{]",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        "{a:1}",
        "{1:2}",
        r#"{"a":1]"#,
    ],
    &["true false", "[] []", "1,2", "1\0", "//x", "1//x"],
    &["\u{a0}1", "1\u{a0}", "\u{feff}1", "[1\u{b}]", "\u{c}1"],
];

#[test]
fn texts_that_json_parse_takes_are_valid() {
    for text in VALID {
        assert_eq!(validate(text), Ok(()), "{text}");
    }
}

#[test]
fn texts_that_json_parse_refuses_are_invalid() {
    for text in INVALID.iter().copied().flatten() {
        assert!(matches!(validate(text), Err(JsonError::Syntax { .. })), "{text}");
    }
}

#[test]
fn an_error_points_at_the_first_byte_that_cannot_be_there() {
    let texts =
        [("", 0), ("[1,]", 3), ("[1 2]", 3), (r#"{"a" 1}"#, 5), (r#""\u12g4""#, 5), ("1.x", 2), ("[}", 1)];
    for (text, at) in texts {
        assert_eq!(validate(text), Err(JsonError::Syntax { at }), "{text}");
    }
}

#[test]
fn brackets_nest_to_the_limit_and_no_further() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"a":"#, "}]")] {
        let brackets = close.len();
        for depth in [2, 62, 64, 66, 128, 130, JSON_DEPTH_MAX, JSON_DEPTH_MAX + 2, 100_000] {
            let nested = open.repeat(depth / brackets) + "1" + &close.repeat(depth / brackets);
            let expected = if depth <= JSON_DEPTH_MAX { Ok(()) } else { Err(JsonError::TooDeep) };
            assert_eq!(validate(&nested), expected, "{depth} of {open}");
        }
    }
    assert!(validate(&"[".repeat(JSON_DEPTH_MAX)).is_err());
    assert_eq!(validate(&"[".repeat(JSON_DEPTH_MAX + 1)), Err(JsonError::TooDeep));
}

#[test]
fn a_closing_bracket_must_fit_its_opening_one_at_every_depth() {
    let is_array = |level: usize| level.is_multiple_of(3);
    let open: String = (0..200).map(|level| if is_array(level) { "[" } else { r#"{"k":"# }).collect();
    let closing = |wrong: Option<usize>| -> String {
        let bracket = |level| if is_array(level) == (wrong != Some(level)) { ']' } else { '}' };
        (0..200).rev().map(bracket).collect()
    };
    assert_eq!(validate(&format!("{open}0{}", closing(None))), Ok(()));
    for wrong in 0..200 {
        assert!(validate(&format!("{open}0{}", closing(Some(wrong)))).is_err(), "level {wrong}");
    }
}

#[test]
fn a_list_is_values_with_commas_between_them() {
    for list in ["", " ", "1", "1,2", r#" "a" , [] "#] {
        assert_eq!(validate_list(list), Ok(()), "{list}");
    }
    for list in [",", "1,", ",1", "1 2", "]", "1]"] {
        assert!(validate_list(list).is_err(), "{list}");
    }
}

/// Changes, drops, doubles or inserts a few characters, with a taste for those that matter to JSON.
fn mutate(text: &str, random: &mut ChaCha8Rng) -> String {
    const PALETTE: &str = "\"\\[]{},:-+.019eEuntf \t\n\r\0\u{1f}\u{7f}\u{a0}é😀/bd8";
    let palette: Vec<char> = PALETTE.chars().collect();
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=random.next_u32() % 3 {
        let at = random.next_u32() as usize % (chars.len() + 1);
        let char = palette[random.next_u32() as usize % palette.len()];
        match random.next_u32() % 4 {
            0 if at < chars.len() => chars[at] = char,
            1 if at < chars.len() => _ = chars.remove(at),
            2 if at < chars.len() => chars.insert(at, chars[at]),
            _ => chars.insert(at, char),
        }
    }
    chars.into_iter().collect()
}

#[test]
fn other_parsers_agree_on_texts_that_are_nearly_json() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut buffers = simd_json::Buffers::new(256);
    let (mut valid, mut invalid) = (0, 0);
    for _ in 0..4_000 {
        for seed in VALID {
            let text = mutate(seed, &mut random);
            let ours = validate(&text).is_ok();
            // Skipping a value, serde_json takes what JSON.parse takes.
            assert_eq!(ours, serde_json::from_str::<IgnoredAny>(&text).is_ok(), "{text:?}");
            // simd-json reads the values too, so it refuses lone surrogates and numbers out of range.
            let mut bytes = text.clone().into_bytes();
            if simd_json::to_tape_with_buffers(&mut bytes, &mut buffers).is_ok() {
                assert!(ours, "simd-json takes {text:?}");
            }
            *(if ours { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert!(valid > 10_000 && invalid > 10_000, "{valid} valid and {invalid} invalid texts prove little");
}
