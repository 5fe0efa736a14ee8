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
        Err(_) if is_image(text) => {
            let error = CliError::usage(format!("{text} names an OCI image, and no registry is asked for files"));
            return Err(error.hint("pull the file yourself, for example with oras pull, and give its path"));
        }
        Err(error) => return Err(CliError::file("read", &path, &error)),
    };
    if !path.is_file() {
        let error = CliError::usage(format!("{} is not a file", path.display()));
        return Err(error.hint("give the path of a file"));
    }
    Ok(format!("{FILE}{}", path.display()))
}

/// Whether it is written as images are: `oci://...`, or a registry, a path and a tag or digest.
fn is_image(text: &str) -> bool {
    let Some((registry, path)) = text.split_once('/') else { return false };
    let is_registry = registry.contains(['.', ':']) && !registry.starts_with('.') || registry == "localhost";
    text.starts_with("oci://") || is_registry && path.rsplit('/').next().is_some_and(|name| name.contains([':', '@']))
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
    fn an_image_is_no_path() {
        for image in ["ghcr.io/acme/counter:1.0", "oci://ghcr.io/counter", "localhost:5000/counter@sha256:00"] {
            let error = module(image, Path::new("/")).unwrap_err();
            assert!(error.message.contains("OCI image"), "{image}: {error}");
        }
        for path in ["./ghcr.io/counter:1", "out/counter.wasm", "a.b/counter.wasm"] {
            assert_eq!(module(path, Path::new("/")).unwrap_err().code, "file_not_found", "{path}");
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
