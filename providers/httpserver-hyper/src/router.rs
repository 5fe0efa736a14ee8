//! From host and path to the link that serves them: an immutable table.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use rustls::sign::CertifiedKey;
use tokio_util::task::TaskTracker;
use wattle_provider_sdk::HttpCodec;
use wattle_types::{ActorInvoker, LinkKey, ProviderId};

use crate::{budget::Budget, settings::LinkSettings};

/// One link of one generation, ready to be called.
pub(crate) struct Route {
    pub(crate) generation: u64,
    pub(crate) provider: ProviderId,
    pub(crate) key: LinkKey,
    pub(crate) settings: LinkSettings,
    pub(crate) certificate: Option<Arc<CertifiedKey>>,
    pub(crate) codec: HttpCodec,
    pub(crate) actors: Arc<dyn ActorInvoker>,
    /// What the generation's requests may hold of their bodies together.
    pub(crate) bodies: Arc<Budget>,
    /// What the generation may hold of answers that clients have yet to read. Apart from the bodies: who reads nothing
    /// keeps nobody from asking.
    pub(crate) answers: Arc<Budget>,
    /// The generation's requests; closed when it takes no more.
    pub(crate) in_flight: TaskTracker,
}

impl Route {
    /// Tells whether both claim the same requests of one address.
    pub(crate) fn same_place(&self, other: &Self) -> bool {
        self.settings.host == other.settings.host && self.settings.path == other.settings.path
    }
}

/// The routes of one host name, longest path first.
type Paths = Vec<Arc<Route>>;

/// The routes of one address.
#[derive(Default)]
pub(crate) struct Router {
    hosts: HashMap<String, Paths>,
    any_host: Paths,
}

impl Router {
    /// Makes a router in which newer generations hide older ones.
    pub(crate) fn new(routes: &[Arc<Route>]) -> Self {
        let mut newest_first: Vec<_> = routes.iter().collect();
        newest_first.sort_by_key(|route| std::cmp::Reverse(route.generation));
        let mut router = Self::default();
        for route in newest_first {
            let paths = match &route.settings.host {
                Some(host) => router.hosts.entry(host.clone()).or_default(),
                None => &mut router.any_host,
            };
            if !paths.iter().any(|known| known.same_place(route)) {
                paths.push(Arc::clone(route));
            }
        }
        for paths in router.hosts.values_mut().chain([&mut router.any_host]) {
            paths.sort_by_key(|route| std::cmp::Reverse(route.settings.path.len()));
        }
        router
    }

    /// Returns the route with the longest path among those of `host`, or else among those of any host.
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<&Arc<Route>> {
        let below = |routes: &'_ Paths| routes.iter().position(|route| is_below(path, &route.settings.path));
        if !self.hosts.is_empty()
            && let Some(routes) = self.hosts.get(lower(host).as_ref())
            && let Some(index) = below(routes)
        {
            return routes.get(index);
        }
        below(&self.any_host).and_then(|index| self.any_host.get(index))
    }
}

fn lower(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) { host.to_ascii_lowercase().into() } else { host.into() }
}

/// Whether `path` is `prefix` or a path under it: `/api` covers `/api/x`, not `/apix`.
fn is_below(path: &str, prefix: &str) -> bool {
    prefix == "/" || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_segment() {
        for (path, prefix, expected) in [
            ("/", "/", true),
            ("/x", "/", true),
            ("*", "/", true),
            ("/api", "/api", true),
            ("/api/x", "/api", true),
            ("/apix", "/api", false),
            ("/", "/api", false),
            ("/API", "/api", false),
        ] {
            assert_eq!(is_below(path, prefix), expected, "{path} under {prefix}");
        }
    }
}
