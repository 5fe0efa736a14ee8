//! waPC: the request, the answer, and calls to the outside, over pointers the guest names.
//!
//! Only the guest allocates in its memory; the host writes where the running import call says, and nowhere else.

use std::{future::Future, time::Instant};

use bytes::Bytes;
use wasmtime::{Caller, FuncType, Linker, Result};

use crate::{
    GuestError, HostCall, Limits,
    guest_log::printable_words,
    guest_memory::GuestMemory,
    state::{Call, CallState, Phase},
};

/// Import module of waSCC's and plain waPC guests.
pub(super) const MODULE: &str = "wapc";
/// Import module of wasmCloud 0.50-0.82 actors. The same functions.
pub(super) const WASMBUS_MODULE: &str = "wasmbus";
/// The import whose arity tells its generation.
pub(super) const HOST_CALL: &str = "__host_call";

/// Longest error text taken from a guest or handed to it, in bytes. Longer ones are cut off: they end up in logs and
/// messages.
const MAX_ERROR_BYTES: usize = 8 << 10;
/// Longest binding, namespace or operation of a host call, in bytes: no link and no contract has such a name.
const MAX_NAME_BYTES: u32 = 1 << 10;

type Guest<'a> = Caller<'a, CallState>;
/// Where a guest keeps a text or payload: pointer and length.
type Range = (u32, u32);

pub(super) fn define(linker: &mut Linker<CallState>) -> Result<()> {
    for module in [MODULE, WASMBUS_MODULE] {
        linker.func_wrap(module, "__guest_request", guest_request)?;
        linker.func_wrap(module, "__guest_response", guest_response)?;
        linker.func_wrap(module, "__guest_error", guest_error)?;
        linker.func_wrap(module, "__host_response_len", |guest: Guest<'_>| {
            host_answer_len(guest.data().call.host_answer.as_deref().ok())
        })?;
        linker.func_wrap(module, "__host_response", host_response)?;
        linker.func_wrap(module, "__host_error_len", |guest: Guest<'_>| {
            host_answer_len(guest.data().call.host_answer.as_ref().err().map(String::as_bytes))
        })?;
        linker.func_wrap(module, "__host_error", host_error)?;
        linker.func_wrap(module, "__console_log", console_log)?;
    }
    Ok(())
}

/// Defines `__host_call` in the shape the guest declares. Returns `false` if no generation had that shape.
///
/// 8 parameters: binding, namespace, operation, payload. 6: no binding. 4: one text `<capability id>!<operation>`.
pub(super) fn define_host_call(linker: &mut Linker<CallState>, module: &str, ty: &FuncType) -> Result<bool> {
    let numbers = ty.params().chain(ty.results()).all(|ty| ty.is_i32());
    match ty.params().len() {
        8 if numbers && ty.results().len() == 1 => {
            linker.func_wrap_async(module, HOST_CALL, |guest: Guest<'_>, (b, bl, n, nl, o, ol, p, pl)| {
                host_call(
                    guest,
                    Target::Named { binding: Some((b, bl)), namespace: (n, nl), operation: (o, ol) },
                    (p, pl),
                )
            })?
        }
        6 if numbers && ty.results().len() == 1 => {
            linker.func_wrap_async(module, HOST_CALL, |guest: Guest<'_>, (n, nl, o, ol, p, pl)| {
                host_call(guest, Target::Named { binding: None, namespace: (n, nl), operation: (o, ol) }, (p, pl))
            })?
        }
        4 if numbers && ty.results().len() == 1 => {
            linker.func_wrap_async(module, HOST_CALL, |guest: Guest<'_>, (o, ol, p, pl)| {
                host_call(guest, Target::Joined((o, ol)), (p, pl))
            })?
        }
        _ => return Ok(false),
    };
    Ok(true)
}

fn guest_request(mut guest: Guest<'_>, operation: u32, payload: u32) -> Result<()> {
    let (mut memory, state) = GuestMemory::open(&mut guest, "__guest_request")?;
    if state.call.phase == Phase::Serving {
        memory.write(payload, &state.call.payload)?;
        memory.write(operation, state.call.operation.as_bytes())?;
    }
    Ok(())
}

fn guest_response(mut guest: Guest<'_>, ptr: u32, len: u32) -> Result<()> {
    let (memory, state) = GuestMemory::open(&mut guest, "__guest_response")?;
    let response = memory.read(ptr, len)?;
    check_size(response.len(), &state.limits)?;
    state.call.response = Some(Bytes::copy_from_slice(response));
    Ok(())
}

