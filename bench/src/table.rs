//! A table of results, for people or for programs.

use std::fmt;

use serde_json::{Value, json};

/// One measured row: who, under what, and named figures in the order of the table's columns.
pub(crate) struct Row {
    pub(crate) contestant: String,
    pub(crate) under: String,
    pub(crate) figures: Vec<f64>,
}

/// Rows of the same kind of measurement.
pub(crate) struct Table {
    pub(crate) title: String,
    /// Name and digits after the point of each figure.
    pub(crate) columns: Vec<(&'static str, usize)>,
    pub(crate) rows: Vec<Row>,
    pub(crate) notes: Vec<String>,
}

impl Table {
    pub(crate) fn to_json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(|row| self.row_to_json(row)).collect();
        json!({ "title": self.title, "rows": rows, "notes": self.notes })
    }

    fn row_to_json(&self, row: &Row) -> Value {
        let mut json = json!({ "contestant": row.contestant, "under": row.under });
        for ((name, _), figure) in self.columns.iter().zip(&row.figures) {
            json[*name] = json!(figure);
        }
        json
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        write!(f, "{:<34} {:<20}", "", "")?;
        for (name, _) in &self.columns {
            write!(f, " {name:>14}")?;
        }
        writeln!(f)?;
        let mut last = "";
        for row in &self.rows {
            if row.under != last && !last.is_empty() {
                writeln!(f)?;
            }
            last = &row.under;
            write!(f, "{:<34} {:<20}", row.contestant, row.under)?;
            for ((_, digits), figure) in self.columns.iter().zip(&row.figures) {
                write!(f, " {figure:>14.digits$}")?;
            }
            writeln!(f)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))
    }
}
