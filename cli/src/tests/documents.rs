//! Command lines in the documentation: each can be read, and following one page after another does not collide.

use std::{collections::BTreeMap, ffi::OsString, fs, path::PathBuf};

use wattle_wascap::{KeyKind, KeyPair};

use crate::args::Cli;

/// Returns the lines that run `wattle`, each whole and without what is said of it.
pub(super) fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(|line| line.trim_start().trim_start_matches("$ "));
    let lines = lines.filter(|line| line.starts_with("wattle "));
    let bare = |line: &str| {
        line.split("   ")
            .next()
            .unwrap_or_default()
            .split(" > ")
            .next()
            .unwrap_or_default()
            .split(" # ")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    lines.map(bare).filter(|line| !line.ends_with("...")).collect()
}

/// Checks that a line is read: names in capitals stand for what a reader has.
pub(super) fn check(line: &str) {
    if let Err(error) = Cli::parse_line(&words(line)) {
        panic!("{line}\n{error}");
    }
}

/// Parts a line as a shell does, with keys for what stands for them.
fn words(line: &str) -> Vec<OsString> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => words.push(String::new()),
            (c, _) => words.last_mut().unwrap().push(c),
        }
    }
    let words = words.into_iter().filter(|word| !word.is_empty());
    let meant = words.map(|word| match word.as_str() {
        "A..." | "ACCOUNT" | "$(cat" => key(KeyKind::Account),
        "O..." | "OPERATOR" => key(KeyKind::Operator),
        "M..." => key(KeyKind::Module),
        "C..." => key(KeyKind::Cluster),
        "VPROVIDERKEY" => key(KeyKind::Provider),
        _ => word,
    });
    meant.filter(|word| !word.ends_with("issuer.pub)")).map(OsString::from).collect()
}

fn key(kind: KeyKind) -> String {
    KeyPair::generate(kind).unwrap().public_key().to_string()
}

/// Returns the pages of the documentation that have first steps, by name.
fn pages() -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let names = ["README.md", "docs/actors.md", "docs/providers.md", "docs/lattice.md", "docs/from-wasmcloud.md"];
    names.iter().map(|name| ((*name).to_owned(), fs::read_to_string(root.join(name)).unwrap())).collect()
}

/// Returns the text in blocks of code.
fn code(page: &str) -> String {
    page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).map(|(_, lines)| lines).collect()
}

#[test]
fn every_command_of_the_documentation_is_read() {
    let mut count = 0;
    for (page, text) in pages() {
        for line in commands(&code(&text)) {
            // Placeholders that stand for several words, or for a choice.
            if line.contains('|') || line.contains('[') || line.contains("...") && !line.contains("#sha256") {
                continue;
            }
            let read = Cli::parse_line(&words(&line));
            assert!(read.is_ok(), "{page}: {line}\n{}", read.unwrap_err());
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

/// One id of a provider is one kind, one address is one actor's, one link goes to one provider.
#[test]
fn the_first_steps_of_one_page_do_not_collide_with_those_of_another() {
    let mut taken = BTreeMap::new();
    for (page, text) in pages().into_iter().chain([("help".to_owned(), Cli::help())]) {
        for line in commands(&if page == "help" { text } else { code(&text) }) {
            for (what, whose) in claims(&line) {
                let (first, before) = taken.entry(what.clone()).or_insert_with(|| (page.clone(), whose.clone()));
                assert_eq!(*before, whose, "{what}: in {first}, and in {page}: {line}");
            }
        }
    }
    assert!(taken.len() > 10, "{taken:?}");
}

/// Returns what a line takes, and for whom.
fn claims(line: &str) -> Vec<(String, String)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let option = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1).map(|value| (*value).to_owned())
    };
    match words.as_slice() {
        ["wattle", "start", "provider", kind, ..] if !kind.contains(['/', '.']) => {
            vec![(format!("provider {}", option("--id").unwrap_or_else(|| (*kind).into())), (*kind).into())]
        }
        ["wattle", "link", "put", actor, provider, contract, values @ ..] => {
            let name = option("--link-name").unwrap_or_else(|| "default".into());
            let link = (format!("link {name} of {actor} for {contract}"), (*provider).to_owned());
            let address = values.iter().filter_map(|value| value.strip_prefix("address="));
            std::iter::once(link).chain(address.map(|at| (format!("address {at}"), (*actor).to_owned()))).collect()
        }
        _ => Vec::new(),
    }
}
