//! The key-value capability in memory.
