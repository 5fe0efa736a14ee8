//! Stands in for the imports in native builds, where actors are tested: everything goes to [`crate::testing`].

use crate::testing;

pub(super) fn request(_: usize, _: usize) -> (Vec<u8>, Vec<u8>) {
    testing::take_request()
}

pub(super) fn respond(response: &[u8]) {
    testing::put_answer(Ok(response.to_vec()));
}

pub(super) fn fail(message: &[u8]) {
    testing::put_answer(Err(String::from_utf8_lossy(message).into_owned()));
}

pub(super) fn log(text: &[u8]) {
    testing::put_log(text);
}

pub(super) fn call(binding: &str, namespace: &str, operation: &str, payload: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
    testing::host_call(&testing::HostCall { binding, namespace, operation, payload }).map_err(String::into_bytes)
}
