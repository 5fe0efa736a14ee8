//! Subscriptions that are made anew whenever the bus ends them.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};

use crate::{Bus, BusError, Subscription};

/// The pause before a subscription is made anew: NATS may go on refusing it, until its permissions are mended.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Subscribes to a subject, and again whenever the bus ends the subscription, as NATS does when it is given other
/// permissions. Ends only by being dropped. What is sent meanwhile is not heard.
///
/// # Errors
/// Those of [`Bus::subscribe`], the first time.
pub async fn listen(bus: Arc<dyn Bus>, subject: String, queue: Option<String>) -> Result<Subscription, BusError> {
    let first = bus.subscribe(&subject, queue.as_deref()).await?;
    let messages = stream::unfold((first, bus, subject, queue), async |(mut messages, bus, subject, queue)| {
        loop {
            if let Some(message) = messages.next().await {
                return Some((message, (messages, bus, subject, queue)));
            }
            messages = again(bus.as_ref(), &subject, queue.as_deref()).await;
        }
    });
    Ok(Subscription::new(messages.boxed()))
}

async fn again(bus: &dyn Bus, subject: &str, queue: Option<&str>) -> Subscription {
    loop {
        tracing::warn!(subject, "a subscription has ended; it is made anew");
        tokio::time::sleep(AGAIN_AFTER).await;
        match bus.subscribe(subject, queue).await {
            Ok(messages) => return messages,
            Err(error) => tracing::warn!(subject, %error, "a subscription cannot be made anew"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use wattle_types::BoxFuture;

    use super::*;
    use crate::{KvError, KvStore, MemoryBus, Message};

    /// A bus that ends each subscription after a message, and refuses every second one.
    struct Fickle {
        bus: MemoryBus,
        asked: AtomicUsize,
    }

    impl Bus for Fickle {
        fn publish<'a>(
            &'a self,
            subject: &'a str,
            reply: Option<&'a str>,
            headers: &'a [(String, String)],
            payload: Bytes,
        ) -> BoxFuture<'a, Result<(), BusError>> {
            self.bus.publish(subject, reply, headers, payload)
        }

        fn request<'a>(
            &'a self,
            subject: &'a str,
            headers: &'a [(String, String)],
            payload: Bytes,
            timeout: Duration,
        ) -> BoxFuture<'a, Result<Message, BusError>> {
            self.bus.request(subject, headers, payload, timeout)
        }

        fn subscribe<'a>(
            &'a self,
            subject: &'a str,
            queue: Option<&'a str>,
        ) -> BoxFuture<'a, Result<Subscription, BusError>> {
            Box::pin(async move {
                if self.asked.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
                    return Err(BusError::BadSubject(subject.to_owned()));
                }
                self.bus.subscribe(subject, queue).await.map(|messages| Subscription::new(messages.take(1)))
            })
        }

        fn new_inbox(&self) -> String {
            self.bus.new_inbox()
        }

        fn drain(&self) -> BoxFuture<'_, ()> {
            self.bus.drain()
        }

        fn is_connected(&self) -> bool {
            self.bus.is_connected()
        }

        fn bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Arc<dyn KvStore>, KvError>> {
            self.bus.bucket(name)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_bus_ends_is_made_anew_until_it_is_dropped() {
        let bus = Arc::new(Fickle { bus: MemoryBus::new(), asked: AtomicUsize::new(0) });
        let mut messages = listen(bus.clone(), "a".into(), None).await.unwrap();
        for number in 0..3_u8 {
            bus.publish("a", None, &[], vec![number].into()).await.unwrap();
            assert_eq!(messages.next().await.unwrap().payload, [number].as_slice());
            // Nothing comes, so the subscription is made anew meanwhile.
            assert!(tokio::time::timeout(3 * AGAIN_AFTER, messages.next()).await.is_err());
        }
        drop(messages);
        assert_eq!(bus.asked.load(Ordering::Relaxed), 7);
    }
}
