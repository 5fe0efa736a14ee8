//! Runs verified actor modules in fresh wasmtime sandboxes, one per call.
