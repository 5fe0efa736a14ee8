//! Counts in memory for linked actors, through the published provider and interface crates alone.
//!
//! Counting begins after what the configuration and the link call `start`, and again after the link is gone. A link
//! with `ask` makes it call the actor before it counts.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::RwLock;
use wasmbus_rpc::{
    common::{deserialize, serialize},
    core::{Actor, ActorSender, HealthCheckRequest},
    provider::prelude::*,
};
use wasmcloud_interface_keyvalue::IncrementRequest;

#[derive(Clone, Default)]
struct KeyValue {
    counters: Arc<RwLock<HashMap<(String, String), i32>>>,
    links: Arc<RwLock<HashMap<String, LinkDefinition>>>,
}

impl ProviderDispatch for KeyValue {}

#[async_trait]
impl ProviderHandler for KeyValue {
    async fn put_link(&self, link: &LinkDefinition) -> RpcResult<bool> {
        self.links.write().await.insert(link.actor_id.clone(), link.clone());
        Ok(true)
    }

    async fn delete_link(&self, actor: &str) {
        self.links.write().await.remove(actor);
        self.counters.write().await.retain(|(owner, _), _| owner != actor);
    }
}

#[async_trait]
impl MessageDispatch for KeyValue {
    async fn dispatch(&self, context: &Context, message: Message<'_>) -> Result<Vec<u8>, RpcError> {
        match message.method {
            "KeyValue.Increment" => serialize(&self.increment(context, deserialize(&message.arg)?).await?),
            method => Err(RpcError::MethodNotHandled(method.to_owned())),
        }
    }
}

impl KeyValue {
    async fn increment(&self, context: &Context, request: IncrementRequest) -> RpcResult<i32> {
        let actor = context.actor.clone().unwrap_or_default();
        let link = self.links.read().await.get(&actor).cloned();
        let link = link.ok_or_else(|| RpcError::Other("no link".into()))?;
        if link.values.contains_key("ask") {
            ask(context, &link).await?;
        }
        let mut counters = self.counters.write().await;
        let counter = counters.entry((actor, request.key)).or_insert_with(|| start(&link));
        *counter += request.value;
        Ok(*counter)
    }
}

async fn ask(context: &Context, link: &LinkDefinition) -> RpcResult<()> {
    let health = ActorSender::for_actor(link).health_request(context, &HealthCheckRequest {}).await?;
    if !health.healthy {
        return Err(RpcError::Other("the actor is not healthy".into()));
    }
    Ok(())
}

fn start(link: &LinkDefinition) -> i32 {
    let config = get_host_bridge().config_json_raw().unwrap_or("{}");
    let config: HashMap<String, String> = serde_json::from_str(config).unwrap_or_default();
    let number = |values: &HashMap<String, String>| values.get("start").and_then(|start| start.parse().ok()).unwrap_or(0);
    number(&config) + number(&link.values)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    provider_main(KeyValue::default(), Some("wasmbus-keyvalue".into()))
}
