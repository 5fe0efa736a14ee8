//! Who may replace whom: plain decisions over claims.

use wattle_types::{ActorId, ProviderId, wascap::PublicKey};

use crate::{actor::ActorFacts, error::HostError};

/// Decides whether `new` may take the place of `running`.
///
/// Issuer and signature were checked when `new` was verified; here: the same subject, and a revision that is not lower
/// unless `force`.
pub(crate) fn check_update(running: &ActorFacts, new: &ActorFacts, force: bool) -> Result<(), HostError> {
    if new.id != running.id {
        return Err(HostError::SubjectChanged { running: running.id, found: new.id });
    }
    if new.revision < running.revision && !force {
        return Err(HostError::RevisionTooLow { running: running.revision, found: new.revision });
    }
    Ok(())
}

/// Longest call alias, in bytes.
const ALIAS_LEN_MAX: usize = 128;

/// Decides whether `new` may use its call alias, given who has it now.
pub(crate) fn check_alias(new: &ActorFacts, holder: Option<ActorId>) -> Result<(), HostError> {
    match (&new.call_alias, holder) {
        (Some(alias), _) if !is_alias(alias) => {
            Err(HostError::AliasInvalid { alias: alias.chars().take(128).collect() })
        }
        (Some(alias), Some(holder)) if holder != new.id => Err(HostError::AliasTaken { alias: alias.clone(), holder }),
        _ => Ok(()),
    }
}

/// Decides whether a provider of `kind` may run as `id`: a key belongs to the archive that is signed for it.
pub(crate) fn check_provider_id(id: &ProviderId, kind: &ProviderId) -> Result<(), HostError> {
    if is_key(id) && id != kind {
        return Err(HostError::ProviderChanged { running: id.clone(), found: kind.clone() });
    }
    Ok(())
}

/// Decides whether a provider of kind `new` may take the place of one of kind `running`: an archive only gives way to
/// one with the same subject, or to what ships with the host.
pub(crate) fn check_provider_update(running: &ProviderId, new: &ProviderId) -> Result<(), HostError> {
    if is_key(running) && is_key(new) && running != new {
        return Err(HostError::ProviderChanged { running: running.clone(), found: new.clone() });
    }
    Ok(())
}

/// Decides whether an archive of revision `new` may take the place of one of revision `running`. What ships with the
/// host has none, and may come and go.
pub(crate) fn check_provider_revision(running: Option<i32>, new: Option<i32>, force: bool) -> Result<(), HostError> {
    match (running, new) {
        (Some(running), Some(found)) if found < running && !force => Err(HostError::RevisionTooLow { running, found }),
        _ => Ok(()),
    }
}

fn is_key(id: &ProviderId) -> bool {
    id.as_str().parse::<PublicKey>().is_ok()
}

/// Whether a name can be told from a contract, which has a colon, and from an actor's key.
fn is_alias(alias: &str) -> bool {
    !alias.is_empty() && alias.len() <= ALIAS_LEN_MAX && !alias.contains(':') && alias.parse::<ActorId>().is_err()
}

#[cfg(test)]
mod tests {
    use wattle_types::wascap::KeyKind;

    use super::*;

    #[test]
    fn an_archive_gives_way_to_a_lower_revision_only_by_force() {
        let check = |running, new, force| check_provider_revision(running, new, force).is_ok();
        assert!(check(Some(2), Some(2), false) && check(Some(2), Some(3), false));
        assert!(!check(Some(2), Some(1), false) && check(Some(2), Some(1), true));
        assert!(check(Some(2), None, false) && check(None, Some(-1), false));
    }

    fn facts(id: u8, revision: i32) -> ActorFacts {
        ActorFacts {
            id: PublicKey::from_bytes(KeyKind::Module, [id; 32]).try_into().unwrap(),
            issuer: PublicKey::from_bytes(KeyKind::Account, [9; 32]).try_into().unwrap(),
            name: None,
            revision,
            version: None,
            call_alias: Some("alias".into()),
            capabilities: Vec::new(),
        }
    }

    #[test]
    fn an_update_keeps_the_subject_and_does_not_go_back() {
        let code = |new: &ActorFacts, force| check_update(&facts(1, 2), new, force).map_err(|error| error.code());
        assert_eq!(code(&facts(1, 3), false), Ok(()));
        assert_eq!(code(&facts(1, 2), false), Ok(()));
        assert_eq!(code(&facts(1, 1), false), Err("revision_too_low"));
        assert_eq!(code(&facts(1, 1), true), Ok(()));
        assert_eq!(code(&facts(2, 3), true), Err("subject_changed"));
    }

    #[test]
    fn an_alias_cannot_be_taken_for_a_contract_or_a_key() {
        for alias in ["", "wasmcloud:builtin:logging", &facts(1, 0).id.to_string(), &"x".repeat(129)] {
            let named = ActorFacts { call_alias: Some(alias.to_owned()), ..facts(2, 0) };
            assert_eq!(check_alias(&named, None).unwrap_err().code(), "alias_invalid", "{alias:?}");
        }
    }

    #[test]
    fn an_archive_keeps_its_key() {
        let key = |byte| ProviderId::from(PublicKey::from_bytes(KeyKind::Provider, [byte; 32]));
        let kind: ProviderId = "keyvalue-redis".parse().unwrap();
        assert!(check_provider_id(&"store".parse().unwrap(), &key(1)).is_ok());
        assert!(check_provider_id(&key(1), &key(1)).is_ok());
        assert_eq!(check_provider_id(&key(2), &key(1)).unwrap_err().code(), "subject_changed");
        assert_eq!(check_provider_id(&key(2), &kind).unwrap_err().code(), "subject_changed");
        assert!(check_provider_update(&key(1), &key(1)).is_ok());
        assert!(check_provider_update(&kind, &key(1)).is_ok());
        assert_eq!(check_provider_update(&key(1), &key(2)).unwrap_err().code(), "subject_changed");
    }

    #[test]
    fn an_alias_belongs_to_one_actor() {
        assert!(check_alias(&facts(1, 0), None).is_ok());
        assert!(check_alias(&facts(1, 0), Some(facts(1, 0).id)).is_ok());
        assert_eq!(check_alias(&facts(1, 0), Some(facts(2, 0).id)).unwrap_err().code(), "alias_taken");
    }
}
