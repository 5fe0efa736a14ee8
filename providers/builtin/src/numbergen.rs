//! Numbers from the operating system's randomness, and a sequence.

use std::sync::atomic::{AtomicU64, Ordering};

use wattle_provider_sdk::NumberGen;
use wattle_types::ProviderError;

/// Every number and identifier is fresh from the system; nothing can be guessed from what was given before.
#[derive(Debug, Default)]
pub struct HostNumbers {
    last: AtomicU64,
}

impl NumberGen for HostNumbers {
    fn guid(&self) -> Result<String, ProviderError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(no_randomness)?;
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
    }

    fn random_in_range(&self, min: u32, max: u32) -> Result<u32, ProviderError> {
        let width = max
            .checked_sub(min)
            .ok_or_else(|| ProviderError::BadRequest(format!("the range from {min} to {max} is empty")))?;
        if width <= 1 {
            return Ok(min);
        }
        // Numbers beyond the last whole multiple of the width would come up too often; each is drawn again with a
        // chance of less than a half.
        let fair = u32::MAX - u32::MAX % width;
        loop {
            let drawn = self.random_u32()?;
            if drawn < fair {
                return Ok(min + drawn % width);
            }
        }
    }

    fn random_u32(&self) -> Result<u32, ProviderError> {
        getrandom::u32().map_err(no_randomness)
    }

    fn sequence(&self) -> Result<u64, ProviderError> {
        Ok(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

fn no_randomness(error: getrandom::Error) -> ProviderError {
    ProviderError::BackendUnavailable(format!("the system gives no random numbers: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_a_random_uuid() {
        let numbers = HostNumbers::default();
        let guid = numbers.guid().unwrap();
        assert_eq!(uuid::Uuid::parse_str(&guid).unwrap().get_version_num(), 4);
        assert_eq!(guid.len(), 36);
        assert_ne!(guid, numbers.guid().unwrap());
    }

    #[test]
    fn a_range_includes_its_start_and_not_its_end() {
        let numbers = HostNumbers::default();
        let drawn: Vec<u32> = (0..1000).map(|_| numbers.random_in_range(10, 14).unwrap()).collect();
        assert!((10..14).all(|number| drawn.contains(&number)));
        assert!(drawn.iter().all(|number| (10..14).contains(number)));
        assert_eq!(numbers.random_in_range(7, 7), Ok(7));
        assert_eq!(numbers.random_in_range(7, 8), Ok(7));
        assert_eq!(numbers.random_in_range(8, 7).unwrap_err().code(), "request_invalid");
        assert!(numbers.random_in_range(0, u32::MAX).unwrap() < u32::MAX);
    }

    #[test]
    fn a_sequence_grows() {
        let numbers = HostNumbers::default();
        assert_eq!((numbers.sequence(), numbers.sequence()), (Ok(1), Ok(2)));
    }
}
