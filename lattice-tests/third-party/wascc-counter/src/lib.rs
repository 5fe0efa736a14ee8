//! Counts HTTP requests on one key through the published `wascc-actor` SDK.

use wascc_actor::prelude::*;

actor_handlers! {
    codec::http::OP_HANDLE_REQUEST => count,
    codec::core::OP_HEALTH_REQUEST => health
}

fn count(_request: codec::http::Request) -> HandlerResult<codec::http::Response> {
    let counter = keyvalue::default().atomic_add("counter:shared", 1)?;
    Ok(codec::http::Response::json(&serde_json::json!({ "counter": counter }), 200, "OK"))
}

fn health(_request: codec::core::HealthRequest) -> HandlerResult<()> {
    Ok(())
}
