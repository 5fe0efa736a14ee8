//! WASI preview 1 without any authority: no files, no environment, no arguments, no network.
//!
//! Clocks and random numbers work, standard output goes to the guest's log, standard input is empty, and everything
//! else answers with an error number.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use wasmtime::{Caller, FuncType, Linker, Result, Val};

use crate::{GuestError, guest_memory::GuestMemory, state::CallState};

/// WASI preview 1.
pub(super) const MODULE: &str = "wasi_snapshot_preview1";
/// The snapshot before it; what works here has the same shape in both.
pub(super) const UNSTABLE_MODULE: &str = "wasi_unstable";

type Guest<'a> = Caller<'a, CallState>;
type Errno = u32;

const SUCCESS: Errno = 0;
const BADF: Errno = 8;
const INVAL: Errno = 28;
const NOSYS: Errno = 52;

/// Most pieces one write may have; WASI allows to write less than asked.
const MAX_PIECES: u32 = 16;
/// Most bytes taken by one write, so that it takes no noticeable time; programs write what is left in further ones.
const MAX_WRITE_BYTES: u32 = 64 << 10;
/// Most random bytes in one request. More is refused, so that one request takes no noticeable time.
const MAX_RANDOM_BYTES: u32 = 64 << 10;

pub(super) fn define(linker: &mut Linker<CallState>) -> Result<()> {
    for module in [MODULE, UNSTABLE_MODULE] {
        linker.func_wrap(module, "args_get", |_: u32, _: u32| SUCCESS)?;
        linker.func_wrap(module, "args_sizes_get", no_strings)?;
        linker.func_wrap(module, "environ_get", |_: u32, _: u32| SUCCESS)?;
        linker.func_wrap(module, "environ_sizes_get", no_strings)?;
        linker.func_wrap(module, "clock_res_get", clock_res_get)?;
        linker.func_wrap(module, "clock_time_get", clock_time_get)?;
        linker.func_wrap(module, "random_get", random_get)?;
        linker.func_wrap(module, "sched_yield", || SUCCESS)?;
        linker.func_wrap(module, "proc_exit", proc_exit)?;
        linker.func_wrap(module, "fd_write", fd_write)?;
        linker.func_wrap(module, "fd_read", fd_read)?;
        linker.func_wrap(module, "fd_close", |fd: u32| if is_stdio(fd) { SUCCESS } else { BADF })?;
        linker.func_wrap(module, "fd_fdstat_get", fd_fdstat_get)?;
        linker.func_wrap(module, "fd_prestat_get", |_: u32, _: u32| BADF)?;
        linker.func_wrap(module, "fd_prestat_dir_name", |_: u32, _: u32, _: u32| BADF)?;
    }
    Ok(())
}

/// Defines a function of the rest of WASI: it does nothing and answers with an error number.
///
/// Returns `false` if WASI has no such function, or the guest expects something else than an error number from it.
pub(super) fn define_denied(linker: &mut Linker<CallState>, module: &str, name: &str, ty: FuncType) -> Result<bool> {
    const PREFIXES: [&str; 6] = ["fd_", "path_", "sock_", "poll_", "clock_", "proc_"];
    let answers_errno = ty.results().len() == 1 && ty.results().all(|ty| ty.is_i32());
    if !answers_errno || !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Ok(false);
    }
    linker.func_new(module, name, ty, |_, _, results| {
        results.fill(Val::I32(NOSYS.cast_signed()));
        Ok(())
    })?;
    Ok(true)
}

const fn is_stdio(fd: u32) -> bool {
    fd <= 2
}

/// No arguments and no environment: zero strings of zero bytes.
fn no_strings(mut guest: Guest<'_>, count: u32, size: u32) -> Result<Errno> {
    let (mut memory, _) = GuestMemory::open(&mut guest, "args_sizes_get")?;
    memory.write(count, &0_u32.to_le_bytes())?;
    memory.write(size, &0_u32.to_le_bytes())?;
    Ok(SUCCESS)
}

fn clock_res_get(mut guest: Guest<'_>, _clock: u32, result: u32) -> Result<Errno> {
    let (mut memory, _) = GuestMemory::open(&mut guest, "clock_res_get")?;
    memory.write(result, &1_u64.to_le_bytes())?;
    Ok(SUCCESS)
}

fn clock_time_get(mut guest: Guest<'_>, clock: u32, _precision: u64, result: u32) -> Result<Errno> {
    const REALTIME: u32 = 0;
    let (mut memory, state) = GuestMemory::open(&mut guest, "clock_time_get")?;
    state.saw_chance = true;
    let since = if clock == REALTIME {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    } else {
        // Monotonic within a call, which is as long as a guest lives.
        Instant::now().duration_since(state.call.began)
    };
    let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    memory.write(result, &nanos.to_le_bytes())?;
    Ok(SUCCESS)
}

fn random_get(mut guest: Guest<'_>, ptr: u32, len: u32) -> Result<Errno> {
    let (mut memory, state) = GuestMemory::open(&mut guest, "random_get")?;
    state.saw_chance = true;
    let bytes = memory.slice_mut(ptr, len as usize)?;
    if len > MAX_RANDOM_BYTES {
        return Ok(INVAL);
    }
    getrandom::fill(bytes).map_err(|error| GuestError::Internal { message: error.to_string() })?;
    Ok(SUCCESS)
}

fn proc_exit(code: u32) -> Result<()> {
    Err(GuestError::Exited { code }.into())
}

fn fd_write(mut guest: Guest<'_>, fd: u32, pieces: u32, count: u32, written: u32) -> Result<Errno> {
    let (mut memory, state) = GuestMemory::open(&mut guest, "fd_write")?;
    if fd != 1 && fd != 2 {
        return Ok(BADF);
    }
    let mut total = 0_u32;
    for index in 0..count.min(MAX_PIECES) {
        let piece = pieces.saturating_add(index * 8);
        let (ptr, len) = (memory.read_u32(piece)?, memory.read_u32(piece.saturating_add(4))?);
        let (whole, room) = (memory.read(ptr, len)?, MAX_WRITE_BYTES - total);
        state.log_stream(whole.get(..room as usize).unwrap_or(whole));
        total += len.min(room);
        if len > room {
            break;
        }
    }
    memory.write(written, &total.to_le_bytes())?;
    Ok(SUCCESS)
}

fn fd_read(mut guest: Guest<'_>, fd: u32, _pieces: u32, _count: u32, read: u32) -> Result<Errno> {
    let (mut memory, _) = GuestMemory::open(&mut guest, "fd_read")?;
    if fd != 0 {
        return Ok(BADF);
    }
    memory.write(read, &0_u32.to_le_bytes())?;
    Ok(SUCCESS)
}

fn fd_fdstat_get(mut guest: Guest<'_>, fd: u32, result: u32) -> Result<Errno> {
    const CHARACTER_DEVICE: u8 = 2;
    let (mut memory, _) = GuestMemory::open(&mut guest, "fd_fdstat_get")?;
    if !is_stdio(fd) {
        return Ok(BADF);
    }
    let mut stat = [0; 24];
    stat[0] = CHARACTER_DEVICE;
    memory.write(result, &stat)?;
    Ok(SUCCESS)
}
