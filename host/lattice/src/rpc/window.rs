//! Which messages of a session were taken already.

/// How far a message may be overtaken by later ones. Twice as many as may be on their way at once.
const WIDTH: u64 = 8192;
const WORDS: usize = (WIDTH / 64) as usize;

/// Takes each counter once; what is too old to tell is not taken.
#[derive(Debug)]
pub(super) struct Window {
    highest: u64,
    /// One bit for each of the last `WIDTH` counters, at its remainder.
    seen: Box<[u64; WORDS]>,
}

impl Default for Window {
    fn default() -> Self {
        Self { highest: 0, seen: Box::new([0; WORDS]) }
    }
}

impl Window {
    /// Takes `counter` if it is new. Counters start at 1.
    pub(super) fn take(&mut self, counter: u64) -> bool {
        if counter > self.highest {
            self.advance(counter);
        } else if counter == 0 || self.highest - counter >= WIDTH {
            return false;
        }
        let Some((word, bit)) = self.place(counter) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Forgets what leaves the window when `counter` enters it.
    fn advance(&mut self, counter: u64) {
        if counter - self.highest >= WIDTH {
            self.seen.fill(0);
        } else {
            for passed in self.highest + 1..=counter {
                if let Some((word, bit)) = self.place(passed) {
                    *word &= !bit;
                }
            }
        }
        self.highest = counter;
    }

    fn place(&mut self, counter: u64) -> Option<(&mut u64, u64)> {
        let index = usize::try_from(counter % WIDTH / 64).ok()?;
        Some((self.seen.get_mut(index)?, 1 << (counter % 64)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_counter_is_taken_once_in_any_order() {
        let mut window = Window::default();
        for counter in [1, 3, 2, 9000, 900, 9001, 8999] {
            assert!(window.take(counter), "{counter}");
            assert!(!window.take(counter), "{counter}");
        }
    }

    #[test]
    fn what_is_too_old_to_tell_is_not_taken() {
        let mut window = Window::default();
        assert!(!window.take(0));
        assert!(window.take(WIDTH + 1));
        assert!(window.take(2));
        assert!(!window.take(1));
        assert!(window.take(u64::MAX));
        assert!(!window.take(WIDTH));
        assert!(window.take(u64::MAX - WIDTH + 1));
    }

    #[test]
    fn it_agrees_with_a_set_of_all_counters() {
        let (mut window, mut model, mut highest) = (Window::default(), BTreeSet::new(), 0);
        let mut state = 1_u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let random = state >> 33;
            let counter =
                (highest + random % 200).saturating_sub(if random & 1024 == 0 { 100 } else { random % 10_000 });
            let expected = counter > 0 && counter + WIDTH > highest && model.insert(counter);
            assert_eq!(window.take(counter), expected, "{counter} {highest}");
            highest = highest.max(counter);
        }
    }
}
