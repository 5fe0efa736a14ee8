//! How what is declared stands: the host that leads knows it, and any other asks.

use std::{sync::PoisonError, time::Duration};

use wattle_types::control::{Command, Standing};

use super::Node;
use crate::reconcile;

/// How long the leader may take to tell.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

impl Node {
    /// Keeps what the last plan of this host, which leads, has found.
    pub(super) fn keep_standings(&self, standings: &[reconcile::Standing]) {
        let told = standings.iter().map(|standing| Standing {
            id: standing.target.to_string(),
            revision: standing.revision,
            wanted: standing.wanted,
            running: standing.running,
            settled: standing.is_settled,
            why: standing.why.clone(),
        });
        *self.0.standings.lock().unwrap_or_else(PoisonError::into_inner) = told.collect();
    }

    /// Returns how what is declared stands, if this host leads.
    #[must_use]
    pub fn own_standings(&self) -> Option<Vec<Standing>> {
        self.leads()?;
        Some(self.0.standings.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Asks whoever leads how what is declared stands; `None` when nobody tells.
    pub async fn standings(&self) -> Option<Vec<Standing>> {
        if let Some(own) = self.own_standings() {
            return Some(own);
        }
        let lease = self.0.shared.read(|data| data.lease().cloned())?;
        let answer = self.order(lease.host, &Command::GetStandings, lease.term, ASK_TIMEOUT).await.ok()?;
        serde_json::from_value(answer).ok()?
    }
}
