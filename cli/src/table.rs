//! Tables for people: columns as wide as they must be, nothing but spaces between.

/// How one column gets its text.
type Cell<'a, T> = Box<dyn Fn(&T) -> String + 'a>;

/// A table over items of one type.
pub(crate) struct Table<'a, T> {
    columns: Vec<(&'static str, Cell<'a, T>)>,
}

impl<'a, T> Table<'a, T> {
    pub(crate) const fn new() -> Self {
        Self { columns: Vec::new() }
    }

    /// Adds a column.
    pub(crate) fn column(mut self, title: &'static str, cell: impl Fn(&T) -> String + 'a) -> Self {
        self.columns.push((title, Box::new(cell)));
        self
    }

    /// Writes titles and one line for each item.
    pub(crate) fn render(&self, items: &[T]) -> String {
        let titles: Vec<String> = self.columns.iter().map(|(title, _)| title.to_uppercase()).collect();
        let rows = items.iter().map(|item| self.columns.iter().map(|(_, cell)| one_line(&cell(item))).collect());
        render(&std::iter::once(titles).chain(rows).collect::<Vec<Vec<String>>>())
    }
}

/// Writes names and values, the values below each other.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let rows: Vec<_> = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| vec![format!("{name}:"), one_line(value)])
        .collect();
    render(&rows)
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
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn render(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_control_characters_stay_out() {
        let table =
            Table::new().column("name", |item: &&str| (*item).to_owned()).column("len", |item| item.len().to_string());
        assert_eq!(table.render(&["a", "long\u{1b}[31m"]), "NAME       LEN\na          1\nlong\u{fffd}[31m  9\n");
        assert_eq!(one_line("a\nb\u{202e}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(printable("a\nb\u{1b}]0;c\u{7}\n"), "a\nb\u{fffd}]0;c\u{fffd}\n");
        assert_eq!(pairs(&[("a", "1".into()), ("none", String::new()), ("bcd", "2".into())]), "a:    1\nbcd:  2\n");
    }
}
