//! The simulated network, while nothing is wrong with it.

use wattle_bus::sim::SimNet;

#[tokio::test(start_paused = true)]
async fn keeps_every_promise() {
    let net = SimNet::new(1);
    crate::conformance::check_all(|| async { [net.connect("near"), net.connect("far")] }).await;
}

#[tokio::test(start_paused = true)]
async fn buckets_keep_every_promise() {
    for seed in 0..10 {
        let net = SimNet::new(seed);
        crate::kv::check_all(&net.connect("near"), &net.connect("far")).await;
    }
}
