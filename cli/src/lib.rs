//! The commands of the wattle program.
