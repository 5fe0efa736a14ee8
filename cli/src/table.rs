//! Tables for people: columns as wide as they must be, nothing but spaces between.

use std::borrow::Cow;

/// How one column gets its text.
type Cell<'a, T> = Box<dyn Fn(&T) -> String + 'a>;

/// How many letters of a key are shown: more than enough to tell apart all there are, and taken wherever one is named.
const SHORT_LEN: usize = 12;

/// What a column keeps when a table is made to fit.
const WIDTH_MIN: usize = 12;

/// Spaces between two columns.
const GAP: &str = "  ";

/// How tables look.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Layout {
    /// The terminal's width, when there is one.
    pub(crate) columns: Option<usize>,
    /// Whether keys are shown whole.
    pub(crate) full_ids: bool,
}

impl Layout {
    /// Shortens every key in a text, unless they are to be shown whole.
    pub(crate) fn ids(self, text: &str) -> String {
        if self.full_ids { text.to_owned() } else { short(text) }
    }
}

/// Shortens every key in a text.
pub(crate) fn short(text: &str) -> String {
    let is_end = |c: char| !c.is_ascii_alphanumeric();
    let shortened = text.split_inclusive(is_end).map(|part| {
        let word = part.trim_end_matches(is_end);
        match (word.get(..SHORT_LEN), part.get(word.len()..)) {
            (Some(begin), Some(end)) if is_key(word) => format!("{begin}{end}"),
            _ => part.to_owned(),
        }
    });
    shortened.collect()
}

/// Returns whether a word is a public key, by its form.
pub(crate) fn is_key(word: &str) -> bool {
    word.len() == 56 && word.starts_with(['A', 'C', 'M', 'N', 'O', 'U', 'V']) && is_base32(word)
}

pub(crate) fn is_base32(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte))
}

/// A table over items of one type.
pub(crate) struct Table<'a, T> {
    columns: Vec<Column<'a, T>>,
}

struct Column<'a, T> {
    title: Cow<'static, str>,
    cell: Cell<'a, T>,
    is_whole: bool,
}

impl<'a, T> Table<'a, T> {
    pub(crate) const fn new() -> Self {
        Self { columns: Vec::new() }
    }

    /// Adds a column, in which keys are shortened.
    pub(crate) fn column(self, title: impl Into<Cow<'static, str>>, cell: impl Fn(&T) -> String + 'a) -> Self {
        self.with(Column { title: title.into(), cell: Box::new(cell), is_whole: false })
    }

    /// Adds a column of keys that are there to be copied.
    pub(crate) fn whole_column(self, title: impl Into<Cow<'static, str>>, cell: impl Fn(&T) -> String + 'a) -> Self {
        self.with(Column { title: title.into(), cell: Box::new(cell), is_whole: true })
    }

    fn with(mut self, column: Column<'a, T>) -> Self {
        self.columns.push(column);
        self
    }

    /// Writes titles and one line for each item; where the terminal is too narrow, more lines, or a block.
    pub(crate) fn render(&self, items: &[T], layout: Layout) -> String {
        let titles: Vec<String> = self.columns.iter().map(|column| column.title.to_uppercase()).collect();
        let cell = |column: &Column<'a, T>, item| {
            let text = one_line(&(column.cell)(item));
            if column.is_whole { text } else { layout.ids(&text) }
        };
        let row = |item| self.columns.iter().map(|column| cell(column, item)).collect();
        let rows: Vec<Vec<String>> = std::iter::once(titles).chain(items.iter().map(row)).collect();
        match (layout.columns, rows.split_first()) {
            (Some(columns), Some((titles, items))) if least(&rows) > columns => blocks(titles, items, columns),
            _ => render(&rows, layout.columns),
        }
    }
}

/// Writes names and values, the values below each other.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let rows: Vec<_> = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| vec![format!("{name}:"), one_line(value)])
        .collect();
    render(&rows, None)
}

/// What comes from modules and hosts may hold anything; in a terminal it must stay in its cell.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_active(c) { '\u{fffd}' } else { c }).collect()
}

/// The same of a text of several lines.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_active(c) && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// Tells characters that do something in a terminal from those that are seen: control characters, ends of lines, and
/// those that change the direction of text.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    (0..count).map(|column| width(column).unwrap_or(0)).collect()
}

