//! What a link and the provider can be told, and what holds otherwise.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use wattle_provider_sdk::Settings;
use wattle_types::{LinkDefinition, ProviderContext, ProviderError};

/// The values of a link, all optional; names are compared without case.
///
/// | name | default | means |
/// |---|---|---|
/// | `address` | `127.0.0.1:8080` | where to listen: `host:port` with an IP address or `localhost`, `:port`, or a port |
/// | `port` | | the same for older links: a port on 127.0.0.1 |
/// | `host` | any | only requests for this host name |
/// | `path` | `/` | only requests at this path or below it |
/// | `timeout_ms` | 30000 | from the request's head to the actor's answer; then 408 or 504 |
/// | `max_body_bytes` | 10485760 | a larger body is refused with 413 |
/// | `access_log` | `on` | one line for each request, target `wattle::access` |
/// | `error_details` | `on` | whether error bodies quote what actors and providers say of their failures |
/// | `cert_file`, `key_file` | | PEM files: serve TLS. Also `tls_cert_file`, `tls_priv_key_file` |
/// | `max_header_bytes` | 32768 | longer request heads are refused with 431 |
/// | `max_connections` | 4096 | beyond that, idle ones are closed, and where there is none, clients wait |
/// | `max_connections_per_client` | a quarter, at least 64 | what one address may have of them; more are closed |
/// | `header_timeout_ms` | 10000 | for a TLS handshake, for the first request head, and for one that has begun |
/// | `idle_timeout_ms` | 75000 | a connection is closed after this without requests, or with an answer not read |
///
/// The last five hold for an address; where links share one, the largest of each counts.
pub const LINK_SETTINGS: &[&str] = &[
    "address",
    "port",
    "host",
    "path",
    "timeout_ms",
    "max_body_bytes",
    "access_log",
    "error_details",
    "cert_file",
    "key_file",
    "tls_cert_file",
    "tls_priv_key_file",
    "max_header_bytes",
    "max_connections",
    "max_connections_per_client",
    "header_timeout_ms",
    "idle_timeout_ms",
];

/// The provider's configuration: defaults for its links, and what holds for all of them together.
///
/// | name | default | means |
/// |---|---|---|
/// | `drain_grace_ms` | 5000 | how long connections of a closing address may stay idle until they are closed |
/// | `max_buffered_bytes` | 268435456 | bytes of bodies that all requests hold together; more are refused with 503 |
/// | `max_unread_bytes` | 268435456 | bytes of answers that clients have yet to read; more become a 503 |
///
/// No body may be larger than `max_buffered_bytes`, whatever `max_body_bytes` says.
pub const PROVIDER_SETTINGS: &[&str] = &[
    "address",
    "port",
    "timeout_ms",
    "max_body_bytes",
    "access_log",
    "error_details",
    "cert_file",
    "key_file",
    "tls_cert_file",
    "tls_priv_key_file",
    "max_header_bytes",
    "max_connections",
    "max_connections_per_client",
    "header_timeout_ms",
    "idle_timeout_ms",
    "drain_grace_ms",
    "max_buffered_bytes",
    "max_unread_bytes",
];

/// Where a link without an address is served: reachable from this machine only.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Room for large cookies and tokens.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// A header table larger than this is an attack.
const MAX_HEADER_BYTES_MAX: usize = 1024 * 1024;
/// As large as a payload can be: an actor's memory is 4 GiB.
const MAX_BODY_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Room for 25 of the largest bodies, or a great many of the usual ones.
const MAX_BUFFERED_BYTES: usize = 256 * 1024 * 1024;
/// Room for 16 of the largest answers, or a great many of the usual ones.
const MAX_UNREAD_BYTES: usize = 256 * 1024 * 1024;
/// More than machines have, and less than what arithmetic bears.
const BUDGET_BYTES_MAX: usize = isize::MAX as usize;
/// As many as a browser or two and a few scripts have; a quarter of less would be felt.
const CONNECTIONS_PER_CLIENT_MIN: usize = 64;
/// An hour: longer than any sensible request, short enough for arithmetic.
const MS_MAX: u64 = 3_600_000;

