//! The host as a guest sees it: the nine imports of waPC, as safe functions.

#[cfg(not(target_arch = "wasm32"))]
#[path = "host/native.rs"]
mod imports;
#[cfg(target_arch = "wasm32")]
#[path = "host/wapc.rs"]
mod imports;

use crate::{Error, Result};

/// Writes a line to the host's log. Needs no capability; the host bounds how much it keeps.
pub fn log(text: &str) {
    imports::log(text.as_bytes());
}

/// Fetches operation and payload of the current call.
pub(crate) fn request(operation_len: usize, payload_len: usize) -> (Vec<u8>, Vec<u8>) {
    imports::request(operation_len, payload_len)
}

/// Hands over the answer.
pub(crate) fn respond(response: &[u8]) {
    imports::respond(response);
}

/// Hands over the reason why there is no answer.
pub(crate) fn fail(message: &str) {
    imports::fail(message.as_bytes());
}

/// Calls out to a provider or another actor.
///
/// # Errors
/// The host's words: no such link, not claimed, the provider's error, and so on.
pub(crate) fn call(binding: &str, namespace: &str, operation: &str, payload: &[u8]) -> Result<Vec<u8>> {
    imports::call(binding, namespace, operation, payload)
        .map_err(|message| Error::new(String::from_utf8_lossy(&message).into_owned()))
}

/// Makes a panic tell the host its message, as error and as log line, before it ends the sandbox.
pub(crate) fn report_panics() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        fail(&text);
        log(&text);
    }));
}
