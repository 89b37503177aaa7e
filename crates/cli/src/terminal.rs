//! Text of others on a terminal.

use std::fmt::Write as _;

/// Returns a text in which every character is visible: control characters and characters that change the
/// direction of text are escaped, so that a file cannot control the terminal that shows its content.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\'' | '"' | '\\' => visible.push(character),
            // Writing to a string does not fail.
            other => drop(write!(visible, "{}", other.escape_debug())),
        }
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_invisible_characters_are_escaped() {
        let plain = r#"it's "plain" \ text: é 漢 🙂"#;
        assert_eq!(visible(plain), plain);
        let cases = [
            ("a\u{1b}[31mb", r"a\u{1b}[31mb"),
            ("a\r\nb\t", r"a\r\nb\t"),
            ("\u{7}\u{9b}\u{0}", r"\u{7}\u{9b}\0"),
            ("\u{202e}txt", r"\u{202e}txt"),
        ];
        for (text, expected) in cases {
            assert_eq!(visible(text), expected);
        }
    }
}
