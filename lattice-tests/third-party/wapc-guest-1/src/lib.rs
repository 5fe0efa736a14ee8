//! A guest as users of the published `wapc-guest` 1.x write it.

use wapc_guest::{CallResult, console_log, host_call, register_function};

#[unsafe(no_mangle)]
pub fn wapc_init() {
    register_function("echo", echo);
    register_function("relay", relay);
    register_function("log", log);
    register_function("fail", fail);
}

fn echo(message: &[u8]) -> CallResult {
    Ok(message.to_vec())
}

fn relay(message: &[u8]) -> CallResult {
    host_call("default", "sample:relay", "Relay", message)
}

fn log(message: &[u8]) -> CallResult {
    console_log(std::str::from_utf8(message)?);
    Ok(Vec::new())
}

fn fail(message: &[u8]) -> CallResult {
    Err(std::str::from_utf8(message)?.into())
}