/// Returns the width below which a table cannot be made to fit.
fn least(rows: &[Vec<String>]) -> usize {
    let widths = widths(rows);
    widths.iter().map(|width| *width.min(&WIDTH_MIN)).sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

/// Writes each row as a block of its own, a line for each cell that is not empty.
fn blocks(titles: &[String], rows: &[Vec<String>], columns: usize) -> String {
    let block = |row: &Vec<String>| {
        let cells = titles.iter().zip(row).filter(|(_, cell)| !cell.is_empty());
        let lines: Vec<_> =
            cells.map(|(title, cell)| vec![format!("{}:", title.to_lowercase()), cell.clone()]).collect();
        render(&lines, Some(columns))
    };
    rows.iter().map(block).collect::<Vec<_>>().join("\n")
}

fn render(rows: &[Vec<String>], columns: Option<usize>) -> String {
    let mut widths = widths(rows);
    if let Some(columns) = columns {
        fit(&mut widths, columns);
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| wrap(cell, *width)).collect();
        for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let part = |cell: &Vec<String>| cell.get(line).cloned().unwrap_or_default();
            let parts: Vec<_> =
                cells.iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", part(cell))).collect();
            text.push_str(parts.join(GAP).trim_end());
            text.push('\n');
        }
    }
    text
}

/// Takes from the widest columns what is too much.
fn fit(widths: &mut [usize], columns: usize) {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > columns {
        match widths.iter_mut().max() {
            Some(widest) if *widest > WIDTH_MIN => *widest -= 1,
            _ => return,
        }
    }
}

/// Parts a cell into lines, between words where it can.
fn wrap(cell: &str, width: usize) -> Vec<String> {
    let mut rest: Vec<char> = cell.chars().collect();
    let mut lines = Vec::new();
    while rest.len() > width.max(1) {
        let space = rest.iter().take(width + 1).rposition(|c| *c == ' ').filter(|at| *at > 0);
        let (end, skipped) = space.map_or((width.max(1), 0), |at| (at, 1));
        let tail = rest.split_off(end);
        lines.push(rest.into_iter().collect());
        rest = tail.into_iter().skip(skipped).collect();
    }
    lines.push(rest.into_iter().collect());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_control_characters_stay_out() {
        let table =
            Table::new().column("name", |item: &&str| (*item).to_owned()).column("len", |item| item.len().to_string());
        assert_eq!(
            table.render(&["a", "long\u{1b}[31m"], Layout::default()),
            "NAME       LEN\na          1\nlong\u{fffd}[31m  9\n"
        );
        assert_eq!(one_line("a\nb\u{202e}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(printable("a\nb\u{1b}]0;c\u{7}\n"), "a\nb\u{fffd}]0;c\u{fffd}\n");
        assert_eq!(pairs(&[("a", "1".into()), ("none", String::new()), ("bcd", "2".into())]), "a:    1\nbcd:  2\n");
    }

    #[test]
    fn keys_are_shortened_and_nothing_else() {
        let key = format!("M{}", "AB2CD".repeat(11));
        let text = format!("{key} -> store ({key}), {key}A, file:///x/{key}.wasm");
        let begin = "MAB2CDAB2CDA";
        assert_eq!(short(&text), format!("{begin} -> store ({begin}), {key}A, file:///x/{begin}.wasm"));
        assert_eq!(Layout { full_ids: true, ..Layout::default() }.ids(&text), text);
        let table = Table::new().column("id", |key: &String| key.clone()).whole_column("key", String::clone);
        assert_eq!(
            table.render(std::slice::from_ref(&key), Layout::default()),
            format!("ID            KEY\n{begin}  {key}\n")
        );
    }

    #[test]
    fn a_table_fits_its_terminal() {
        let table = Table::new()
            .column("name", |_: &()| "quiet-reed".to_owned())
            .column("contracts", |()| "wasmcloud:keyvalue wascc:keyvalue".to_owned())
            .column("reference", |()| "x".repeat(30));
        let text = table.render(&[()], Layout { columns: Some(50), full_ids: false });
        assert!(text.lines().all(|line| line.chars().count() <= 50), "{text}");
        let plain: String = text.split_whitespace().collect();
        for whole in ["quiet-reed", "wasmcloud:keyvalue", "wascc:keyvalue"] {
            assert!(text.contains(whole), "{text}");
        }
        assert_eq!(plain.matches('x').count(), 30, "{text}");
    }
}
