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

/// Joins pairs and files, in order; the last value of a key counts.
pub(crate) fn read(context: &Context, pairs: Vec<Pair>) -> Result<BTreeMap<String, String>, CliError> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        if !key.is_empty() {
            map.insert(key, value);
            continue;
        }
        let bytes = context.read(value.as_ref())?;
        let file: BTreeMap<String, String> = serde_json::from_slice(&bytes).map_err(|error| {
            CliError::usage(format!("{value} is not a JSON object of strings: {error}"))
                .hint(r#"write numbers and the like as text: {"port": "8080"}"#)
        })?;
        map.extend(file);
    }
    Ok(map)
}
