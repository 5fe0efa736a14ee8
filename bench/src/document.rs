//! A run's figures and plots in a page of the documentation.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{goals::Goals, plots, record::Record};

const BEGIN: &str = "<!-- figures: written by `cargo xtask bench --show RUN --into PAGE` -->\n";
const END: &str = "<!-- figures: end -->\n";

/// Puts the run's goals, tables and plots between the page's two marks. Plots go to a folder named like the page.
pub(crate) fn put(record: &Record, page: &Path) -> Result<()> {
    let text = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let folder = page.with_extension("");
    fs::create_dir_all(&folder)?;
    let mut figures = format!("\n```text\n{}\n{}```\n", record.heading(), Goals(record));
    for (name, file) in plots::draw_into(record, &folder)? {
        let beside = file.strip_prefix(page.parent().context("a page without a folder")?)?.display().to_string();
        figures.push_str(&format!("\n![{name}]({beside})\n"));
    }
    let tables: Vec<String> = record.scenarios.iter().map(ToString::to_string).collect();
    figures.push_str(&format!("\n```text\n{}```\n\n", tables.join("\n")));
    let page_text = between(&text, &figures).with_context(|| format!("{} lacks the two marks", page.display()))?;
    Ok(fs::write(page, page_text)?)
}

fn between(text: &str, figures: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    // Blanks at the ends of lines are columns nobody filled.
    let figures: String = figures.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    Some(format!("{before}{BEGIN}{figures}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let page = format!("# A\n{BEGIN}old\n{END}after\n");
        assert_eq!(between(&page, "new  \n").unwrap(), format!("# A\n{BEGIN}new\n{END}after\n"));
        assert_eq!(between("# A\n", "new"), None);
    }
}
