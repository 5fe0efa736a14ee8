//! What servers are shown to be let in. Kept in memory only, and never told to anybody else.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use reqwest::{RequestBuilder, Url};
use wattle_types::control::RegistryCredential;

/// Servers one host knows credentials for.
const REGISTRIES_MAX: usize = 256;
/// Longest name of a server, with its port, in bytes.
const SERVER_LEN_MAX: usize = 260;
/// Longest name, password or token, in bytes: some tokens carry many claims.
const SECRET_LEN_MAX: usize = 16 * 1024;
/// Where https is spoken when nothing else is said.
const HTTPS_PORT: u16 = 443;

/// Why credentials were not kept. None of those that came with them were.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegistryError {
    /// The server's name is none.
    #[error("{0:?} is no server: use HOST or HOST:PORT, which is then spoken to over https")]
    BadServer(String),
    /// A name, password or token is too long or not for a header.
    #[error("the credential for {server} has more than {SECRET_LEN_MAX} bytes or control characters")]
    BadCredential {
        /// Which server it is for.
        server: String,
    },
    /// There are too many.
    #[error("this host keeps credentials of at most {REGISTRIES_MAX} servers")]
    TooMany,
}

impl RegistryError {
    /// Returns the stable name of this error.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::BadServer(_) | Self::BadCredential { .. } => "registry_invalid",
            Self::TooMany => "registry_limit",
        }
    }
}

/// What one server is shown.
#[derive(Clone, PartialEq, Eq)]
enum Credential {
    Token(String),
    User { name: String, password: String },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

/// A server: its name and port.
type Server = (String, u16);

/// Credentials by server.
#[derive(Debug, Default)]
pub(crate) struct Registries(Mutex<BTreeMap<Server, Credential>>);

impl Registries {
    /// Keeps all of these credentials, or none. An empty one takes back what was kept.
    pub(crate) fn put(&self, given: BTreeMap<String, RegistryCredential>) -> Result<(), RegistryError> {
        let given = given.into_iter().map(|(name, credential)| {
            let server = server(&name)?;
            let credential = read(credential).ok_or(RegistryError::BadCredential { server: server.0.clone() })?;
            Ok((server, credential))
        });
        let given: BTreeMap<_, _> = given.collect::<Result<_, _>>()?;
        let mut kept = self.lock();
        let added = given.iter().filter(|(server, credential)| credential.is_some() && !kept.contains_key(*server));
        if kept.len() + added.count() > REGISTRIES_MAX {
            return Err(RegistryError::TooMany);
        }
        for (server, credential) in given {
            match credential {
                Some(credential) => drop(kept.insert(server, credential)),
                None => drop(kept.remove(&server)),
            }
        }
        Ok(())
    }

    /// Shows the server of `url` what is known for it; any other server, and any but https, nothing.
    pub(crate) fn show(&self, request: RequestBuilder, url: &Url) -> RequestBuilder {
        let Some(host) = url.host_str().filter(|_| url.scheme() == "https") else { return request };
        let server = (host.to_ascii_lowercase(), url.port_or_known_default().unwrap_or(HTTPS_PORT));
        match self.lock().get(&server) {
            Some(Credential::Token(token)) => request.bearer_auth(token),
            Some(Credential::User { name, password }) => request.basic_auth(name, Some(password)),
            None => request,
        }
    }

