//! Keeps values in memory for linked actors, through the published provider crate alone.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::RwLock;
use wasmbus_rpc::common::Transport;
use wasmbus_rpc::provider::prelude::*;
use wasmbus_rpc::provider::ProviderTransport;

#[derive(Clone, Default)]
struct KeyValue {
    store: Arc<RwLock<HashMap<Vec<u8>, Vec<u8>>>>,
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
    }
}

#[async_trait]
impl MessageDispatch for KeyValue {
    async fn dispatch(&self, context: &Context, message: Message<'_>) -> Result<Vec<u8>, RpcError> {
        let arg = message.arg.to_vec();
        match message.method {
            "Set" => {
                let at = arg.iter().position(|byte| *byte == b'=').unwrap_or(arg.len());
                self.store.write().await.insert(arg[..at].to_vec(), arg[at..].to_vec());
                Ok(Vec::new())
            }
            "Get" => Ok(self.store.read().await.get(&arg).cloned().unwrap_or_default()),
            "Back" => Ok([b"back: ", arg.as_slice()].concat()),
            "Pid" => Ok(std::process::id().to_string().into_bytes()),
            "Values" => {
                let actor = context.actor.clone().unwrap_or_default();
                let links = self.links.read().await;
                Ok(links
                    .get(&actor)
                    .and_then(|link| link.values.get("value").cloned())
                    .unwrap_or_default()
                    .into_bytes())
            }
            "CallActor" => {
                let actor = context.actor.clone().unwrap_or_default();
                let link = self.links.read().await.get(&actor).cloned();
                let link = link.ok_or_else(|| RpcError::Other("no link".into()))?;
                let back = Message { method: "Back", arg: arg.into() };
                ProviderTransport::new(&link, None).send(context, back, None).await
            }
            method => Err(RpcError::MethodNotHandled(method.to_owned())),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    provider_main(KeyValue::default(), Some("wasmbus-keyvalue".into()))
}
