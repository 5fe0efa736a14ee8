//! Seeds, and faults planted to be found.
