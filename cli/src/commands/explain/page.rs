//! A page of Markdown, as a terminal shows it.

use crate::table::{Layout, Table};

/// Widest that text is made.
const WIDTH_MAX: usize = 100;

/// Renders a page. `strong` shows what is strong.
pub(super) fn render(markdown: &str, layout: Layout, strong: impl Fn(&str) -> String) -> String {
    let width = layout.columns.unwrap_or(80).min(WIDTH_MAX);
    let layout = Layout { columns: Some(width), ..layout };
    let mut text = String::new();
    let mut paragraph = String::new();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut is_code = false;
    for line in markdown.lines().chain([""]) {
        if !line.starts_with('|') && !rows.is_empty() {
            text.push_str(&table(&std::mem::take(&mut rows), layout));
        }
        let begins = line.trim_start();
        let ends_paragraph =
            is_code || begins.is_empty() || ["#", "|", "```", "- "].iter().any(|mark| begins.starts_with(mark));
        if ends_paragraph && !paragraph.is_empty() {
            text.push_str(&filled(&plain(&std::mem::take(&mut paragraph)), width));
        }
        if begins.starts_with("```") {
            is_code = !is_code;
        } else if is_code {
            text.push_str(&format!("    {line}\n"));
        } else if let Some(title) = line.strip_prefix('#') {
            text.push_str(&format!("{}\n", strong(&plain(title.trim_start_matches('#').trim()))));
        } else if line.starts_with('|') {
            rows.push(line.trim_matches('|').split(" | ").map(|cell| plain(cell.trim())).collect());
        } else if begins.is_empty() {
            if !text.is_empty() && !text.ends_with("\n\n") {
                text.push('\n');
            }
        } else {
            let gap = if paragraph.is_empty() { "" } else { " " };
            paragraph.push_str(gap);
            paragraph.push_str(begins);
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// Takes away the marks of code, of what is strong, and of links, whose target only a browser needs.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        match after.split_once("](").and_then(|(name, target)| Some((name, target.split_once(')')?.1))) {
            Some((name, behind)) if !name.contains('[') => {
                plain.push_str(name);
                rest = behind;
            }
            _ => {
                plain.push('[');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain.replace("**", "").replace('`', "")
}

/// Breaks a paragraph between words; what follows a list's mark stands below its beginning.
fn filled(paragraph: &str, width: usize) -> String {
    let indent = if paragraph.starts_with("- ") { "  " } else { "" };
    let mut text = String::new();
    let mut len = 0;
    for word in paragraph.split_whitespace() {
        let size = word.chars().count();
        if len > 0 && len + 1 + size > width {
            text.push('\n');
            text.push_str(indent);
            len = indent.len();
        } else if len > 0 {
            text.push(' ');
            len += 1;
        }
        text.push_str(word);
        len += size;
    }
    text.push('\n');
    text
}

/// Writes a table: titles, a line of dashes, and rows.
fn table(rows: &[Vec<String>], layout: Layout) -> String {
    let Some((titles, rows)) = rows.split_first() else { return String::new() };
    let is_line = |row: &&Vec<String>| row.iter().all(|cell| cell.chars().all(|c| c == '-' || c == ':' || c == '|'));
    let rows: Vec<_> = rows.iter().filter(|row| !is_line(row)).cloned().collect();
    let mut table = Table::new();
    for (at, title) in titles.iter().enumerate() {
        table = table.column(title.clone(), move |row: &Vec<String>| row.get(at).cloned().unwrap_or_default());
    }
    table.render(&rows, layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_markup_is_left() {
        let markdown = "# `a_code`\n\nSee [the `page`](page.md), **now**,\nand `[x]`.\n\n- one\n  more\n- two\n\n\
                        | code | what |\n|---|---|\n| [`a`](a.md) | b |\n\n```json\n{\"a\": 1}\n```\n";
        let text = render(markdown, Layout::default(), str::to_uppercase);
        let expected =
            "A_CODE\n\nSee the page, now, and [x].\n\n- one more\n- two\n\nCODE  WHAT\na     b\n\n    {\"a\": 1}";
        assert_eq!(text, expected);
    }

    #[test]
    fn lines_fit_the_terminal() {
        let text =
            render(&format!("- {}", "word ".repeat(40)), Layout { columns: Some(40), full_ids: false }, str::to_owned);
        assert!(text.lines().all(|line| line.len() <= 40) && text.contains("\n  word"), "{text}");
    }
}
