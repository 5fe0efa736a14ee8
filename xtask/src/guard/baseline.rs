//! What a call cost when somebody last looked.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Instructions of one call may grow by so much: other versions of the C library copy a little differently. A needless
/// copy of 64 KiB is several times that.
const TOLERANCE_PERCENT: u64 = 5;

/// The file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Baseline {
    /// How much more is allowed.
    tolerance_percent: u64,
    /// Instructions of one call.
    instructions: BTreeMap<String, u64>,
}

/// What became of one case.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    case: String,
    counted: u64,
    expected: Option<u64>,
    most: u64,
}

impl Baseline {
    pub(super) fn of(counted: &[(&str, u64)]) -> Self {
        let instructions = counted.iter().map(|(case, count)| ((*case).to_owned(), *count));
        Self { tolerance_percent: TOLERANCE_PERCENT, instructions: instructions.collect() }
    }

    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        serde_json::from_str(&text).with_context(|| file.display().to_string())
    }

    pub(super) fn write(&self, file: &Path) -> Result<()> {
        Ok(fs::write(file, serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// Compares; a case the baseline does not know is too many.
    pub(super) fn judge(&self, case: &str, counted: u64) -> Verdict {
        let expected = self.instructions.get(case).copied();
        let most = expected.map_or(0, |expected| expected + expected * self.tolerance_percent / 100);
        Verdict { case: case.to_owned(), counted, expected, most }
    }
}

impl Verdict {
    pub(super) const fn is_too_many(&self) -> bool {
        self.counted > self.most
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, counted, expected, most } = self;
        let Some(expected) = expected else { return write!(f, "{case}: {counted} instructions, and no baseline") };
        let change = (*counted as f64 / *expected as f64 - 1.0) * 100.0;
        let said = if self.is_too_many() { "TOO MANY" } else { "ok" };
        write!(
            f,
            "{case:<14} {counted:>8} instructions a call; were {expected}, {change:+.1} %, at most {most}: {said}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_tolerance_is_too_many() {
        let baseline = Baseline::of(&[("a", 1000)]);
        assert!(!baseline.judge("a", 1050).is_too_many());
        assert!(!baseline.judge("a", 10).is_too_many());
        assert!(baseline.judge("a", 1051).is_too_many());
        assert!(baseline.judge("new", 1).is_too_many());
    }
}
