//! What a host tells by itself.

use std::time::Duration;

use wattle_host::HostConfig;
use wattle_types::control::HostInventory;

use super::Lattice;
use crate::support::{start, start_script};

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_tells_what_runs() {
    let often = HostConfig { heartbeat_interval: Duration::from_millis(20), ..HostConfig::default() };
    let lattice = Lattice::with(often).await;
    let mut events = lattice.events().await;
    events.wait("host_heartbeat").await;
    let actor = start(&lattice.host, lattice.author.echo("1:", 1)).await;
    events.wait("component_scaled").await;
    let inventory: HostInventory = serde_json::from_value(events.wait("host_heartbeat").await).unwrap();
    assert_eq!(inventory.host_id, lattice.host.id().to_string());
    assert_eq!(inventory.components[0].id, actor.to_string());
    assert!(inventory.labels.contains_key("hostcore.os"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_s_health_is_told_first_as_passed_then_as_a_status() {
    let often = HostConfig { health_interval: Duration::from_millis(20), ..HostConfig::default() };
    let lattice = Lattice::with(often).await;
    let mut events = lattice.events().await;
    start_script(&lattice.host, "kv").await;
    for name in ["health_check_passed", "health_check_status", "health_check_status"] {
        let told = events.wait(name).await;
        assert_eq!(
            (told["provider_id"].as_str(), told["host_id"].as_str()),
            (Some("kv"), Some(&*lattice.host.id().to_string()))
        );
    }
}
