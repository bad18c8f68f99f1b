//! What a user may call themselves, say, and how often. The page has the same limits; only these count.

use std::time::{Duration, Instant};

/// Longest nickname, in characters.
pub(crate) const NICKNAME_CHARS_MAX: usize = 32;
/// Longest message, in characters.
pub(crate) const TEXT_CHARS_MAX: usize = 2000;
/// What one message uses up of a user's time: five a second can go on for ever.
const MESSAGE_COST: Duration = Duration::from_millis(200);
/// How far ahead of that a user may be: about twenty messages at once.
const BURST: Duration = Duration::from_secs(4);

/// Why the server did not do what a user asked. The text is for the user's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Empty, too long, or not a string.
    #[error("A nickname has 1 to 32 characters.")]
    NicknameLength,
    /// Line breaks and the like, or letters that turn the direction of the text around them.
    #[error("A nickname cannot have control characters.")]
    NicknameControl,
    /// Empty, too long, or not a string.
    #[error("A message has 1 to 2000 characters.")]
    TextLength,
    /// More messages than anybody could read.
    #[error("Slow down a little: your message was not sent.")]
    TooFast,
    /// Spoke before coming in.
    #[error("Choose a nickname first.")]
    NotInside,
}

/// The nickname a user gets, without the space around it.
///
/// # Errors
/// The length, or characters that could make a line of the page look like another.
pub(crate) fn nickname(wanted: &str) -> Result<&str, Refusal> {
    let name = wanted.trim();
    if !within(name, NICKNAME_CHARS_MAX) {
        return Err(Refusal::NicknameLength);
    }
    if name.chars().any(|c| c.is_control() || turns_text(c)) {
        return Err(Refusal::NicknameControl);
    }
    Ok(name)
}

/// The text everybody gets, without the space around it.
///
/// # Errors
/// The length.
pub(crate) fn text(said: &str) -> Result<&str, Refusal> {
    let text = said.trim();
    if within(text, TEXT_CHARS_MAX) { Ok(text) } else { Err(Refusal::TextLength) }
}

/// At least one character and at most `chars_max`, without counting through a megabyte of them.
fn within(text: &str, chars_max: usize) -> bool {
    !text.is_empty() && text.chars().nth(chars_max).is_none()
}

/// Unicode's explicit directional formatting characters (UAX #9 §2).
fn turns_text(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
}

/// How much one user may still say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quota {
    /// When everything said so far is paid for.
    paid_at: Option<Instant>,
}

impl Quota {
    /// Whether one more message is all right at this time; if so, it counts.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let start = self.paid_at.map_or(now, |paid_at| paid_at.max(now));
        if start.duration_since(now) > BURST {
            return false;
        }
        self.paid_at = Some(start + MESSAGE_COST);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nickname_is_trimmed_and_has_1_to_32_characters() {
        assert_eq!(nickname("  Marina "), Ok("Marina"));
        assert_eq!(nickname(&"é".repeat(32)), Ok("é".repeat(32).as_str()));
        assert_eq!(nickname(&"é".repeat(33)), Err(Refusal::NicknameLength));
        assert_eq!(nickname(" \t\n "), Err(Refusal::NicknameLength));
    }

    #[test]
    fn a_nickname_cannot_forge_another_line() {
        for name in ["a\nb", "a\u{0}b", "a\u{202e}b", "a\u{2067}b"] {
            assert_eq!(nickname(name), Err(Refusal::NicknameControl), "{name:?}");
        }
    }

    #[test]
    fn a_message_has_1_to_2000_characters_and_may_have_lines() {
        assert_eq!(text(" a\nb "), Ok("a\nb"));
        assert_eq!(text("   "), Err(Refusal::TextLength));
        assert!(text(&"😀".repeat(2000)).is_ok());
        assert_eq!(text(&"x".repeat(2001)), Err(Refusal::TextLength));
    }

    #[test]
    fn a_user_may_say_twenty_things_at_once_and_then_five_a_second() {
        let mut quota = Quota::default();
        let start = Instant::now();
        let at_once = (0..1000).filter(|_| quota.take(start)).count();
        assert_eq!(at_once, 21);
        let minute = (1..=60_000).filter(|&ms| quota.take(start + Duration::from_millis(ms))).count();
        assert_eq!(minute, 300);
    }

    #[test]
    fn a_user_who_was_silent_has_the_whole_burst_again_but_no_more() {
        let mut quota = Quota::default();
        let now = Instant::now();
        for start in [0, 100, 1000].map(|seconds| now + Duration::from_secs(seconds)) {
            assert_eq!((0..100).filter(|_| quota.take(start)).count(), 21);
        }
    }
}
