//! What NATS does not let us do.
//!
//! It never answers a message that its permissions refuse: it only says on the connection which subject that was. So
//! whoever waits there for an answer listens for that, too.

use std::sync::Arc;

use tokio::sync::broadcast;

/// Refusals kept for one who waits. More at a time than this, and he waits for his answer in vain.
const KEPT_MAX: usize = 64;

/// Where refusals are told.
#[derive(Debug, Clone)]
pub(super) struct Refusals(broadcast::Sender<Arc<str>>);

impl Default for Refusals {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT_MAX))
    }
}

impl Refusals {
    /// Tells whoever waits what an error of the server's says.
    pub(super) fn tell(&self, error: &str) {
        if let Some(subject) = refused(error) {
            // Nobody waiting is fine.
            let _ = self.0.send(subject.into());
        }
    }

    /// Hears of refusals from now on.
    pub(super) fn listen(&self) -> Heard {
        Heard(self.0.subscribe())
    }
}

/// The refusals since one began to listen.
#[derive(Debug)]
pub(super) struct Heard(broadcast::Receiver<Arc<str>>);

impl Heard {
    /// Waits until `subject` is refused.
    pub(super) async fn about(mut self, subject: &str) {
        loop {
            match self.0.recv().await {
                Ok(refused) if *refused == *subject => return,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
            }
        }
    }

    /// Returns whether `subject` was refused up to now.
    pub(super) fn was_about(&mut self, subject: &str) -> bool {
        loop {
            match self.0.try_recv() {
                Ok(refused) if *refused == *subject => return true,
                Ok(_) | Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => return false,
            }
        }
    }
}

/// Returns the subject of `Permissions Violation for Publish to "a.b"`, or of one for a subscription.
fn refused(error: &str) -> Option<&str> {
    let (_, rest) = error.split_once("Permissions Violation for ")?;
    let subject = rest.strip_prefix("Publish to \"").or_else(|| rest.strip_prefix("Subscription to \""))?;
    subject.split_once('"').map(|(subject, _)| subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_stands_in_quotes() {
        for (error, subject) in [
            (r#"Permissions Violation for Publish to "a.B""#, Some("a.B")),
            (r#"Permissions Violation for Subscription to "a.*""#, Some("a.*")),
            (r#"Permissions Violation for Subscription to "a" using queue "q""#, Some("a")),
            (r#"Permissions Violation for Publish with Reply of "a""#, None),
            (r#"Permissions Violation for Publish to "a"#, None),
            ("Unknown Protocol Operation", None),
        ] {
            assert_eq!(refused(error), subject, "{error}");
        }
    }

    #[tokio::test]
    async fn only_who_waits_on_the_subject_is_told() {
        let refusals = Refusals::default();
        let (mine, mut other) = (refusals.listen(), refusals.listen());
        refusals.tell(r#"Permissions Violation for Publish to "other""#);
        refusals.tell(r#"Permissions Violation for Publish to "mine""#);
        mine.about("mine").await;
        assert!(!other.was_about("nobody's") && !refusals.listen().was_about("mine"));
    }
}
