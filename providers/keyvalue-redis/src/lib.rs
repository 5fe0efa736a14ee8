//! The key-value capability on Redis.
