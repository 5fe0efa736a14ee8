//! Any host tells the claims of actors on all hosts.

use serde_json::json;

use super::{Lattice, PATIENCE};
use crate::support::start;

#[tokio::test(flavor = "multi_thread")]
async fn claims_of_all_hosts_are_told_by_each() {
    let lattice = Lattice::new().await;
    let other = lattice.join(Default::default()).await;
    let another = lattice.author.another();
    let here = start(&lattice.host, lattice.author.echo("1:", 1)).await;
    let there = start(&other, another.echo("1:", 1)).await;
    let mut both = [here.to_string(), there.to_string()];
    both.sort();
    let told = async {
        let mut in_a_row = 0;
        // The hosts answer in turn.
        while in_a_row < 4 {
            let claims = lattice.ask("claims.get", false, json!(null)).await.response.unwrap();
            let subjects: Vec<_> = claims.as_array().unwrap().iter().map(|claims| claims["sub"].clone()).collect();
            in_a_row = if json!(subjects) == json!(both) { in_a_row + 1 } else { 0 };
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
}
