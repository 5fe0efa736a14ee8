//! A listening socket, its table and its connections.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Notify,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wattle_types::ProviderError;

use crate::{
    clients::{Admission, Clients},
    connection::{self, Activity},
    table::Table,
};

/// Connections the kernel may hold while we are busy; it caps this at `net.core.somaxconn`.
const BACKLOG: u32 = 4096;
/// Pause after a failed accept: what fails (no file descriptors left) does not pass at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Pause until a full address is looked over again for a connection that has become idle.
const FULL_PAUSE: Duration = Duration::from_millis(100);

/// One address being served.
pub(crate) struct Listener {
    address: SocketAddr,
    local_address: SocketAddr,
    table: ArcSwap<Table>,
    /// The same as `drain`, but free to ask.
    closing: AtomicBool,
    grace_ms: AtomicU64,
    drain: CancellationToken,
    kill: CancellationToken,
    acceptor: TaskTracker,
    connections: TaskTracker,
    streams: TaskTracker,
    /// Connections there are. The tracker lets go of one only after the acceptor was told.
    clients: Clients,
    /// Wakes the acceptor: a connection has ended, or more of them may be.
    room: Notify,
}

impl Listener {
    /// Binds `address` and starts to accept.
    ///
    /// # Errors
    /// [`ProviderError::BackendUnavailable`] saying why the address cannot be had.
    pub(crate) fn open(address: SocketAddr, table: Table) -> Result<Arc<Self>, ProviderError> {
        let (socket, local_address) = bind(address).map_err(|error| cannot_listen(address, &error))?;
        let listener = Arc::new(Self {
            address,
            local_address,
            table: ArcSwap::from_pointee(table),
            closing: AtomicBool::new(false),
            grace_ms: AtomicU64::new(0),
            drain: CancellationToken::new(),
            kill: CancellationToken::new(),
            acceptor: TaskTracker::new(),
            connections: TaskTracker::new(),
            streams: TaskTracker::new(),
            clients: Clients::default(),
            room: Notify::new(),
        });
        listener.acceptor.spawn(Arc::clone(&listener).accept(socket));
        listener.acceptor.close();
        tracing::info!(address = %local_address, "listening");
        Ok(listener)
    }

    /// Returns the address asked for.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address listened on.
    pub(crate) const fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Returns the table of this moment.
    pub(crate) const fn table(&self) -> &ArcSwap<Table> {
        &self.table
    }

    /// Replaces the table, from the next request on.
    pub(crate) fn publish(&self, table: Table) {
        self.table.store(Arc::new(table));
        self.room.notify_one();
    }

    /// Returns the tracker of HTTP/2 streams.
    pub(crate) const fn streams(&self) -> &TaskTracker {
        &self.streams
    }

    /// Starts to close: no new connections, and those there are end after an answer, or after `grace` when idle.
    pub(crate) fn close(&self, grace: Duration) {
        self.grace_ms.store(u64::try_from(grace.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if !self.closing.swap(true, Ordering::Release) {
            tracing::info!(address = %self.local_address, "closing");
        }
        self.drain.cancel();
    }

    /// Returns whether [`Self::close`] was called.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Returns how long idle connections may stay while closing.
    pub(crate) fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms.load(Ordering::Relaxed))
    }

    /// Returns the token that is cancelled when closing begins.
    pub(crate) const fn drain(&self) -> &CancellationToken {
        &self.drain
    }

    /// Returns the token that ends every connection at once.
    pub(crate) const fn kill(&self) -> &CancellationToken {
        &self.kill
    }

    /// Waits until the address is free, after [`Self::close`].
    pub(crate) async fn deaf(&self) {
        self.acceptor.wait().await;
    }

    /// Waits until no connection is left, after [`Self::close`].
    pub(crate) async fn closed(&self) {
        self.deaf().await;
        self.connections.wait().await;
        self.streams.wait().await;
    }

    /// Returns whether no connection is left, after [`Self::close`].
    pub(crate) fn is_closed(&self) -> bool {
        self.connections.is_closed() && self.connections.is_empty() && self.streams.is_empty()
    }

    async fn accept(self: Arc<Self>, socket: TcpListener) {
        while let Some(accepted) = self.next(&socket).await {
            match accepted {
                Ok((stream, peer)) => self.serve(stream, peer).await,
                Err(error) if of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(address = %self.local_address, %error, "cannot accept");
                    let _ = tokio::time::timeout(ACCEPT_PAUSE, self.drain.cancelled()).await;
                }
            }
        }
        // The kernel has accepted these clients: closing the socket now would reset them. The kernel is asked, for the
        // reactor may not have heard of them.
        if let Ok(socket) = socket.into_std() {
            while let Ok((stream, peer)) = socket.accept() {
                if stream.set_nonblocking(true).is_ok()
                    && let Ok(stream) = TcpStream::from_std(stream)
                {
                    self.serve(stream, peer).await;
                }
            }
        }
        self.connections.close();
        self.streams.close();
    }

    /// Returns the next connection, or `None` when closing.
    async fn next(&self, socket: &TcpListener) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        tokio::select! {
            biased;
            () = self.drain.cancelled() => None,
            accepted = socket.accept() => Some(accepted),
        }
    }

    /// Serves a connection once there is room for it, or closes it if its client has too many.
    async fn serve(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let activity = Arc::new(Activity::default());
        let Some(open) = self.admit(peer, &activity).await else {
            return tracing::debug!(%peer, "a client has too many connections");
        };
        // Without it small answers wait for acknowledgements; a socket that refuses is about to fail anyway.
        let _ = stream.set_nodelay(true);
        self.connections.spawn(async move {
            connection::serve(&open.listener, &activity, stream).await;
            drop(open);
        });
    }

    /// Waits for room. Whoever waits while the address closes is let in: it was accepted.
    async fn admit(self: &Arc<Self>, peer: SocketAddr, activity: &Arc<Activity>) -> Option<Open> {
        loop {
            let mut limits = self.table.load().limits?;
            if self.is_closing() {
                limits.max_connections = usize::MAX;
            }
            match self.clients.admit(peer.ip(), activity, limits, tokio::time::Instant::now().into_std()) {
                Admission::Place(number) => return Some(Open { listener: Arc::clone(self), number }),
                Admission::TooMany => return None,
                Admission::Full => tokio::select! {
                    biased;
                    () = self.drain.cancelled() => {}
                    () = self.room.notified() => {}
                    () = tokio::time::sleep(FULL_PAUSE) => {}
                },
            }
        }
    }
}

/// A connection, counted until it is dropped.
struct Open {
    listener: Arc<Listener>,
    number: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        // In this order: the acceptor counts as soon as it is told.
        self.listener.clients.leave(self.number);
        self.listener.room.notify_one();
    }
}

fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of an earlier process that linger in TIME_WAIT do not keep us from the address.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let local_address = listener.local_addr()?;
    Ok((listener, local_address))
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> ProviderError {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "another program has it; stop that program or give the link another address".into(),
        io::ErrorKind::PermissionDenied => "not permitted; ports below 1024 need privileges, try 8080".into(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address; 0.0.0.0 stands for all it has".into(),
        _ => error.to_string(),
    };
    ProviderError::BackendUnavailable(format!("cannot listen on {address}: {why}"))
}

/// Failures of the connection being accepted, not of accepting.
fn of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
