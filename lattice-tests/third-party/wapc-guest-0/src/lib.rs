//! A guest as users of the published `wapc-guest` 0.4 write it.

use wapc_guest::prelude::*;

#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    register_function("echo", echo);
    register_function("relay", relay);
    register_function("fail", fail);
}

fn echo(message: &[u8]) -> CallResult {
    Ok(message.to_vec())
}

fn relay(message: &[u8]) -> CallResult {
    host_call("default", "sample:relay", "Relay", message)
}

fn fail(message: &[u8]) -> CallResult {
    Err(std::str::from_utf8(message)?.into())
}
