//! Certificates from files, and the one that fits a connection.

use std::{collections::HashMap, fmt, path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{fs::File, io::AsyncReadExt};
use tokio_rustls::TlsAcceptor;
use wattle_types::ProviderError;

use crate::{router::Route, settings::TlsFiles};

/// Largest PEM file read: many certificates, no disk image given by mistake.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// Reads and checks a certificate chain with its key.
///
/// # Errors
/// [`ProviderError::BadConfig`] naming the file, when it cannot be read or used, or the key is another's.
pub(crate) async fn load(files: &TlsFiles) -> Result<Arc<CertifiedKey>, ProviderError> {
    let chain = read(&files.cert).await?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<_, _>>()
        .map_err(|error| bad(&files.cert, format_args!("holds no PEM certificates: {error}")))?;
    if chain.is_empty() {
        return Err(bad(&files.cert, format_args!("holds no PEM certificate")));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key).await?)
        .map_err(|error| bad(&files.key, format_args!("holds no PEM private key: {error}")))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .map(Arc::new)
        .map_err(|error| bad(&files.key, format_args!("cannot be used with {}: {error}", files.cert.display())))
}

/// Makes the acceptor for an address, or `None` when its routes have no certificates.
///
/// # Errors
/// [`ProviderError::Failed`] when the cryptography library offers no protocol version, which it does.
pub(crate) fn acceptor(routes: &[Arc<Route>]) -> Result<Option<TlsAcceptor>, ProviderError> {
    let Some(certificates) = Certificates::new(routes) else { return Ok(None) };
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ProviderError::Failed(format!("TLS: {error}")))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

/// Certificates by host name. Clients that name none of them get the first.
struct Certificates {
    hosts: HashMap<String, Arc<CertifiedKey>>,
    first: Arc<CertifiedKey>,
}

impl Certificates {
    fn new(routes: &[Arc<Route>]) -> Option<Self> {
        let mut oldest_first: Vec<_> = routes.iter().collect();
        oldest_first.sort_by_key(|route| route.generation);
        let mut hosts = HashMap::new();
        let mut first = None;
        for route in oldest_first {
            let Some(certificate) = &route.certificate else { continue };
            match &route.settings.host {
                Some(host) => drop(hosts.insert(host.clone(), Arc::clone(certificate))),
                None => first = Some(Arc::clone(certificate)),
            }
        }
        let first = first.or_else(|| hosts.values().next().cloned())?;
        Some(Self { hosts, first })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.hosts.get(&name.to_ascii_lowercase()));
        Some(Arc::clone(named.unwrap_or(&self.first)))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("hosts", &self.hosts.keys()).finish_non_exhaustive()
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, ProviderError> {
    let unreadable = |error: std::io::Error| bad(path, format_args!("cannot be read: {error}"));
    // Asked before opening: to open a pipe is to wait for its writer.
    if !tokio::fs::metadata(path).await.map_err(unreadable)?.is_file() {
        return Err(bad(path, format_args!("is no regular file")));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).await.map_err(unreadable)?;
    file.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes).await.map_err(unreadable)?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(bad(path, format_args!("is larger than {PEM_BYTES_MAX} bytes: that is no PEM file")));
    }
    Ok(bytes)
}

fn bad(path: &Path, what: fmt::Arguments<'_>) -> ProviderError {
    ProviderError::BadConfig(format!("{} {what}", path.display()))
}
