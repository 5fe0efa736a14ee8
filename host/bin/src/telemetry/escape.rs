//! Log lines that are lines: what requesters and guests say may hold anything.

use std::{borrow::Cow, fmt::Write as _};

/// How a line was formatted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// For people; with colors, which are the formatter's own escapes.
    Text { colors: bool },
    /// One JSON object.
    Json,
}

/// What follows an escape where the formatter sets a color. A value that sets one as well hides nothing by it.
const COLORS: [&str; 9] = ["[0m", "[1m", "[2m", "[3m", "[31m", "[32m", "[33m", "[34m", "[35m"];

/// Escapes what would end the line early or do something to a terminal. The line's own end stays.
pub(super) fn escape(line: &str, format: Format) -> Cow<'_, str> {
    let (text, end) = line.strip_suffix('\n').map_or((line, ""), |text| (text, "\n"));
    // Most lines are plain: looked at as bytes, they are not decoded.
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(line);
    }
    let mut escaped = String::with_capacity(line.len() + 32);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let sets_color = || COLORS.iter().any(|color| chars.as_str().starts_with(color));
        match format {
            _ if !is_active(c) => escaped.push(c),
            Format::Text { colors: true } if c == '\u{1b}' && sets_color() => escaped.push(c),
            // In JSON all others are escaped already. None is beyond what four digits hold.
            Format::Json => write!(escaped, "\\u{:04x}", u32::from(c)).unwrap_or_default(),
            Format::Text { .. } => escaped.extend(c.escape_default()),
        }
    }
    escaped.push_str(end);
    Cow::Owned(escaped)
}

/// Tells characters that do something from those that are seen: control characters, ends of lines, and those that
/// change the direction of text.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_and_does_nothing_to_a_terminal() {
        let text = Format::Text { colors: false };
        for (line, escaped) in [
            ("plain\n", "plain\n"),
            ("größer 日本\n", "größer 日本\n"),
            ("a\nERROR forged\n", "a\\nERROR forged\n"),
            ("a\r\0\t\n", "a\\r\\u{0}\\t\n"),
            ("\u{1b}[2J\u{9b}1m\u{7f}\n", "\\u{1b}[2J\\u{9b}1m\\u{7f}\n"),
            ("\u{202e}txt\u{2028}\n", "\\u{202e}txt\\u{2028}\n"),
            ("no end", "no end"),
        ] {
            assert_eq!(escape(line, text), escaped);
        }
        assert_eq!(
            escape("\u{1b}[31mERROR\u{1b}[0m a\nb\n", Format::Text { colors: true }),
            "\u{1b}[31mERROR\u{1b}[0m a\\nb\n"
        );
    }

    #[test]
    fn of_escapes_only_those_of_the_formatter_stay() {
        for (line, escaped) in
            [("\u{1b}[31m\u{1b}[2J\n", "\u{1b}[31m\\u{1b}[2J\n"), ("\u{1b}[8mhidden\u{1b}", "\\u{1b}[8mhidden\\u{1b}")]
        {
            assert_eq!(escape(line, Format::Text { colors: true }), escaped);
        }
    }

    #[test]
    fn json_stays_json() {
        assert_eq!(
            escape("{\"a\":\"\u{9b}\u{7f}\u{202e}\\n\"}\n", Format::Json),
            "{\"a\":\"\\u009b\\u007f\\u202e\\n\"}\n"
        );
    }
}
