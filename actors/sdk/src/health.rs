//! `Actor.HealthRequest`: asked of every actor. The SDK answers "healthy" where the actor lists no handler of its own.

/// The operation's name.
pub const HEALTH_REQUEST: &str = "Actor.HealthRequest";

crate::message! {
    /// The answer to [`HEALTH_REQUEST`].
    pub struct Health {
        /// Whether the actor can do its work.
        pub healthy: bool = "healthy",
        /// Why not.
        pub message: Option<String> = "message",
    }
}

impl Health {
    /// Returns the answer of an actor that can work.
    #[must_use]
    pub const fn good() -> Self {
        Self { healthy: true, message: None }
    }
}
