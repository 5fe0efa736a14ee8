//! What may stand in a file.

use super::SourceFile;

/// Longest line of a source file, in characters.
const LINE_MAX: usize = 120;

/// Files whose lines people read in an editor beside another one.
const SOURCES: [&str; 4] = [".rs", ".wat", ".sh", ".ci/run"];

/// Texts that never get in, each in two halves so that this file does not hold them, and why.
const BANNED: [(&str, &str, &str); 8] = [
    ("/wo", "rk/", "a path of one machine"),
    ("/ro", "ot/", "a path of one machine"),
    ("#[ign", "ore", "a test runs or goes"),
    ("FIX", "ME", "mend it or open an issue"),
    ("TO", "DO", "do it or open an issue"),
    ("index.cra", "tes.io", "a registry's host"),
    ("registry.np", "mjs.org", "a registry's host"),
    ("pythonhos", "ted.org", "a registry's host"),
];

/// Whether a line holds what must not be broken: a text that is compared as it is, or a row of a table.
fn cannot_break(line: &str) -> bool {
    let text = line.trim_start();
    text.starts_with("/// |") || text.contains('"')
}

/// Returns a complaint for each line that breaks a rule.
pub(super) fn check(file: &SourceFile) -> Vec<String> {
    if file.path.ends_with(".lock") {
        return Vec::new();
    }
    let source = SOURCES.iter().any(|end| file.path.ends_with(end));
    let mut complaints = Vec::new();
    for (line, number) in file.text.lines().zip(1..) {
        if source && line.chars().count() > LINE_MAX && !cannot_break(line) {
            complaints.push(format!("{}:{number}: a line has at most {LINE_MAX} characters", file.path));
        }
        if source && line.ends_with([' ', '\t']) {
            complaints.push(format!("{}:{number}: white space at the end of the line", file.path));
        }
        for (first, second, why) in BANNED {
            if line.contains(&[first, second].concat()) {
                complaints.push(format!("{}:{number}: {first}{second} is banned: {why}", file.path));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> usize {
        check(&SourceFile { path: path.into(), text: text.into() }).len()
    }

    #[test]
    fn lines_end_at_the_margin() {
        assert_eq!(complaints("a.rs", &"ä".repeat(120)), 0);
        assert_eq!(complaints("a.rs", &"a".repeat(121)), 1);
        assert_eq!(complaints("a.md", &"a".repeat(121)), 0);
        assert_eq!(complaints("a.rs", &["r#\"", &"a".repeat(121), "\"#"].concat()), 0);
    }

    #[test]
    fn banned_texts_are_found_in_any_file() {
        assert_eq!(complaints("a.md", &["see /wo", "rk/x"].concat()), 1);
        assert_eq!(complaints("a.rs", &["// TO", "DO"].concat()), 1);
    }
}