fn guest_error(mut guest: Guest<'_>, ptr: u32, len: u32) -> Result<()> {
    let (memory, state) = GuestMemory::open(&mut guest, "__guest_error")?;
    let text = memory.read_text_start(ptr, len, MAX_ERROR_BYTES)?;
    state.call.guest_error = Some(printable_words(text));
    Ok(())
}

fn console_log(mut guest: Guest<'_>, ptr: u32, len: u32) -> Result<()> {
    let (memory, state) = GuestMemory::open(&mut guest, "__console_log")?;
    state.log_text(memory.read(ptr, len)?);
    Ok(())
}

fn host_answer_len(answer: Option<&[u8]>) -> u32 {
    // Answers are bounded by `Limits::payload_bytes` and by the guest's own 32-bit memory.
    answer.map_or(0, |bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX))
}

fn host_response(mut guest: Guest<'_>, ptr: u32) -> Result<()> {
    let (mut memory, state) = GuestMemory::open(&mut guest, "__host_response")?;
    if let Ok(response) = &state.call.host_answer
        && !response.is_empty()
    {
        memory.write(ptr, response)?;
    }
    Ok(())
}

fn host_error(mut guest: Guest<'_>, ptr: u32) -> Result<()> {
    let (mut memory, state) = GuestMemory::open(&mut guest, "__host_error")?;
    if let Err(text) = &state.call.host_answer {
        memory.write(ptr, text.as_bytes())?;
    }
    Ok(())
}

/// How a guest says what it calls.
enum Target {
    Named { binding: Option<Range>, namespace: Range, operation: Range },
    Joined(Range),
}

impl Target {
    fn read<'m>(&self, memory: &'m GuestMemory<'_>) -> Result<(&'m str, &'m str, &'m str), GuestError> {
        let text = |(ptr, len): Range| memory.read_name(ptr, len, MAX_NAME_BYTES);
        match *self {
            Self::Named { binding, namespace, operation } => {
                Ok((binding.map_or(Ok(""), text)?, text(namespace)?, text(operation)?))
            }
            Self::Joined(both) => {
                let both = text(both)?;
                let (namespace, operation) = both.split_once('!').unwrap_or((both, ""));
                Ok(("", namespace, operation))
            }
        }
    }
}

/// Suspends the guest until the host has answered. Returns 1 for success and 0 for failure.
fn host_call<'a>(
    mut guest: Guest<'a>,
    target: Target,
    payload: Range,
) -> Box<dyn Future<Output = Result<u32>> + Send + 'a> {
    Box::new(async move {
        let (memory, state) = GuestMemory::open(&mut guest, HOST_CALL)?;
        state.call.host_answer = Ok(Bytes::new());
        let (binding, namespace, operation) = target.read(&memory)?;
        let payload = memory.read(payload.0, payload.1)?;
        let answer = if let Err(error) = check_size(payload.len(), &state.limits) {
            Err(error.to_string())
        } else {
            count_host_call(state)?;
            let payload = Bytes::copy_from_slice(payload);
            serve(&state.call, HostCall { binding, namespace, operation, payload }).await?
        };
        state.call.host_answer = answer.and_then(|answer| match check_size(answer.len(), &state.limits) {
            Ok(()) => Ok(answer),
            Err(error) => Err(error.to_string()),
        });
        if let Err(text) = &mut state.call.host_answer {
            text.truncate(text.floor_char_boundary(MAX_ERROR_BYTES));
        }
        Ok(u32::from(state.call.host_answer.is_ok()))
    })
}

/// Waits for the host, but not past the deadline or an interrupt.
async fn serve(running: &Call, call: HostCall<'_>) -> Result<Result<Bytes, String>, GuestError> {
    let Some(host) = running.host.as_ref().filter(|_| running.phase == Phase::Serving) else {
        return Ok(Err("host calls are not served before the first request".to_owned()));
    };
    running.check(Instant::now())?;
    tokio::select! {
        biased;
        answer = host.call(call) => Ok(answer),
        end = running.ended() => Err(end),
    }
}

fn count_host_call(state: &mut CallState) -> Result<(), GuestError> {
    let limit = state.limits.host_calls;
    if state.call.host_calls >= limit {
        return Err(GuestError::HostCallsExceeded { limit });
    }
    state.call.host_calls += 1;
    Ok(())
}

const fn check_size(size: usize, limits: &Limits) -> Result<(), GuestError> {
    let limit = limits.payload_bytes;
    if size <= limit { Ok(()) } else { Err(GuestError::PayloadTooLarge { size, limit }) }
}
