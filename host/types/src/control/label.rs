//! Changing what a host says of itself.

use serde::{Deserialize, Serialize};

/// `label.put.{host}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutLabel {
    /// Its name. Names below `hostcore.` are the host's own.
    pub key: String,
    /// What the host shall say.
    pub value: String,
}

/// `label.del.{host}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteLabel {
    /// Its name.
    pub key: String,
}
