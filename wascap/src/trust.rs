//! Whom a host believes: accounts named directly, and accounts that trusted operators vouch for.

use std::collections::BTreeSet;

use crate::{
    Account, Claims, ClaimsError, ClaimsKind, Distrust, KeyError, KeyKind, Metadata, Operator, PublicKey, Token,
};

/// The end of what has none.
const FOR_EVER: u64 = u64::MAX;

/// The issuers a verifier trusts. The default trusts nobody.
///
/// Vouchers (account and operator tokens) are kept with their times, which are checked at each verification.
#[derive(Debug, Clone, Default)]
pub struct TrustPolicy {
    accounts: BTreeSet<PublicKey>,
    operators: BTreeSet<PublicKey>,
    clusters: BTreeSet<PublicKey>,
    vouchers: Vec<Voucher>,
    allow_unverifiable_legacy: bool,
}

/// What one token says: `issuer` lets `keys` issue, for a while.
#[derive(Debug, Clone)]
struct Voucher {
    issuer: PublicKey,
    keys: BTreeSet<PublicKey>,
    times: Claims<()>,
}

impl TrustPolicy {
    /// Makes a policy that trusts nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts what this account issues.
    ///
    /// # Errors
    /// [`ClaimsError::Key`] if it is not an account's key.
    pub fn trust_account(mut self, account: PublicKey) -> Result<Self, ClaimsError> {
        self.accounts.insert(account.expect_kind(KeyKind::Account)?);
        Ok(self)
    }

    /// Trusts accounts this operator vouches for in tokens given to [`TrustPolicy::account_token`].
    ///
    /// # Errors
    /// [`ClaimsError::Key`] if it is not an operator's key.
    pub fn trust_operator(mut self, operator: PublicKey) -> Result<Self, ClaimsError> {
        self.operators.insert(operator.expect_kind(KeyKind::Operator)?);
        Ok(self)
    }

    /// Trusts invocations this cluster key signed.
    ///
    /// # Errors
    /// [`ClaimsError::Key`] if it is not a cluster's key.
    pub fn trust_cluster(mut self, cluster: PublicKey) -> Result<Self, ClaimsError> {
        self.clusters.insert(cluster.expect_kind(KeyKind::Cluster)?);
        Ok(self)
    }

    /// Adds an operator's word for an account and the account's further signers.
    ///
    /// It counts while the operator is trusted and the token's own times hold.
    ///
    /// # Errors
    /// Whatever is wrong with the token itself, its signature and key kinds included.
    pub fn account_token(self, token: &str) -> Result<Self, ClaimsError> {
        self.voucher::<Account>(token, |account| account.valid_signers)
    }

    /// Adds an operator's own token, which names keys that may vouch for accounts in its place.
    ///
    /// It counts while that operator is trusted and the token's own times hold.
    ///
    /// # Errors
    /// Whatever is wrong with the token itself, its signature and key kinds included.
    pub fn operator_token(self, token: &str) -> Result<Self, ClaimsError> {
        self.voucher::<Operator>(token, |operator| operator.valid_signers)
    }

    /// Decides about modules signed before wascap 0.10 whose hash no known rule reproduces. The default refuses them.
    ///
    /// Allowing them means that any such token can be moved onto any module: the signature then proves nothing about
    /// the code.
    #[must_use]
    pub const fn allow_unverifiable_legacy(mut self, allow: bool) -> Self {
        self.allow_unverifiable_legacy = allow;
        self
    }

    pub(crate) const fn allows_unverifiable_legacy(&self) -> bool {
        self.allow_unverifiable_legacy
    }

    /// Checks that `issuer` may issue claims of any kind its own kind may, at `now`.
    ///
    /// # Errors
    /// [`ClaimsError::IssuerNotTrusted`] with the reason.
    pub fn check_issuer(&self, issuer: PublicKey, now: u64) -> Result<(), ClaimsError> {
        self.trusted_until(issuer, now).map(drop)
    }