    /// A panic while the lock was held leaves a map that is still whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Server, Credential>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads `HOST`, `HOST:PORT`, or either with `https://` before it.
fn server(name: &str) -> Result<Server, RegistryError> {
    let bad = || RegistryError::BadServer(name.chars().take(80).collect());
    let bare = name.trim();
    let bare = bare.strip_prefix("https://").unwrap_or(bare);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    let is_one_name = !bare.is_empty() && bare.len() <= SERVER_LEN_MAX && !bare.contains(['/', '@', '?', '#', '\\']);
    let url = Url::parse(&format!("https://{bare}")).ok().filter(|_| is_one_name).ok_or_else(bad)?;
    let host = url.host_str().ok_or_else(bad)?;
    Ok((host.to_ascii_lowercase(), url.port_or_known_default().unwrap_or(HTTPS_PORT)))
}

/// Reads a credential: `None` when it cannot be used, `Some(None)` when it is empty.
fn read(given: RegistryCredential) -> Option<Option<Credential>> {
    let fields = [&given.username, &given.password, &given.token];
    let is_fit = |text: &String| text.len() <= SECRET_LEN_MAX && !text.chars().any(char::is_control);
    if !fields.into_iter().flatten().all(is_fit) {
        return None;
    }
    Some(match (given.token, given.username) {
        (Some(token), _) if !token.is_empty() => Some(Credential::Token(token)),
        (_, Some(name)) if !name.is_empty() => {
            Some(Credential::User { name, password: given.password.unwrap_or_default() })
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, password: &str) -> RegistryCredential {
        RegistryCredential {
            username: Some(name.into()),
            password: Some(password.into()),
            ..RegistryCredential::default()
        }
    }

    fn token(token: &str) -> RegistryCredential {
        RegistryCredential { token: Some(token.into()), ..RegistryCredential::default() }
    }

    /// Returns what a server would be shown.
    fn shown(registries: &Registries, url: &str) -> Option<String> {
        let url: Url = url.parse().unwrap();
        let client = reqwest::Client::builder().build().unwrap();
        let request = registries.show(client.get(url.clone()), &url).build().unwrap();
        let header = request.headers().get("authorization")?;
        assert!(header.is_sensitive(), "a log could show it");
        Some(header.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_server_is_shown_its_own_credential_over_https_only() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let registries = Registries::default();
        let given = [("Ghcr.io", user("me", "pass")), ("https://other.io:5000/", token("t0ken"))];
        registries.put(given.map(|(server, credential)| (server.to_owned(), credential)).into()).unwrap();
        let basic = Some("Basic bWU6cGFzcw==".to_owned());
        assert_eq!(shown(&registries, "https://ghcr.io/a/b.wasm"), basic);
        assert_eq!(shown(&registries, "https://GHCR.io:443/a"), basic);
        assert_eq!(shown(&registries, "https://other.io:5000/x"), Some("Bearer t0ken".to_owned()));
        for stranger in [
            "https://ghcr.io:8443/a",
            "https://other.io/x",
            "https://evil-ghcr.io/",
            "https://ghcr.io.evil.com/",
            "http://ghcr.io:443/a",
        ] {
            assert_eq!(shown(&registries, stranger), None, "{stranger}");
        }
        registries.put([("ghcr.io".to_owned(), RegistryCredential::default())].into()).unwrap();
        assert_eq!(shown(&registries, "https://ghcr.io/a/b.wasm"), None);
    }

    #[test]
    fn what_cannot_be_used_is_refused_as_a_whole_and_never_shown() {
        let registries = Registries::default();
        for server in ["", "http://ghcr.io", "a/b", "user@ghcr.io", &*"a".repeat(300), "a b"] {
            let given = [(server.to_owned(), token("secret")), ("fine.io".to_owned(), token("secret"))];
            let error = registries.put(given.into()).unwrap_err();
            assert_eq!(error.code(), "registry_invalid", "{server:?}");
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
        assert!(registries.put([("a.io".to_owned(), token("two\r\nlines"))].into()).is_err());
        assert!(registries.lock().is_empty());
        registries.put([("a.io".to_owned(), user("me", "hunter2"))].into()).unwrap();
        assert!(!format!("{registries:?}").contains("hunter2"));
    }

    #[test]
    fn credentials_are_bounded() {
        let registries = Registries::default();
        let many = |count: usize| (0..count).map(|n| (format!("server{n}.io"), token("t"))).collect();
        assert_eq!(registries.put(many(REGISTRIES_MAX + 1)), Err(RegistryError::TooMany));
        assert_eq!(registries.put(many(REGISTRIES_MAX)), Ok(()));
        assert_eq!(registries.put([("server7.io".to_owned(), user("a", "b"))].into()), Ok(()));
        assert_eq!(registries.put([("new.io".to_owned(), token("t"))].into()), Err(RegistryError::TooMany));
    }
}
