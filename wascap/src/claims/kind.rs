//! Which key may state what about which key.

use std::fmt;

use crate::{ClaimsError, KeyKind, PublicKey};

/// The kinds of claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClaimsKind {
    /// Of an operator, about itself.
    Operator,
    /// Of an operator, about an account that may issue actors and providers.
    Account,
    /// Of an account, about an actor module.
    Actor,
    /// Of an account, about a capability provider.
    Provider,
    /// Of an operator or account, about a cluster key.
    Cluster,
    /// Of an operator, account or cluster, about a host.
    Host,
    /// Of a cluster, about one invocation.
    Invocation,
}

impl ClaimsKind {
    /// Tells the kind from the subject, as nothing else in a token does.
    #[must_use]
    pub fn of_subject(subject: &str) -> Self {
        match subject.parse().map(|key: PublicKey| key.kind()) {
            Ok(KeyKind::Operator) => Self::Operator,
            Ok(KeyKind::Account) => Self::Account,
            Ok(KeyKind::Module) => Self::Actor,
            Ok(KeyKind::Provider) => Self::Provider,
            Ok(KeyKind::Cluster) => Self::Cluster,
            Ok(KeyKind::Host) => Self::Host,
            _ => Self::Invocation,
        }
    }

    /// Returns the kind of key such claims are about, `None` for invocations, which have ids.
    #[must_use]
    pub const fn subject_kind(self) -> Option<KeyKind> {
        match self {
            Self::Operator => Some(KeyKind::Operator),
            Self::Account => Some(KeyKind::Account),
            Self::Actor => Some(KeyKind::Module),
            Self::Provider => Some(KeyKind::Provider),
            Self::Cluster => Some(KeyKind::Cluster),
            Self::Host => Some(KeyKind::Host),
            Self::Invocation => None,
        }
    }

    /// Returns the kinds of key that may issue such claims.
    #[must_use]
    pub const fn issuer_kinds(self) -> &'static [KeyKind] {
        match self {
            Self::Operator | Self::Account => &[KeyKind::Operator],
            Self::Actor | Self::Provider => &[KeyKind::Account],
            Self::Cluster => &[KeyKind::Operator, KeyKind::Account],
            Self::Host => &[KeyKind::Cluster, KeyKind::Account, KeyKind::Operator],
            Self::Invocation => &[KeyKind::Cluster],
        }
    }

    pub(crate) fn check_issuer(self, issuer: &str) -> Result<PublicKey, ClaimsError> {
        let key = issuer.parse::<PublicKey>().ok().filter(|key| self.issuer_kinds().contains(&key.kind()));
        key.ok_or_else(|| ClaimsError::IssuerWrongKind { claims: self, issuer: excerpt(issuer) })
    }

    /// Returns the subject's key, or `None` for invocations. Operators speak for themselves only.
    pub(crate) fn check_subject(self, subject: &str, issuer: &str) -> Result<Option<PublicKey>, ClaimsError> {
        let Some(expected) = self.subject_kind() else {
            return if subject.is_empty() {
                Err(ClaimsError::ClaimsMalformed("empty subject".into()))
            } else {
                Ok(None)
            };
        };
        let key = subject.parse::<PublicKey>().ok().filter(|key| key.kind() == expected);
        let key = key.filter(|_| self != Self::Operator || subject == issuer);
        key.map(Some).ok_or_else(|| ClaimsError::SubjectWrongKind { claims: self, expected, subject: excerpt(subject) })
    }
}

/// Keeps hostile text out of logs and errors.
fn excerpt(text: &str) -> String {
    text.chars().take(crate::PUBLIC_KEY_LEN).collect()
}

impl fmt::Display for ClaimsKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operator => "operator",
            Self::Account => "account",
            Self::Actor => "actor",
            Self::Provider => "provider",
            Self::Cluster => "cluster",
            Self::Host => "host",
            Self::Invocation => "invocation",
        })
    }
}
