//! wasmCloud 0.x: operations are `Service.Method`, structures are maps with camelCase names, a lone argument is bare,
//! and no result is no bytes.

pub(super) mod http;
pub(super) mod keyvalue;
pub(super) mod logging;
pub(super) mod numbergen;
