//! The imports themselves. The one place with `unsafe`: each pointer handed over lives until the import returns.
#![expect(unsafe_code, reason = "the imports of waPC take addresses")]

#[link(wasm_import_module = "wapc")]
unsafe extern "C" {
    fn __guest_request(operation: *mut u8, payload: *mut u8);
    fn __guest_response(response: *const u8, len: usize);
    fn __guest_error(message: *const u8, len: usize);
    fn __host_call(
        binding: *const u8,
        binding_len: usize,
        namespace: *const u8,
        namespace_len: usize,
        operation: *const u8,
        operation_len: usize,
        payload: *const u8,
        payload_len: usize,
    ) -> i32;
    fn __host_response_len() -> usize;
    fn __host_response(response: *mut u8);
    fn __host_error_len() -> usize;
    fn __host_error(message: *mut u8);
    fn __console_log(text: *const u8, len: usize);
}

pub(super) fn request(operation_len: usize, payload_len: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut operation, mut payload) = (Vec::with_capacity(operation_len), Vec::with_capacity(payload_len));
    // SAFETY: the host writes exactly the two lengths it gave to `__guest_call`, into room for just as many.
    unsafe {
        __guest_request(operation.as_mut_ptr(), payload.as_mut_ptr());
        operation.set_len(operation_len);
        payload.set_len(payload_len);
    }
    (operation, payload)
}

pub(super) fn respond(response: &[u8]) {
    // SAFETY: the host only reads, within the slice.
    unsafe { __guest_response(response.as_ptr(), response.len()) }
}

pub(super) fn fail(message: &[u8]) {
    // SAFETY: the host only reads, within the slice.
    unsafe { __guest_error(message.as_ptr(), message.len()) }
}

pub(super) fn log(text: &[u8]) {
    // SAFETY: the host only reads, within the slice.
    unsafe { __console_log(text.as_ptr(), text.len()) }
}

pub(super) fn call(binding: &str, namespace: &str, operation: &str, payload: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
    // SAFETY: the host only reads, within the four slices.
    let status = unsafe {
        __host_call(
            binding.as_ptr(),
            binding.len(),
            namespace.as_ptr(),
            namespace.len(),
            operation.as_ptr(),
            operation.len(),
            payload.as_ptr(),
            payload.len(),
        )
    };
    // SAFETY: each pair of imports tells a length and then writes that many bytes; nothing runs in between.
    unsafe {
        if status == 1 {
            Ok(fetch(__host_response_len(), __host_response))
        } else {
            Err(fetch(__host_error_len(), __host_error))
        }
    }
}

/// Reads `len` bytes that `import` writes.
///
/// # Safety
/// `import` must write exactly `len` bytes.
unsafe fn fetch(len: usize, import: unsafe extern "C" fn(*mut u8)) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    // SAFETY: there is room for `len` bytes, and the caller vouches that so many are written.
    unsafe {
        import(bytes.as_mut_ptr());
        bytes.set_len(len);
    }
    bytes
}