    /// Checks the same, and returns the last second at which it holds, if it ends: what an issuer has signed is to be
    /// trusted no longer than the issuer is.
    ///
    /// # Errors
    /// [`ClaimsError::IssuerNotTrusted`] with the reason.
    pub fn trusted_until(&self, issuer: PublicKey, now: u64) -> Result<Option<u64>, ClaimsError> {
        let verdict = match issuer.kind() {
            KeyKind::Account if self.accounts.contains(&issuer) => Ok(FOR_EVER),
            KeyKind::Account => self.check_vouchers(issuer, now, |voucher| self.check_operator(voucher.issuer, now)),
            KeyKind::Operator => self.check_operator(issuer, now),
            KeyKind::Cluster if self.clusters.contains(&issuer) => Ok(FOR_EVER),
            _ => Err(Distrust::Unknown),
        };
        let until = verdict.map_err(|why| ClaimsError::IssuerNotTrusted { issuer, why })?;
        Ok(Some(until).filter(|until| *until != FOR_EVER))
    }

    fn check_operator(&self, operator: PublicKey, now: u64) -> Result<u64, Distrust> {
        if self.operators.contains(&operator) {
            return Ok(FOR_EVER);
        }
        // A stand-in's word about further stand-ins does not count: the chain ends at a key named directly.
        self.check_vouchers(operator, now, |voucher| {
            let direct = self.operators.contains(&voucher.issuer);
            if direct { Ok(FOR_EVER) } else { Err(Distrust::OperatorNotTrusted(voucher.issuer)) }
        })
    }

    /// Returns until when the vouchers for `key` that hold go on holding; without one, why the last one found does not.
    /// A chain ends with the first of its links, and of several chains the longest counts.
    fn check_vouchers(
        &self,
        key: PublicKey,
        now: u64,
        check_issuer: impl Fn(&Voucher) -> Result<u64, Distrust>,
    ) -> Result<u64, Distrust> {
        let mut verdict: Result<u64, Distrust> = Err(Distrust::Unknown);
        for voucher in self.vouchers.iter().filter(|voucher| voucher.keys.contains(&key)) {
            let issuer = check_issuer(voucher).map_err(|_| Distrust::OperatorNotTrusted(voucher.issuer));
            let holds = issuer.and_then(|until| Ok(voucher.check_times(now)?.min(until)));
            verdict = match (verdict, holds) {
                (Ok(before), Ok(until)) => Ok(before.max(until)),
                (Ok(before), Err(_)) => Ok(before),
                (Err(_), holds) => holds,
            };
        }
        verdict
    }

    fn voucher<T: Metadata>(
        mut self,
        token: &str,
        signers: impl FnOnce(T) -> Option<Vec<String>>,
    ) -> Result<Self, ClaimsError> {
        let token = Token::parse(token)?;
        let claims = token.claims::<T>()?;
        let issuer = T::KIND.check_issuer(&claims.issuer)?;
        let subject = T::KIND.check_subject(&claims.subject, &claims.issuer)?;
        token.check_signature(issuer)?;
        let (times, metadata) = claims.split();
        let further = metadata.and_then(signers).unwrap_or_default();
        let further = further.iter().map(|key| signer_key(T::KIND, key)).collect::<Result<Vec<_>, _>>()?;
        self.vouchers.push(Voucher { issuer, keys: further.into_iter().chain(subject).collect(), times });
        Ok(self)
    }
}

/// Further signers are keys of the subject's own kind.
fn signer_key(claims: ClaimsKind, text: &str) -> Result<PublicKey, ClaimsError> {
    let key: PublicKey = text.parse()?;
    match claims.subject_kind() {
        Some(kind) => Ok(key.expect_kind(kind)?),
        None => Err(ClaimsError::Key(KeyError::NotAVerifyingKey)),
    }
}

impl Voucher {
    /// Returns the last second at which it holds.
    fn check_times(&self, now: u64) -> Result<u64, Distrust> {
        match self.times.check_times(now) {
            Ok(()) => Ok(self.times.expires.unwrap_or(FOR_EVER)),
            Err(ClaimsError::NotYetValid { .. }) => Err(Distrust::VoucherNotYetValid),
            Err(_) => Err(Distrust::VoucherExpired),
        }
    }
}

#[cfg(test)]
mod tests;
