//! Each error code has a page in `docs/errors`, and each page a code.
//!
//! Codes are the snake_case literals inside functions called `code`. That is a convention rather than a proof, and it
//! holds because the functions are plain `match`es.

use std::collections::{BTreeMap, BTreeSet};

use super::SourceFile;

const PAGES: &str = "docs/errors/";
const INDEX: &str = "README";

/// Returns a complaint for each code without a page and each page without a code.
pub(super) fn check(files: &[SourceFile]) -> Vec<String> {
    let mut codes = BTreeMap::new();
    for file in files.iter().filter(|file| is_shipped(&file.path)) {
        for code in codes_in(&file.text) {
            codes.entry(code).or_insert(file.path.as_str());
        }
    }
    let pages: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.path.strip_prefix(PAGES)?.strip_suffix(".md"))
        .filter(|page| *page != INDEX)
        .collect();
    let unexplained = codes
        .iter()
        .filter(|(code, _)| !pages.contains(*code))
        .map(|(code, path)| format!("{path}: the error code {code} has no page {PAGES}{code}.md"));
    let unknown = pages
        .iter()
        .filter(|page| !codes.contains_key(*page))
        .map(|page| format!("{PAGES}{page}.md: no code() returns this error code"));
    unexplained.chain(unknown).collect()
}

fn is_shipped(path: &str) -> bool {
    path.ends_with(".rs")
        && ["wascap/", "host/", "providers/", "cli/"].iter().any(|dir| path.starts_with(dir))
        && !path.contains("/tests")
}

/// Returns the literals in the bodies of functions called `code`.
fn codes_in(text: &str) -> Vec<&str> {
    let mut codes = Vec::new();
    for (at, _) in text.match_indices("fn code(&self) -> ") {
        let body = text.get(at..).map_or("", body_of);
        // Every second piece between quotation marks is a literal.
        codes.extend(body.split('"').skip(1).step_by(2).filter(|literal| is_code(literal)));
    }
    codes
}

/// Returns what stands between the first brace and the one that closes it.
fn body_of(function: &str) -> &str {
    let mut depth = 0_usize;
    for (at, character) in function.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth <= 1 => return function.get(..at).unwrap_or(function),
            '}' => depth -= 1,
            _ => {}
        }
    }
    function
}

fn is_code(literal: &str) -> bool {
    !literal.is_empty() && literal.chars().all(|character| character.is_ascii_lowercase() || character == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.into(), text: text.into() }
    }

    #[test]
    fn codes_and_pages_go_in_pairs() {
        let source =
            "const fn code(&self) -> &'static str { match self { A { .. } => \"a_b\", B => \"c\" } } fn x() { \"d\" }";
        let files = [
            file("host/types/src/error.rs", source),
            file("docs/errors/a_b.md", ""),
            file("docs/errors/gone.md", ""),
            file("docs/errors/README.md", ""),
        ];
        assert_eq!(
            check(&files),
            [
                "host/types/src/error.rs: the error code c has no page docs/errors/c.md",
                "docs/errors/gone.md: no code() returns this error code"
            ]
        );
    }
}
