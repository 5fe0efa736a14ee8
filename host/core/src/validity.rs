//! Claims that may end while what they are about runs.

use arc_swap::ArcSwapOption;
use wattle_types::{
    InvokeError,
    wascap::{Claims, ClaimsError},
};

/// For how long what runs may be called.
#[derive(Debug, Default)]
pub(crate) struct Validity {
    /// `None` for what has no claims, as what ships with the host.
    claims: Option<Claims<()>>,
    /// Why it may not be called now.
    lapsed: ArcSwapOption<ClaimsError>,
}

impl Validity {
    pub(crate) fn of(claims: &Claims<()>) -> Self {
        Self { claims: Some(claims.clone()), lapsed: ArcSwapOption::empty() }
    }

    /// Looks at the clock, in seconds since 1970. Returns what came of it if that is new: a clock that was wrong may
    /// also be set right again.
    pub(crate) fn look(&self, now: u64) -> Option<Result<(), ClaimsError>> {
        let holds = self.claims.as_ref()?.check_times(now);
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

    /// Returns when the claims end, in seconds since 1970.
    pub(crate) fn expires(&self) -> Option<u64> {
        self.claims.as_ref()?.expires
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
    use wattle_types::wascap::{Actor, KeyKind, KeyPair, TrustPolicy, verify_token};

    use super::*;

    #[test]
    fn claims_end_and_begin_again_when_the_clock_is_set_back() {
        let [account, module] =
            [KeyKind::Account, KeyKind::Module].map(|kind| KeyPair::from_seed_bytes(kind, [1; 32]).unwrap());
        let claims = Claims::new(Actor::new("x"), module.public_key(), 1_000).not_before(900).expires_at(2_000);
        let trust = TrustPolicy::new().trust_account(account.public_key()).unwrap();
        let verified = verify_token::<Actor>(&claims.sign(&account).unwrap(), 1_000, &trust).unwrap();
        let validity = Validity::of(verified.claims());
        let code = || validity.check(|| "actor x".into()).map_err(|error| error.code());
        assert_eq!((validity.look(2_000), code(), validity.expires()), (None, Ok(()), Some(2_000)));
        assert_eq!(validity.look(2_001).unwrap().unwrap_err().code(), "claims_expired");
        assert_eq!((validity.look(2_002), code()), (None, Err("claims_expired")));
        assert_eq!((validity.look(1_999), code()), (Some(Ok(())), Ok(())));
        assert!(validity.look(899).is_some_and(|holds| holds.is_err()));
        assert_eq!(code(), Err("claims_not_yet_valid"));
        assert_eq!((Validity::default().look(u64::MAX), Validity::default().why_not()), (None, None));
    }
}
