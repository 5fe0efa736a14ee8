//! Where files may be and what they may be called.

use super::SourceFile;

/// Names that say nothing about what is inside.
const NAMELESS: [&str; 5] = ["util", "common", "helpers", "misc", "manager"];

/// Returns a complaint for each rule the file's path breaks.
pub(super) fn check(file: &SourceFile) -> Vec<String> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let mut complaints = Vec::new();
    if name == "mod.rs" {
        complaints.push(format!("{}: write NAME.rs beside NAME/, not NAME/mod.rs", file.path));
    }
    if NAMELESS.contains(&stem.trim_end_matches('s')) || NAMELESS.contains(&stem) {
        complaints.push(format!("{}: name the file after the noun it holds", file.path));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str) -> usize {
        check(&SourceFile { path: path.into(), text: String::new() }).len()
    }

    #[test]
    fn names_say_what_is_inside() {
        assert_eq!(complaints("host/core/src/links.rs"), 0);
        assert_eq!(complaints("host/core/src/links/mod.rs"), 1);
        assert_eq!(complaints("host/core/src/utils.rs"), 1);
        assert_eq!(complaints("cli/src/helpers.rs"), 1);
    }
}
