//! NUIDs: the 22 letters and digits that name a token.

use crate::KeyError;

const LEN: usize = 22;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Returns a new NUID, all of it random (131 bits).
pub(super) fn next() -> Result<String, KeyError> {
    let mut id = String::with_capacity(LEN);
    while id.len() < LEN {
        let mut raw = [0; 32];
        getrandom::fill(&mut raw).map_err(|_| KeyError::NoRandomness)?;
        // Six bits name one of 64; the two beyond the alphabet are thrown again, so that all letters are as likely.
        let letters = raw.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 0x3f)));
        id.extend(letters.take(LEN - id.len()).map(|letter| char::from(*letter)));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_have_22_letters_and_differ() {
        let ids: std::collections::BTreeSet<String> = (0..100).map(|_| super::next().unwrap()).collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| id.len() == 22 && id.bytes().all(|b| b.is_ascii_alphanumeric())));
    }
}
