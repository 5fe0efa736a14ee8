//! Bounds what one answer of a store holds, before it is copied.

use crate::KeyValueError;

/// Most bytes of one answer, as they take room in memory. No message is longer.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Room for the items of one answer: each is counted before it is copied.
#[derive(Debug, Default)]
pub struct AnswerRoom {
    taken: usize,
}

impl AnswerRoom {
    /// Copies `item` if there is room for it.
    ///
    /// # Errors
    /// [`KeyValueError::TooLarge`] when the answer has become longer than 16 MiB, each item counted with its handle.
    pub fn copy(&mut self, item: &str) -> Result<String, KeyValueError> {
        self.taken = self.taken.saturating_add(item.len()).saturating_add(size_of::<String>());
        if self.taken > ANSWER_BYTES_MAX {
            return Err(KeyValueError::TooLarge { what: "an answer", size: self.taken, limit: ANSWER_BYTES_MAX });
        }
        Ok(item.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_item_too_many_is_not_copied() {
        let mut room = AnswerRoom::default();
        let half = "x".repeat(ANSWER_BYTES_MAX / 2 - size_of::<String>());
        assert_eq!(room.copy(&half).unwrap(), half);
        assert_eq!(room.copy(&half).unwrap(), half);
        assert_eq!(room.copy("").unwrap_err().code(), "value_too_large");
        let mut room = AnswerRoom::default();
        let empty = std::iter::repeat_with(|| room.copy("")).take_while(Result::is_ok).count();
        assert_eq!(empty, ANSWER_BYTES_MAX / size_of::<String>());
    }
}
