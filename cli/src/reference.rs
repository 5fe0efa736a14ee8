//! What people type for a module or provider, and the reference a host takes.

use std::path::Path;

use crate::error::CliError;

/// Prefix of a URL that names a local file.
const FILE: &str = "file://";

/// Returns the reference for a module: a file, or an https URL with a digest.
pub(crate) fn module(text: &str, directory: &Path) -> Result<String, CliError> {
    match remote(text)? {
        Some(reference) => Ok(reference),
        None => file(text, directory),
    }
}

/// Returns the reference for a provider: as for a module, or `builtin:KIND`, or a bare kind.
pub(crate) fn provider(text: &str, directory: &Path) -> Result<String, CliError> {
    if text.starts_with("builtin:") {
        return Ok(text.to_owned());
    }
    let is_kind =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_kind && !directory.join(text).is_file() {
        return Ok(format!("builtin:{text}"));
    }
    module(text, directory)
}

fn remote(text: &str) -> Result<Option<String>, CliError> {
    if text.starts_with("http://") {
        let error = CliError::usage(format!("{text} is not https"));
        return Err(error.hint("fetch it yourself and give the file, or use https://...#sha256=HEX"));
    }
    if !text.starts_with("https://") {
        return Ok(None);
    }
    let digest = text.split_once("#sha256=").map(|(_, digest)| digest);
    match digest {
        Some(digest) if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok(Some(text.to_owned()))
        }
        _ => {
            let error =
                CliError::usage(format!("{text} has no digest, so nobody can tell whether it is the right file"));
            Err(error.hint("add #sha256=HEX with the file's SHA-256, as sha256sum prints it"))
        }
    }
}

/// A path that is absolute, and not on this machine, is taken as it is: the hosts may have it.
fn file(text: &str, directory: &Path) -> Result<String, CliError> {
    let given = Path::new(text.strip_prefix(FILE).unwrap_or(text));
    let path = directory.join(given);
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(_) if given.is_absolute() => return Ok(format!("{FILE}{}", given.display())),
        Err(error) => return Err(CliError::file("read", &path, &error)),
    };
    if !path.is_file() {
        let error = CliError::usage(format!("{} is not a file", path.display()));
        return Err(error.hint("give the path of a file"));
    }
    Ok(format!("{FILE}{}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_absolute() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::write(root.join("a.wasm"), "").unwrap();
        let expected = format!("file://{}/a.wasm", root.display());
        assert_eq!(module("a.wasm", &root).unwrap(), expected);
        assert_eq!(module(&expected, Path::new("/")).unwrap(), expected);
        assert_eq!(provider("./a.wasm", &root).unwrap(), expected);
        for missing in ["b.wasm", "./b.wasm", "file://b.wasm"] {
            assert_eq!(module(missing, &root).unwrap_err().code, "file_not_found", "{missing}");
        }
        assert!(module(".", &root).is_err());
        assert!(module(root.to_str().unwrap(), &root).is_err(), "a directory that is here");
    }

    #[test]
    fn an_absolute_path_need_not_be_on_this_machine() {
        let here = Path::new("/");
        let elsewhere = "file:///nonexistent/a.wasm";
        for text in ["/nonexistent/a.wasm", elsewhere] {
            assert_eq!(module(text, here).unwrap(), elsewhere);
            assert_eq!(provider(text, here).unwrap(), elsewhere);
        }
    }

    #[test]
    fn a_kind_is_built_in_and_a_url_needs_its_digest() {
        let here = Path::new("/");
        assert_eq!(provider("keyvalue-redis", here).unwrap(), "builtin:keyvalue-redis");
        assert_eq!(provider("builtin:httpserver", here).unwrap(), "builtin:httpserver");
        let good = format!("https://x/a.wasm#sha256={}", "0a".repeat(32));
        assert_eq!(module(&good, here).unwrap(), good);
        for bad in ["https://x/a.wasm", "https://x/a.wasm#sha256=12", "http://x/a.wasm"] {
            assert_eq!(module(bad, here).unwrap_err().kind.exit_code(), 2, "{bad}");
        }
    }
}
