//! Reading and writing ranges a guest names, which may be any.

use wasmtime::{Caller, Extern, Memory};

use crate::{GuestError, state::CallState};

/// A guest's memory and its call's state, borrowed together for the duration of one import call.
pub(crate) struct GuestMemory<'a> {
    bytes: &'a mut [u8],
    function: &'static str,
}

impl<'a> GuestMemory<'a> {
    /// Borrows the memory of the guest that called `function`. Memory may have moved since the last import call.
    pub(crate) fn open(
        caller: &'a mut Caller<'_, CallState>,
        function: &'static str,
    ) -> Result<(Self, &'a mut CallState), GuestError> {
        let memory = match caller.data().memory {
            Some(memory) => memory,
            None => exported_memory(caller)?,
        };
        let (bytes, state) = memory.data_and_store_mut(caller);
        Ok((Self { bytes, function }, state))
    }

    /// Returns `len` bytes at `ptr`. No bytes may be anywhere: guests pass dangling pointers for them.
    pub(crate) fn read(&self, ptr: u32, len: u32) -> Result<&[u8], GuestError> {
        if len == 0 {
            return Ok(&[]);
        }
        let range = ptr as usize..(ptr as usize).saturating_add(len as usize);
        self.bytes.get(range).ok_or_else(|| self.out_of_bounds(ptr, u64::from(len)))
    }

    /// Returns the text of `len` bytes at `ptr`, which must not be more than `limit`.
    pub(crate) fn read_name(&self, ptr: u32, len: u32, limit: u32) -> Result<&str, GuestError> {
        let bytes = self.read(ptr, len)?;
        if len > limit {
            return Err(GuestError::NameTooLong { function: self.function, size: len, limit });
        }
        str::from_utf8(bytes).map_err(|_| self.bad_text())
    }

    /// Returns the first `limit` bytes, or a few less, of the text of `len` bytes at `ptr`. What follows is not looked
    /// at.
    pub(crate) fn read_text_start(&self, ptr: u32, len: u32, limit: usize) -> Result<&str, GuestError> {
        let bytes = self.read(ptr, len)?;
        match bytes.get(..limit).filter(|start| start.len() < bytes.len()) {
            None => str::from_utf8(bytes).map_err(|_| self.bad_text()),
            Some(start) => match str::from_utf8(start) {
                Ok(text) => Ok(text),
                // The cut went through a character.
                Err(error) if error.error_len().is_none() => {
                    let whole = start.get(..error.valid_up_to()).unwrap_or_default();
                    str::from_utf8(whole).map_err(|_| self.bad_text())
                }
                Err(_) => Err(self.bad_text()),
            },
        }
    }

    /// Returns the little-endian number at `ptr`.
    pub(crate) fn read_u32(&self, ptr: u32) -> Result<u32, GuestError> {
        let bytes = self.read(ptr, 4)?;
        bytes.try_into().map(u32::from_le_bytes).map_err(|_| self.out_of_bounds(ptr, 4))
    }

    /// Copies `bytes` to `ptr`.
    pub(crate) fn write(&mut self, ptr: u32, bytes: &[u8]) -> Result<(), GuestError> {
        self.slice_mut(ptr, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Returns `len` bytes at `ptr` to be written. No bytes may be anywhere.
    pub(crate) fn slice_mut(&mut self, ptr: u32, len: usize) -> Result<&mut [u8], GuestError> {
        if len == 0 {
            return Ok(&mut []);
        }
        let error = self.out_of_bounds(ptr, len as u64);
        self.bytes.get_mut(ptr as usize..(ptr as usize).saturating_add(len)).ok_or(error)
    }

    const fn bad_text(&self) -> GuestError {
        GuestError::BadText { function: self.function }
    }

    const fn out_of_bounds(&self, ptr: u32, len: u64) -> GuestError {
        GuestError::BadPointer { function: self.function, ptr, len }
    }
}

/// Looks the memory up while the instance is still being made, when its handle is not in the state yet.
fn exported_memory(caller: &mut Caller<'_, CallState>) -> Result<Memory, GuestError> {
    let missing = || GuestError::Internal { message: "a guest without memory was started".into() };
    let memory = caller.get_export("memory").and_then(Extern::into_memory).ok_or_else(missing)?;
    caller.data_mut().memory = Some(memory);
    Ok(memory)
}
