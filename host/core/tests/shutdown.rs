//! Stopping a host while it works.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use wattle_host::{Host, Steps};
use wattle_types::{ActorId, InvokeError};

use crate::support::{Author, KEYVALUE, Script, host, link, start, start_script};

/// A host with an actor whose call waits in its provider.
struct Stage {
    host: Host,
    script: Arc<Script>,
    actor: ActorId,
}

impl Stage {
    async fn set(module: impl FnOnce(&Author) -> Bytes) -> Self {
        let (author, script) = (Author::new(), Arc::new(Script::default()));
        let host = host(&author, &script).await;
        let actor = start(&host, module(&author)).await;
        start_script(&host, "kv").await;
        host.put_link(link(actor, "kv"), false).await.unwrap();
        script.hold.store(true, Ordering::SeqCst);
        Self { host, script, actor }
    }

    async fn call(&self) -> Result<Bytes, InvokeError> {
        self.host.call(&self.actor.to_string(), "Get", Bytes::new(), None).await
    }

    /// Waits until a call has come to the provider.
    async fn until_held(&self, call: &mut (impl Future<Output = Result<Bytes, InvokeError>> + Unpin)) {
        while futures::poll!(&mut *call).is_pending()
            && futures::poll!(Box::pin(self.script.holding.notified())).is_pending()
        {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_in_flight_still_reaches_its_provider_while_the_host_stops() {
    let stage = Stage::set(|author| author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    let mut in_flight = Box::pin(stage.call());
    stage.until_held(&mut in_flight).await;
    let mut stopping = Box::pin(stage.host.shutdown());
    assert!(futures::poll!(&mut stopping).is_pending());
    assert_eq!(stage.call().await.unwrap_err().code(), "draining");
    stage.script.release.notify_one();
    let (answer, ()) = tokio::join!(in_flight, stopping);
    assert_eq!(answer.unwrap(), "kv #1: Get");
    assert_eq!(stage.script.log()[2..], ["kv #1 quiet", "kv #1 quiet", "kv #1 closed"]);
    stage.host.wait_stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_an_actor_that_was_stopped_before_still_reach_providers_while_the_host_stops() {
    let stage = Stage::set(Author::forward_twice).await;
    let mut in_flight = Box::pin(stage.call());
    stage.until_held(&mut in_flight).await;
    let steps = Steps::ignore();
    let mut stopping_actor = Box::pin(stage.host.stop_actor(stage.actor, &steps));
    assert!(futures::poll!(&mut stopping_actor).is_pending());
    let mut stopping = Box::pin(stage.host.shutdown());
    assert!(futures::poll!(&mut stopping).is_pending());
    // Its first call of the provider ends; the second begins while the host stops.
    stage.script.hold.store(false, Ordering::SeqCst);
    stage.script.release.notify_one();
    let (answer, stopped, ()) = tokio::join!(in_flight, stopping_actor, stopping);
    assert_eq!(answer.unwrap(), "kv #1: Get");
    stopped.unwrap();
}
