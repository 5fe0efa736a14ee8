//! `up` and `down`, with a host by script.

use std::sync::Arc;

use super::rig::{HOST, Rig, ScriptedHost, golden};

#[tokio::test(start_paused = true)]
async fn up_tells_where_it_is_and_down_ends_it() {
    let rig = Rig::new();
    assert_eq!(rig.run(&["keys", "gen", "account"]).await.code, 0);
    let state = rig.path("run/host.json");
    let down = async {
        while !state.exists() {
            tokio::task::yield_now().await;
        }
        rig.run(&["down", "--run-dir", "run"]).await
    };
    let up = ["up", "--nats-url", "nats://test", "--run-dir", "run", "--name", "quiet-reed"];
    let (up, down) = tokio::join!(rig.run_with(&up, Arc::new(ScriptedHost)), down);
    golden("up", &up);
    golden("down", &down);
    assert!(!state.exists(), "the state outlived its host");
}

#[tokio::test(start_paused = true)]
async fn up_in_json_is_one_document() {
    let rig = Rig::new();
    let state = rig.path(".local/state/wattle/default/host.json");
    let down = async {
        while !state.exists() {
            tokio::task::yield_now().await;
        }
        rig.run(&["down", "-o", "json"]).await
    };
    let up = ["up", "--nats-url", "nats://test", "-o", "json"];
    let (up, down) = tokio::join!(rig.run_with(&up, Arc::new(ScriptedHost)), down);
    assert_eq!((up.code, up.json()["host_id"].as_str()), (0, Some(HOST)), "{up}");
    assert_eq!(down.json()["stopped"], "asked", "{down}");
}
