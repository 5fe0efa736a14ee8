//! The name of an actor as the name of a key's file.

use wattle_wascap::Digest;

/// Longest name of a file that is spelled out: with kind and extension it fits into what file systems take.
const LEN_MAX: usize = 100;

/// Returns the name's own file name: no two names have the same.
pub(super) fn of_file(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    match text.len() {
        0 => "%".into(),
        1..=LEN_MAX => text,
        _ => format!("%{}", Digest::of(name.as_bytes())),
    }
}

/// Returns a name in small letters that files and commands take as it is. Other names have the same; versions before
/// named keys by it.
pub(crate) fn plain_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '_' };
    let text: String = name.chars().take(64).map(plain).collect();
    if text.is_empty() { super::DEFAULT_NAME.into() } else { text }
}
