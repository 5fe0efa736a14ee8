//! The key-value capability in an embedded, crash-safe file.
