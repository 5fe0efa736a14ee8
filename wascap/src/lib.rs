//! Keys, claims and verified modules of the wascap and nkeys formats.
