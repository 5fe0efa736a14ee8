//! What a handler fails with.

use std::fmt;

/// Why a handler or a call to the host failed: a text, which the caller of this actor gets to read.
///
/// Made by `?` from any [`std::error::Error`], or with [`Error::new`].
pub struct Error(String);

/// What handlers and clients return.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes an error that says `message`.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// Returns the text.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// `Error` itself is no `std::error::Error`, so that this does not collide with `From<Error> for Error`.
impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
