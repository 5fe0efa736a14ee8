//! The number-generation contract.

use wattle_types::ProviderError;

/// A source of numbers that a guest cannot make itself.
pub trait NumberGen: Send + Sync + 'static {
    /// Returns a random UUID (version 4), in lower case with dashes.
    ///
    /// # Errors
    /// When the system has no randomness.
    fn guid(&self) -> Result<String, ProviderError>;

    /// Returns a uniformly random number of at least `min` and less than `max`; `min` when both are equal.
    ///
    /// # Errors
    /// [`ProviderError::BadRequest`] when `max` is less than `min`.
    fn random_in_range(&self, min: u32, max: u32) -> Result<u32, ProviderError>;

    /// Returns a random number.
    ///
    /// # Errors
    /// When the system has no randomness.
    fn random_u32(&self) -> Result<u32, ProviderError>;

    /// Returns a number greater than every one before it: unique on this host until it restarts.
    ///
    /// # Errors
    /// None so far.
    fn sequence(&self) -> Result<u64, ProviderError>;
}
