//! What NATS does not let us do.
//!
//! It never answers a message that its permissions refuse: it only says on the connection which subject that was. So
//! whoever waits there for an answer listens for that, too.

use std::sync::Arc;

use tokio::sync::broadcast;

/// Refusals kept for one who waits. More at a time than this, and he waits for his answer in vain.
const KEPT_MAX: usize = 64;

/// What was refused on a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Publish,
    Subscribe,
}

type Refusal = (Use, Arc<str>);

/// Where refusals are told.
#[derive(Debug, Clone)]
pub(super) struct Refusals(broadcast::Sender<Refusal>);

impl Default for Refusals {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT_MAX))
    }
}

impl Refusals {
    /// Tells whoever waits what an error of the server's says.
    pub(super) fn tell(&self, error: &str) {
        if let Some((use_, subject)) = refused(error) {
            // Nobody waiting is fine.
            let _ = self.0.send((use_, subject.into()));
        }
    }

    /// Hears of refusals from now on.
    pub(super) fn listen(&self) -> Heard {
        Heard(self.0.subscribe())
    }
}

/// The refusals since one began to listen.
#[derive(Debug)]
pub(super) struct Heard(broadcast::Receiver<Refusal>);

impl Heard {
    /// Waits until this use of `subject` is refused.
    pub(super) async fn about(&mut self, wanted: Use, subject: &str) {
        loop {
            match self.0.recv().await {
                Ok((use_, refused)) if use_ == wanted && *refused == *subject => return,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
            }
        }
    }
}

/// Reads `Permissions Violation for Publish to "a.b"`, or the same for a subscription.
fn refused(error: &str) -> Option<(Use, &str)> {
    let (_, rest) = error.split_once("Permissions Violation for ")?;
    let publish = rest.strip_prefix("Publish to \"").map(|rest| (Use::Publish, rest));
    let subscribe = || rest.strip_prefix("Subscription to \"").map(|rest| (Use::Subscribe, rest));
    let (use_, rest) = publish.or_else(subscribe)?;
    rest.split_once('"').map(|(subject, _)| (use_, subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_stands_in_quotes() {
        for (error, subject) in [
            (r#"Permissions Violation for Publish to "a.B""#, Some((Use::Publish, "a.B"))),
            (r#"Permissions Violation for Subscription to "a.*""#, Some((Use::Subscribe, "a.*"))),
            (r#"Permissions Violation for Subscription to "a" using queue "q""#, Some((Use::Subscribe, "a"))),
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
        let [mut mine, mut other] = [refusals.listen(), refusals.listen()];
        refusals.tell(r#"Permissions Violation for Publish to "other""#);
        refusals.tell(r#"Permissions Violation for Publish to "mine""#);
        mine.about(Use::Publish, "mine").await;
        assert!(futures::poll!(std::pin::pin!(other.about(Use::Subscribe, "mine"))).is_pending());
        assert!(futures::poll!(std::pin::pin!(refusals.listen().about(Use::Publish, "mine"))).is_pending());
    }
}
