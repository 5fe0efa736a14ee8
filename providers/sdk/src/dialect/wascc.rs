//! waSCC, 2020: operations are bare names, and every argument and result is a structure with camelCase names, as the
//! crate `wascc-codec` wrote them from 0.6.0 to 0.8.1 (later releases have no contracts).
//!
//! Fields that the field's notes spell in snake_case are read in both spellings; only the published one is written.

pub(super) mod http;
pub(super) mod keyvalue;
pub(super) mod logging;
pub(super) mod numbergen;
