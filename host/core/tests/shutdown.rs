//! Stopping a host while it works.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;

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
