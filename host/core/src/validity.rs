//! Claims that may end while what they are about runs.

use arc_swap::ArcSwapOption;
use wattle_types::{
    InvokeError,
    wascap::{Claims, ClaimsError, PublicKey, TrustPolicy, Verified},
};

/// For how long what runs may be called: as long as its claims hold, and whoever signed them is trusted.
#[derive(Debug, Default)]
pub(crate) struct Validity {
    /// `None` for what has no claims, as what ships with the host.
    signed: Option<Signed>,
    /// Why it may not be called now.
    lapsed: ArcSwapOption<ClaimsError>,
}

#[derive(Debug)]
struct Signed {
    claims: Claims<()>,
    issuer: PublicKey,
    /// When claims and trust end, whichever ends first.
    expires: Option<u64>,
}

impl Validity {
    /// Begins with claims that were verified at `now`.
    pub(crate) fn of<T>(verified: &Verified<T>, trust: &TrustPolicy, now: u64) -> Self {
        let (claims, issuer) = (verified.claims().clone(), verified.issuer());
        let trusted = trust.trusted_until(issuer, now).ok().flatten();
        let expires = claims.expires.into_iter().chain(trusted).min();
        Self { signed: Some(Signed { claims, issuer, expires }), lapsed: ArcSwapOption::empty() }
    }

    /// Looks at the clock, in seconds since 1970. Returns what came of it if that is new: a clock that was wrong may
    /// also be set right again.
    pub(crate) fn look(&self, trust: &TrustPolicy, now: u64) -> Option<Result<(), ClaimsError>> {
        let signed = self.signed.as_ref()?;
        let holds = signed.claims.check_times(now).and_then(|()| trust.check_issuer(signed.issuer, now));
        if self.lapsed.load().is_some() == holds.is_err() {
            return None;
        }
        self.lapsed.store(holds.clone().err().map(Into::into));
        Some(holds)
    }

    /// Refuses calls of what may not be called any more. As fast as what is asked before each call has to be.
    pub(crate) fn check(&self, target: impl FnOnce() -> String) -> Result<(), InvokeError> {
        match self.lapsed.load().as_deref() {
            None => Ok(()),
            Some(error) => Err(lapsed(target(), error)),
        }
    }

    /// Returns when the claims end, or the trust in who signed them, in seconds since 1970.
    pub(crate) fn expires(&self) -> Option<u64> {
        self.signed.as_ref()?.expires
    }

    /// Returns why it may not be called now.
    pub(crate) fn why_not(&self) -> Option<String> {
        self.lapsed.load().as_deref().map(in_words)
    }
}

fn lapsed(target: String, error: &ClaimsError) -> InvokeError {
    InvokeError::ClaimsLapsed { target, code: error.code(), message: in_words(error) }
}

/// Says it so that it stays true: the error's own words count from when it was made.
fn in_words(error: &ClaimsError) -> String {
    match error {
        ClaimsError::Expired { expired_at, .. } => format!("its claims ended at {expired_at}, in seconds since 1970"),
        ClaimsError::NotYetValid { valid_from, .. } => {
            format!("its claims begin at {valid_from}, in seconds since 1970")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use wattle_types::wascap::{Account, Actor, KeyKind, KeyPair, verify_token};

    use super::*;

    #[test]
    fn claims_end_and_begin_again_when_the_clock_is_set_back() {
        let [account, module] =
            [KeyKind::Account, KeyKind::Module].map(|kind| KeyPair::from_seed_bytes(kind, [1; 32]).unwrap());
        let claims = Claims::new(Actor::new("x"), module.public_key(), 1_000).not_before(900).expires_at(2_000);
        let trust = TrustPolicy::new().trust_account(account.public_key()).unwrap();
        let verified = verify_token::<Actor>(&claims.sign(&account).unwrap(), 1_000, &trust).unwrap();
        let validity = Validity::of(&verified, &trust, 1_000);
        let code = || validity.check(|| "actor x".into()).map_err(|error| error.code());
        assert_eq!((validity.look(&trust, 2_000), code(), validity.expires()), (None, Ok(()), Some(2_000)));
        assert_eq!(validity.look(&trust, 2_001).unwrap().unwrap_err().code(), "claims_expired");
        assert_eq!((validity.look(&trust, 2_002), code()), (None, Err("claims_expired")));
        assert_eq!((validity.look(&trust, 1_999), code()), (Some(Ok(())), Ok(())));
        assert!(validity.look(&trust, 899).is_some_and(|holds| holds.is_err()));
        assert_eq!(code(), Err("claims_not_yet_valid"));
        assert_eq!((Validity::default().look(&trust, u64::MAX), Validity::default().why_not()), (None, None));
    }

    #[test]
    fn what_an_account_signed_ends_when_nobody_vouches_for_the_account_any_more() {
        let [operator, account, module] = [KeyKind::Operator, KeyKind::Account, KeyKind::Module]
            .map(|kind| KeyPair::from_seed_bytes(kind, [1; 32]).unwrap());
        let word = Claims::new(Account::new("a"), account.public_key(), 1).expires_at(1_500).sign(&operator).unwrap();
        let trust = TrustPolicy::new().trust_operator(operator.public_key()).unwrap().account_token(&word).unwrap();
        let claims = Claims::new(Actor::new("x"), module.public_key(), 1_000).expires_at(2_000);
        let verified = verify_token::<Actor>(&claims.sign(&account).unwrap(), 1_000, &trust).unwrap();
        let validity = Validity::of(&verified, &trust, 1_000);
        let refused = || validity.check(|| "actor x".into()).err();
        assert_eq!((validity.look(&trust, 1_500), validity.expires()), (None, Some(1_500)));
        assert_eq!(validity.look(&trust, 1_501).unwrap().unwrap_err().code(), "issuer_not_trusted");
        let error = refused().unwrap();
        assert_eq!(error.code(), "issuer_not_trusted");
        assert!(error.remedy().unwrap().contains("--account-token"), "{error}");
    }
}
