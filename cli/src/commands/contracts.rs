//! The contracts that what ships with Wattle knows, for those who mistype one.

use crate::spelling;

/// Contracts of the built-in providers and builtins, in both generations' spelling.
const CONTRACTS: [&str; 8] = [
    "wasmcloud:httpserver",
    "wasmcloud:keyvalue",
    "wasmcloud:builtin:logging",
    "wasmcloud:builtin:numbergen",
    "wascc:http_server",
    "wascc:keyvalue",
    "wascc:logging",
    "wascc:extras",
];

/// Returns the contract that is nearly this one; nothing for one that is right, or unlike all of them.
pub(super) fn nearest(typed: &str) -> Option<&'static str> {
    spelling::nearest(typed, CONTRACTS).filter(|meant| *meant != typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_nearly_a_contract_is_put_right() {
        assert_eq!(nearest("wasmcloud:keyvaleu"), Some("wasmcloud:keyvalue"));
        assert_eq!(nearest("wasmcloud:http-server"), Some("wasmcloud:httpserver"));
        assert_eq!((nearest("wasmcloud:keyvalue"), nearest("acme:mail")), (None, None));
    }
}
