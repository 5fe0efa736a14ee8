//! `up` with a nats-server of its own, over real sockets.

use std::sync::Arc;

use wattle_bus::nats_server;

use super::rig::{HOST, Rig, ScriptedHost};
use crate::context::connect_nats;

#[tokio::test]
async fn up_brings_nats_and_takes_it_down_again() {
    let program = nats_server::find().unwrap_or_else(|error| panic!("{error}: {}", error.remedy()));
    let mut rig = Rig::new();
    rig.connect = Arc::new(|options| Box::pin(connect_nats(options)));
    rig.find_nats_server = nats_server::find;
    let state_file = rig.path(".local/state/wattle/default/host.json");
    let use_it = async {
        while !state_file.exists() {
            tokio::task::yield_now().await;
        }
        let state: serde_json::Value = serde_json::from_slice(&std::fs::read(&state_file).unwrap()).unwrap();
        // No --nats-url: the state tells where NATS is.
        let inventory = rig.run(&["get", "inventory", HOST, "-o", "json"]).await;
        assert_eq!(inventory.json()["host_id"], HOST, "{inventory}");
        let url = state["nats_url"].as_str().unwrap();
        let doctor = rig.run(&["doctor", "-o", "json"]).await;
        assert_eq!(doctor.code, 0, "{doctor}");
        let version = nats_server::version(&program).await.unwrap();
        let told = [format!("{}, version {version}", program.display()), format!("{url}, version {version}")];
        assert!(told.iter().all(|told| doctor.out.contains(told)), "{doctor}");
        check_strangers(&rig, &state).await;
        let down = rig.run(&["down"]).await;
        assert_eq!(down.code, 0, "{down}");
        url.to_owned()
    };
    let up = rig.run_with(&["up", "--nats-port", "0"], Arc::new(ScriptedHost));
    let (up, url) = tokio::join!(up, use_it);
    assert_eq!(up.code, 0, "{up}");
    let gone = rig.run(&["get", "hosts", "--nats-url", &url]).await;
    assert_eq!(gone.code, 4, "NATS still runs: {gone}");
}

/// Who cannot read the state's credentials cannot command the host, and nobody is shown them.
async fn check_strangers(rig: &Rig, state: &serde_json::Value) {
    let url = state["nats_url"].as_str().unwrap();
    let creds = state["nats_creds"].as_str().unwrap();
    let ask = ["get", "inventory", HOST, "--run-dir", "elsewhere", "--nats-url", url];
    let stranger = rig.run(&ask).await;
    assert_eq!(stranger.code, 4, "{stranger}");
    assert!(stranger.err.contains("authorization violation") && stranger.err.contains("--nats-creds"), "{stranger}");
    for known in [&["--nats-creds", creds][..], &["--run-dir", ".local/state/wattle/default"]] {
        let ask = if known[0] == "--run-dir" { &ask[..3] } else { &ask[..] };
        let ran = rig.run(&[ask, known].concat()).await;
        assert_eq!(ran.code, 0, "{ran}");
    }
    let same_url = rig.run(&["get", "inventory", HOST, "--nats-url", url]).await;
    assert_eq!(same_url.code, 0, "{same_url}");
    let seed = std::fs::read_to_string(creds).unwrap().lines().find(|line| line.starts_with("SU")).unwrap().to_owned();
    assert!(!state.to_string().contains(&seed));
}

#[tokio::test]
async fn doctor_says_what_is_missing_and_how_to_get_it() {
    let mut rig = Rig::new();
    rig.connect = Arc::new(|options| Box::pin(connect_nats(options)));
    let ran = rig.run(&["doctor", "--nats-url", "nats://127.0.0.1:1"]).await;
    assert_eq!(ran.code, 4, "{ran}");
    assert!(ran.out.contains("MISSING") && ran.out.contains("apt install nats-server"), "{ran}");
    assert!(ran.out.contains("wattle keys gen account"), "{ran}");
    assert!(ran.out.contains("a new sandbox for each call") && ran.out.contains("Linux 6.7"), "{ran}");
    let fast = rig.run_with(&["doctor", "-o", "json"], Arc::new(ScriptedHost)).await.json();
    let found = fast.as_array().unwrap().iter().find(|check| check["name"] == "PAGEMAP_SCAN").unwrap();
    assert_eq!((&found["status"], &found["remedy"]), (&"ok".into(), &serde_json::Value::Null));
}
