//! Figures in pages, compared with the constants they are of.

use super::SourceFile;

/// What is said of a constant: `N` stands for it, in the unit that follows.
struct Figure {
    page: &'static str,
    says: &'static str,
    source: &'static str,
    constant: &'static str,
}

const fn figure(page: &'static str, says: &'static str, source: &'static str, constant: &'static str) -> Figure {
    Figure { page, says, source, constant }
}

/// Limits of guests, engines and hosts that are fields are compared in the tests of their crates.
const FIGURES: [Figure; 16] = [
    figure(
        "actors.md",
        "an error's text, in each direction | N KiB",
        "host/runtime/src/abi/wapc.rs",
        "MAX_ERROR_BYTES",
    ),
    figure("actors.md", "link, contract, operation | N KiB", "host/runtime/src/abi/wapc.rs", "MAX_NAME_BYTES"),
    figure("actors.md", "actors calling actors | N in one chain", "host/types/src/call.rs", "MAX_CALL_DEPTH"),
    figure("errors/alias_invalid.md", "longer than N bytes", "host/core/src/authz.rs", "ALIAS_LEN_MAX"),
    figure("errors/call_depth_exceeded.md", "more than N times", "host/types/src/call.rs", "MAX_CALL_DEPTH"),
    figure("errors/clocks_apart.md", "more than N seconds", "host/types/src/signed.rs", "CLOCKS_APART_MAX_SECS"),
    figure("errors/file_too_large.md", "larger than N MiB", "host/core/src/fetch.rs", "FILE_LEN_MAX"),
    figure("errors/guest_name_too_long.md", "more than N KiB", "host/runtime/src/abi/wapc.rs", "MAX_NAME_BYTES"),
    figure("errors/id_invalid.md", "1 to N letters", "host/types/src/ids.rs", "NAME_LEN_MAX"),
    figure("errors/kv_key_invalid.md", "longer than N bytes", "host/bus/src/kv.rs", "KEY_LEN_MAX"),
    figure("errors/link_limit.md", "as it can (N)", "host/core/src/links.rs", "LINKS_MAX"),
    figure("errors/registry_invalid.md", "longer than N KiB", "host/core/src/registries.rs", "SECRET_LEN_MAX"),
    figure("errors/registry_limit.md", "as it can (N)", "host/core/src/registries.rs", "REGISTRIES_MAX"),
    figure("errors/token_too_large.md", "longer than N KiB", "wascap/src/token.rs", "MAX_TOKEN_LEN"),
    figure("subjects.md", "At most N requests", "host/core/src/control.rs", "REQUESTS_MAX"),
    figure("subjects.md", "refused with `overloaded`: N of `watch`", "host/core/src/control.rs", "WATCHES_MAX"),
];

/// Checks all of them.
pub(super) fn check(files: &[SourceFile]) -> Vec<String> {
    FIGURES.iter().filter_map(|figure| figure.complaint(files)).collect()
}

impl Figure {
    fn complaint(&self, files: &[SourceFile]) -> Option<String> {
        let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
        let Some(value) = text(self.source).and_then(|source| constant(source, self.constant)) else {
            return Some(format!("{}: no {} that can be read, for a figure in pages", self.source, self.constant));
        };
        let page = format!("docs/{}", self.page);
        let words = self.in_words(value);
        let says = text(&page).is_some_and(|page| page.replace('\n', " ").contains(&words));
        (!says).then(|| format!("{page}: does not say {words:?}, as {} in {} has it", self.constant, self.source))
    }

    fn in_words(&self, value: u64) -> String {
        let unit = self.says.split_once("N ").map_or("", |(_, rest)| rest);
        let value = match unit.get(..3) {
            Some("KiB") => value >> 10,
            Some("MiB") => value >> 20,
            _ => value,
        };
        let digits = if value < 10_000 { value.to_string() } else { format!("{} {:03}", value / 1000, value % 1000) };
        self.says.replacen('N', &digits, 1)
    }
}

/// Reads a constant that is a number, or numbers with `*` and `<<` between them.
fn constant(source: &str, name: &str) -> Option<u64> {
    let (_, declaration) = source.split_once(&format!("const {name}: "))?;
    let (_, expression) = declaration.split(';').next()?.split_once('=')?;
    let number = |text: &str| text.trim().replace('_', "").parse::<u64>().ok();
    if let Some((left, right)) = expression.split_once("<<") {
        return number(left)?.checked_shl(u32::try_from(number(right)?).ok()?);
    }
    expression.split('*').try_fold(1_u64, |product, factor| product.checked_mul(number(factor)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_read() {
        let source =
            "const A: usize = 100_000;\npub const B: u64 = 256 << 20;\nconst C: usize = 16 * 1024;\nconst D: X = f();";
        assert_eq!(
            ["A", "B", "C", "D", "E"].map(|name| constant(source, name)),
            [Some(100_000), Some(256 << 20), Some(16 << 10), None, None]
        );
    }

    #[test]
    fn a_page_says_what_the_constant_is() {
        let file = |path: &str, text: &str| SourceFile { path: path.into(), text: text.into() };
        let limit = figure("errors/a.md", "longer than N KiB", "a.rs", "MAX");
        let complaint = |page: &str| {
            let files = [file("a.rs", "const MAX: usize = 16 << 10;"), file("docs/errors/a.md", page)];
            limit.complaint(&files)
        };
        assert_eq!(complaint("It is longer\nthan 16 KiB."), None);
        assert!(complaint("It is longer than 8 KiB.").unwrap().contains("16 KiB"));
        assert!(limit.complaint(&[]).is_some());
        assert_eq!(figure("", "as it can (N)", "", "").in_words(100_000), "as it can (100 000)");
    }
}
