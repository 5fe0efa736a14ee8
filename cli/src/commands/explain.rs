//! `wattle explain`.

mod page;
mod pages;

use clap::Args;
use serde_json::json;

use crate::{context::Context, error::CliError, spelling};

const EXAMPLES: &str = "\
Examples:
  wattle explain claims_missing
  wattle explain                    all codes

An error's code is in what is written with -o json, in the host's log, and in HTTP answers.";

/// Shows what an error's code means, and what to do about it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The code [default: all, by who must act].
    code: Option<String>,
}

pub(super) fn run(context: &Context, args: ExplainArgs) -> Result<(), CliError> {
    let page = match &args.code {
        Some(code) => page(code).ok_or_else(|| unknown(code))?,
        None => pages::ALL.to_owned(),
    };
    context.output.result(&json!({ "code": args.code, "page": page }), |_| {
        page::render(&page, context.output.layout(), |title| context.output.paint("1", title))
    })
}

fn unknown(code: &str) -> CliError {
    let error = CliError::usage(format!("{code:?} is not the code of an error"));
    let error = match spelling::alike(code, codes()).as_slice() {
        [] => error,
        [only] => error.hint(format!("did you mean {only}?")),
        several => error.hint(format!("one of these? {}", several.join(", "))),
    };
    error.hint("see all: wattle explain")
}

/// Returns all codes: those with a page, and those with a row.
fn codes() -> impl Iterator<Item = &'static str> {
    let rows = pages::ALL.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    pages::PAGES.iter().map(|(code, _)| *code).chain(rows.map(|(code, _)| code))
}

fn page(code: &str) -> Option<String> {
    let page = pages::PAGES.iter().find(|(own, _)| *own == code).map(|(_, page)| (*page).to_owned());
    page.or_else(|| row(pages::ALL, code))
}

/// Makes a page of the row in a table that is all there is on a code.
fn row(all: &str, code: &str) -> Option<String> {
    let row = all.lines().find(|line| line.starts_with(&format!("| `{code}` |")))?;
    let (_, text) = row.trim_end_matches(" |").rsplit_once("| ")?;
    Some(format!("# `{code}`\n\n{text}\n"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_page_is_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut codes: Vec<_> = names.filter_map(|name| name.strip_suffix(".md").map(str::to_owned)).collect();
        codes.retain(|code| code != "README");
        codes.sort();
        let built_in: Vec<_> = pages::PAGES.iter().map(|(code, _)| *code).collect();
        assert_eq!(built_in, codes, "name each page of docs/errors in pages.rs");
    }

    #[test]
    fn a_code_has_a_page_or_a_row() {
        assert!(page("claims_missing").unwrap().starts_with("# `claims_missing`"));
        assert!(page("already_up").unwrap().contains("wattle down"), "{:?}", page("already_up"));
        assert_eq!((page(""), page("README"), page("claims")), (None, None, None));
    }
}
