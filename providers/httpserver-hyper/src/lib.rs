//! The HTTP server capability, on hyper.
