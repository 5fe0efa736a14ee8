//! Counts HTTP requests on one key through the published `wasmcloud:*` interface crates.

use wasmbus_rpc::actor::prelude::*;
use wasmcloud_interface_httpserver::{HttpRequest, HttpResponse, HttpServer, HttpServerReceiver};
use wasmcloud_interface_keyvalue::{IncrementRequest, KeyValue, KeyValueSender};

#[derive(Debug, Default, Actor, HealthResponder)]
#[services(Actor, HttpServer)]
struct CounterActor {}

#[async_trait]
impl HttpServer for CounterActor {
    async fn handle_request(&self, ctx: &Context, _request: &HttpRequest) -> RpcResult<HttpResponse> {
        let increment = IncrementRequest { key: "counter:shared".into(), value: 1 };
        let counter = KeyValueSender::new().increment(ctx, &increment).await?;
        HttpResponse::json(serde_json::json!({ "counter": counter }), 200)
    }
}
