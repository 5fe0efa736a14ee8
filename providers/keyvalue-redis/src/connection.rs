//! The one connection of a store, made anew by the first call that finds it broken.
//!
//! No failure is kept: whatever the last attempt met (network, login, rights, a server still loading), the next call
//! tries again. Calls that come while one is being made share the attempt and its failure.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, ProtocolVersion, PushInfo, PushKind, RedisError,
    ServerErrorKind, aio::MultiplexedConnection,
};

type Attempt = Shared<BoxFuture<'static, Result<Live, RedisError>>>;

/// How connections are made.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) client: Client,
    pub(crate) connect_timeout: Duration,
    /// How long the answer to a command may take.
    pub(crate) timeout: Duration,
}

/// An open connection.
#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    /// Set once it is of no more use.
    is_over: Arc<AtomicBool>,
}

/// The connection in use, or the attempt at one.
pub(crate) struct Connection {
    connector: Connector,
    current: Mutex<Attempt>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached or does not let us in.
    pub(crate) async fn open(connector: Connector) -> Result<Self, RedisError> {
        let current = Mutex::new(connector.attempt());
        let connection = Self { connector, current };
        connection.live().await?;
        Ok(connection)
    }

    /// Sends a command and waits for its answer. Sends it once at most.
    pub(crate) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        let mut live = self.live().await?;
        let answer = command.query_async(&mut live.connection).await;
        if answer.as_ref().is_err_and(ends_connection) {
            live.is_over.store(true, Ordering::Release);
        }
        answer
    }

    async fn live(&self) -> Result<Live, RedisError> {
        let attempt = {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            let is_over = match current.peek() {
                None => false,
                Some(Ok(live)) => live.is_over.load(Ordering::Acquire),
                Some(Err(_)) => true,
            };
            if is_over {
                *current = self.connector.attempt();
            }
            current.clone()
        };
        attempt.await
    }
}

impl Connector {
    /// Begins to connect, and goes on with it if nobody waits any more.
    fn attempt(&self) -> Attempt {
        let attempt = self.clone().connect().boxed().shared();
        #[expect(clippy::disallowed_methods, reason = "ends by itself: connecting takes `connect_timeout` at most")]
        drop(tokio::spawn(attempt.clone()));
        attempt
    }

    /// Asks for the protocol in which a closed connection is noticed while no command is on its way; Redis speaks it
    /// since version 6.
    async fn connect(self) -> Result<Live, RedisError> {
        match self.connect_by(ProtocolVersion::RESP3).await {
            Err(error) if is_unknown_protocol(&error) => self.connect_by(ProtocolVersion::RESP2).await,
            result => result,
        }
    }

    async fn connect_by(&self, protocol: ProtocolVersion) -> Result<Live, RedisError> {
        let info = self.client.get_connection_info().clone();
        let settings = info.redis_settings().clone().set_protocol(protocol);
        let client = Client::open(info.set_redis_settings(settings))?;
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.timeout));
        let is_over = Arc::new(AtomicBool::new(false));
        if protocol != ProtocolVersion::RESP2 {
            let closed = Arc::clone(&is_over);
            config = config.set_push_sender(move |push: PushInfo| {
                closed.fetch_or(push.kind == PushKind::Disconnection, Ordering::Release);
                Ok::<(), ()>(())
            });
        }
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Live { connection, is_over })
    }
}

fn is_unknown_protocol(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::RESP3NotSupported | ErrorKind::Server(ServerErrorKind::ResponseError))
}

/// Returns whether a new connection may fare better: this one is broken, its login is no longer taken, or its server
/// has become a replica and the address may mean another by now.
fn ends_connection(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.code() == Some("NOAUTH")
        || matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
}