/// One link's settings.
#[derive(Debug, Clone)]
pub(crate) struct LinkSettings {
    pub(crate) address: SocketAddr,
    /// In lower case, without a port.
    pub(crate) host: Option<String>,
    /// Starts with `/`; ends with it only if it is all there is.
    pub(crate) path: String,
    pub(crate) timeout: Duration,
    pub(crate) max_body_bytes: usize,
    pub(crate) access_log: bool,
    pub(crate) error_details: bool,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) limits: ConnectionLimits,
}

/// PEM files of a certificate chain and its key.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// What holds for the connections of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionLimits {
    pub(crate) max_header_bytes: usize,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_client: usize,
    pub(crate) header_timeout: Duration,
    pub(crate) idle_timeout: Duration,
}

impl ConnectionLimits {
    /// Returns the larger of each limit.
    pub(crate) fn widest(self, other: Self) -> Self {
        Self {
            max_header_bytes: self.max_header_bytes.max(other.max_header_bytes),
            max_connections: self.max_connections.max(other.max_connections),
            max_connections_per_client: self.max_connections_per_client.max(other.max_connections_per_client),
            header_timeout: self.header_timeout.max(other.header_timeout),
            idle_timeout: self.idle_timeout.max(other.idle_timeout),
        }
    }
}

/// The provider's configuration, checked.
#[derive(Debug)]
pub(crate) struct ServerSettings {
    defaults: Settings,
    pub(crate) drain_grace: Duration,
    pub(crate) max_buffered_bytes: usize,
    pub(crate) max_unread_bytes: usize,
}

impl ServerSettings {
    /// Reads a provider's configuration.
    ///
    /// # Errors
    /// [`ProviderError::BadConfig`] for a name or value that cannot be used.
    pub(crate) fn parse(context: &ProviderContext) -> Result<Self, ProviderError> {
        let defaults = Settings::parse(&context.config, PROVIDER_SETTINGS)?;
        let drain_grace = milliseconds(&defaults, "drain_grace_ms", 5_000)?;
        let max_buffered_bytes = count(&defaults, "max_buffered_bytes", MAX_BUFFERED_BYTES, BUDGET_BYTES_MAX)?;
        let max_unread_bytes = count(&defaults, "max_unread_bytes", MAX_UNREAD_BYTES, BUDGET_BYTES_MAX)?;
        let settings = Self { defaults, drain_grace, max_buffered_bytes, max_unread_bytes };
        settings.resolve(Settings::default())?;
        Ok(settings)
    }

    /// Reads a link's values over these defaults.
    ///
    /// # Errors
    /// [`ProviderError::BadConfig`] for a name or value that cannot be used.
    pub(crate) fn link(&self, link: &LinkDefinition) -> Result<LinkSettings, ProviderError> {
        self.resolve(Settings::parse(&link.values, LINK_SETTINGS)?)
    }

    fn resolve(&self, link: Settings) -> Result<LinkSettings, ProviderError> {
        let address = match address(&link)? {
            Some(address) => address,
            None => address(&self.defaults)?.unwrap_or(ADDRESS),
        };
        let merged = self.defaults.overlaid(link);
        let max_connections = count(&merged, "max_connections", 4096, 1_000_000)?;
        let per_client = (max_connections / 4).max(CONNECTIONS_PER_CLIENT_MIN);
        let max_body_bytes = count(&merged, "max_body_bytes", 10 * 1024 * 1024, MAX_BODY_BYTES_MAX)?;
        Ok(LinkSettings {
            address,
            host: merged.get("host").map(host).transpose()?.flatten(),
            path: path(merged.get("path").unwrap_or("/"))?,
            timeout: milliseconds(&merged, "timeout_ms", 30_000)?,
            max_body_bytes: max_body_bytes.min(self.max_buffered_bytes),
            access_log: switch(&merged, "access_log")?,
            error_details: switch(&merged, "error_details")?,
            tls: tls_files(&merged)?,
            limits: ConnectionLimits {
                max_header_bytes: count(&merged, "max_header_bytes", MAX_HEADER_BYTES, MAX_HEADER_BYTES_MAX)?,
                max_connections,
                max_connections_per_client: count(&merged, "max_connections_per_client", per_client, 1_000_000)?,
                header_timeout: milliseconds(&merged, "header_timeout_ms", 10_000)?,
                idle_timeout: milliseconds(&merged, "idle_timeout_ms", 75_000)?,
            },
        })
    }
}

