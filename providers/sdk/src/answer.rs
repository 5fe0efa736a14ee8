//! Bounds what one answer of a store holds, before it is copied.

use crate::KeyValueError;

/// Room for the items of one answer: each is counted before it is copied.
#[derive(Debug, Default)]
pub struct AnswerRoom {
    taken: usize,
}

impl AnswerRoom {
    /// Most bytes of one answer, as they take room in memory. No message is longer.
    pub const BYTES_MAX: usize = 16 << 20;
    /// What an item counts besides its bytes: its handle.
    pub const ITEM_OVERHEAD: usize = size_of::<String>();

    /// Copies `item` if there is room for it.
    ///
    /// # Errors
    /// [`KeyValueError::TooLarge`] when the answer has become longer than 16 MiB, each item counted with its handle.
    pub fn copy(&mut self, item: &str) -> Result<String, KeyValueError> {
        self.taken = self.taken.saturating_add(item.len()).saturating_add(Self::ITEM_OVERHEAD);
        if self.taken > Self::BYTES_MAX {
            return Err(Self::refusal(self.taken));
        }
        Ok(item.to_owned())
    }

    /// Returns the error of an answer that would have `size` bytes, for stores that count elsewhere.
    #[must_use]
    pub const fn refusal(size: usize) -> KeyValueError {
        KeyValueError::TooLarge { what: "an answer", size, limit: Self::BYTES_MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_item_too_many_is_not_copied() {
        let mut room = AnswerRoom::default();
        let half = "x".repeat(AnswerRoom::BYTES_MAX / 2 - AnswerRoom::ITEM_OVERHEAD);
        assert_eq!(room.copy(&half).unwrap(), half);
        assert_eq!(room.copy(&half).unwrap(), half);
        assert_eq!(room.copy("").unwrap_err().code(), "value_too_large");
        let mut room = AnswerRoom::default();
        let empty = std::iter::repeat_with(|| room.copy("")).take_while(Result::is_ok).count();
        assert_eq!(empty, AnswerRoom::BYTES_MAX / AnswerRoom::ITEM_OVERHEAD);
    }
}
