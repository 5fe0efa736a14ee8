//! Telling whoever asked for a change how far it is.

use tokio::sync::mpsc;

/// One step that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `fetched`, `verified`, `compiled`, `probed`, `published`, `drained`, ...
    pub name: &'static str,
    /// For people.
    pub detail: String,
}

/// Where steps are told. Never waits: a listener that does not keep up misses some.
#[derive(Debug, Clone, Default)]
pub struct Steps(Option<mpsc::Sender<Step>>);

impl Steps {
    /// Tells nobody.
    #[must_use]
    pub const fn ignore() -> Self {
        Self(None)
    }

    /// Tells the receiver of `sender`.
    #[must_use]
    pub const fn to(sender: mpsc::Sender<Step>) -> Self {
        Self(Some(sender))
    }

    /// Tells that a step is done.
    pub(crate) fn done(&self, name: &'static str, detail: impl Into<String>) {
        let detail = detail.into();
        tracing::debug!(step = name, detail);
        if let Some(sender) = &self.0 {
            // Full or gone: the listener's loss, never the work's.
            let _ = sender.try_send(Step { name, detail });
        }
    }
}
