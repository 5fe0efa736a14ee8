//! `KEY=VALUE` on the command line.

use std::collections::BTreeMap;

use crate::{context::Context, error::CliError};

/// One `KEY=VALUE`.
pub(crate) type Pair = (String, String);

/// Reads one `KEY=VALUE`.
pub(crate) fn pair(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("write it as KEY=VALUE".into()),
    }
}

/// Reads `KEY=VALUE`, or `@FILE` for a JSON object of strings.
pub(crate) fn pair_or_file(text: &str) -> Result<Pair, String> {
    match text.strip_prefix('@') {
        Some(file) if !file.is_empty() => Ok((String::new(), file.into())),
        _ => pair(text).map_err(|_| "write it as KEY=VALUE, or @FILE for a JSON object of strings".into()),
    }
}

/// Joins pairs, of which each key may be given once: which of two values is meant, nobody can tell.
pub(crate) fn each_once(pairs: impl IntoIterator<Item = Pair>) -> Result<BTreeMap<String, String>, CliError> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        if map.contains_key(&key) {
            return Err(twice(&key));
        }
        map.insert(key, value);
    }
    Ok(map)
}

/// Joins pairs and files: a pair wins over a file, and any other key may be given once.
pub(crate) fn read(context: &Context, pairs: Vec<Pair>) -> Result<BTreeMap<String, String>, CliError> {
    let (files, pairs): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(key, _)| key.is_empty());
    let mut from_files = Vec::new();
    for (_, file) in files {
        let bytes = context.read(file.as_ref())?;
        let values: BTreeMap<String, String> = serde_json::from_slice(&bytes).map_err(|error| {
            CliError::usage(format!("{file} is not a JSON object of strings: {error}"))
                .hint(r#"write numbers and the like as text: {"port": "8080"}"#)
        })?;
        from_files.extend(values);
    }
    let mut map = each_once(from_files)?;
    map.extend(each_once(pairs)?);
    Ok(map)
}

fn twice(key: &str) -> CliError {
    CliError::usage(format!("{key:?} is given twice")).hint("give one value for each key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_given_once() {
        let joined = |texts: &[&str]| each_once(texts.iter().map(|text| pair(text).unwrap()));
        assert_eq!(joined(&["a=1", "b=1"]).unwrap().len(), 2);
        for twice in [["a=1", "a=2"], ["a=1", "a=1"]] {
            let error = joined(&twice).unwrap_err();
            assert!(error.to_string().contains("\"a\" is given twice"), "{error}");
        }
    }
}
