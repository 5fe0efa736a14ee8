//! Stopping a host while it works.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;

use wattle_host::Steps;

use crate::support::{Author, KEYVALUE, Script, host, link, start, start_script};

#[tokio::test(flavor = "multi_thread")]
async fn work_in_flight_still_reaches_its_provider_while_the_host_stops() {
    let (author, script) = (Author::new(), Arc::new(Script::default()));
    let host = host(&author, &script).await;
    let id = start(&host, author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    start_script(&host, "kv").await;
    host.put_link(link(id, "kv"), false).await.unwrap();
    script.hold.store(true, Ordering::SeqCst);
    let target = id.to_string();
    let mut in_flight = Box::pin(host.call(&target, "Get", Bytes::new(), None));
    while futures::poll!(&mut in_flight).is_pending()
        && futures::poll!(Box::pin(script.holding.notified())).is_pending()
    {
        tokio::task::yield_now().await;
    }
    let mut stopping = Box::pin(host.shutdown());
    assert!(futures::poll!(&mut stopping).is_pending());
    assert_eq!(host.call(&target, "Get", Bytes::new(), None).await.unwrap_err().code(), "draining");
    script.release.notify_one();
    let (answer, ()) = tokio::join!(in_flight, stopping);
    assert_eq!(answer.unwrap(), "kv #1: Get");
    assert_eq!(script.log()[2..], ["kv #1 quiet", "kv #1 quiet", "kv #1 closed"]);
    host.wait_stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_an_actor_that_was_stopped_before_still_reach_providers_while_the_host_stops() {
    let (author, script) = (Author::new(), Arc::new(Script::default()));
    let host = host(&author, &script).await;
    let id = start(&host, author.forward_twice()).await;
    start_script(&host, "kv").await;
    host.put_link(link(id, "kv"), false).await.unwrap();
    script.hold.store(true, Ordering::SeqCst);
    let target = id.to_string();
    let mut in_flight = Box::pin(host.call(&target, "Get", Bytes::new(), None));
    while futures::poll!(&mut in_flight).is_pending()
        && futures::poll!(Box::pin(script.holding.notified())).is_pending()
    {
        tokio::task::yield_now().await;
    }
    let steps = Steps::ignore();
    let mut stopping_actor = Box::pin(host.stop_actor(id, &steps));
    assert!(futures::poll!(&mut stopping_actor).is_pending());
    let mut stopping = Box::pin(host.shutdown());
    assert!(futures::poll!(&mut stopping).is_pending());
    // Its first call of the provider ends; the second begins while the host stops.
    script.hold.store(false, Ordering::SeqCst);
    script.release.notify_one();
    let (answer, stopped, ()) = tokio::join!(in_flight, stopping_actor, stopping);
    assert_eq!(answer.unwrap(), "kv #1: Get");
    stopped.unwrap();
}
