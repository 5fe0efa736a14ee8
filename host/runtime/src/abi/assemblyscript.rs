//! What AssemblyScript guests import from `env` unless they were told otherwise.

use wasmtime::{Caller, Linker, Result};

use crate::{GuestError, guest_log::printable_words, guest_memory::GuestMemory, state::CallState};

const MODULE: &str = "env";
/// Longest text read for a message, in UTF-16 units.
const MAX_TEXT_UNITS: u32 = 1024;

pub(super) fn define(linker: &mut Linker<CallState>) -> Result<()> {
    linker.func_wrap(MODULE, "abort", abort)?;
    linker.func_wrap(MODULE, "seed", seed)?;
    linker.func_wrap(MODULE, "trace", trace)?;
    Ok(())
}

fn abort(mut guest: Caller<'_, CallState>, message: u32, file: u32, line: u32, column: u32) -> Result<()> {
    let (memory, _) = GuestMemory::open(&mut guest, "abort")?;
    let words = |ptr| text(&memory, ptr).map(|text| printable_words(&text));
    let message = words(message).unwrap_or_else(|| "no message".into());
    let file = words(file).unwrap_or_else(|| "unknown file".into());
    Err(GuestError::Trapped { reason: format!("aborted: {message} ({file}:{line}:{column})") }.into())
}

fn seed(mut guest: Caller<'_, CallState>) -> Result<f64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| GuestError::Internal { message: error.to_string() })?;
    guest.data_mut().saw_chance = true;
    Ok(f64::from_bits(0x3ff0_0000_0000_0000 | (u64::from_le_bytes(bytes) >> 12)) - 1.0)
}

/// `trace(message, n, a0, a1, a2, a3, a4)`: a line for the log with up to five numbers.
#[expect(clippy::too_many_arguments, reason = "the import's own shape")]
fn trace(
    mut guest: Caller<'_, CallState>,
    message: u32,
    count: u32,
    a0: f64,
    a1: f64,
    a2: f64,
    a3: f64,
    a4: f64,
) -> Result<()> {
    let (memory, state) = GuestMemory::open(&mut guest, "trace")?;
    let mut line = text(&memory, message).unwrap_or_default();
    for number in [a0, a1, a2, a3, a4].into_iter().take(count as usize) {
        line.push_str(&format!(" {number}"));
    }
    state.log_text(line.as_bytes());
    Ok(())
}

/// Reads an AssemblyScript string: UTF-16, its length in bytes in the 4 bytes before it. `None` when there is none.
fn text(memory: &GuestMemory<'_>, ptr: u32) -> Option<String> {
    let length = memory.read_u32(ptr.checked_sub(4)?).ok()?;
    let bytes = memory.read(ptr, length.min(2 * MAX_TEXT_UNITS)).ok()?;
    let units = bytes.chunks_exact(2).filter_map(|unit| unit.try_into().ok()).map(u16::from_le_bytes);
    Some(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}