fn bad(message: impl Into<String>) -> ProviderError {
    ProviderError::BadConfig(message.into())
}

fn number<T: FromStr>(settings: &Settings, name: &str, default: T, what: &str) -> Result<T, ProviderError> {
    settings.get_or(name, default, what)
}

fn milliseconds(settings: &Settings, name: &str, default: u64) -> Result<Duration, ProviderError> {
    let ms: u64 = number(settings, name, default, "a number of milliseconds")?;
    if !(1..=MS_MAX).contains(&ms) {
        return Err(bad(format!("{name} must be between 1 and {MS_MAX} milliseconds")));
    }
    Ok(Duration::from_millis(ms))
}

fn count(settings: &Settings, name: &str, default: usize, max: usize) -> Result<usize, ProviderError> {
    let count: usize = number(settings, name, default, "a number")?;
    if !(1..=max).contains(&count) {
        return Err(bad(format!("{name} must be between 1 and {max}")));
    }
    Ok(count)
}

fn switch(settings: &Settings, name: &str) -> Result<bool, ProviderError> {
    match settings.get(name).map(str::trim) {
        None | Some("on" | "true" | "1") => Ok(true),
        Some("off" | "false" | "0") => Ok(false),
        Some(_) => Err(bad(format!("{name} must be on or off"))),
    }
}

fn address(settings: &Settings) -> Result<Option<SocketAddr>, ProviderError> {
    let text = match (settings.get("address"), settings.get("port")) {
        (Some(_), Some(_)) => return Err(bad("give address or port, not both")),
        (None, None) => return Ok(None),
        (Some(text), None) | (None, Some(text)) => text.trim(),
    };
    let loopback = |port| SocketAddr::new(ADDRESS.ip(), port);
    let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')).unwrap_or(text);
    if let Ok(port) = port.parse() {
        return Ok(Some(loopback(port)));
    }
    text.parse().map(Some).map_err(|_| {
        bad(format!("{text:?} is no address: give an IP address and a port such as 0.0.0.0:8080, or a port"))
    })
}

/// `None` stands for every host.
fn host(text: &str) -> Result<Option<String>, ProviderError> {
    let text = text.trim();
    if text.is_empty() || text == "*" {
        return Ok(None);
    }
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'[' | b']' | b':');
    let port = text.rsplit_once(':').is_some_and(|(name, _)| !name.contains(':') || name.ends_with(']'));
    if port || !text.bytes().all(valid) {
        return Err(bad(format!("{text:?} is no host name: give it without scheme, port and wildcards")));
    }
    Ok(Some(text.to_ascii_lowercase()))
}

fn path(text: &str) -> Result<String, ProviderError> {
    let text = text.trim();
    if !text.starts_with('/') || text.contains(['?', '#']) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad(format!("{text:?} is no path: it starts with / and has neither query nor spaces")));
    }
    let trimmed = text.trim_end_matches('/');
    Ok(if trimmed.is_empty() { "/".into() } else { trimmed.into() })
}

fn tls_files(settings: &Settings) -> Result<Option<TlsFiles>, ProviderError> {
    let either = |name: &str, alias: &str| settings.get(name).or_else(|| settings.get(alias));
    match (either("cert_file", "tls_cert_file"), either("key_file", "tls_priv_key_file")) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert: cert.into(), key: key.into() })),
        _ => Err(bad("TLS needs both cert_file and key_file")),
    }
}

#[cfg(test)]
mod tests;
