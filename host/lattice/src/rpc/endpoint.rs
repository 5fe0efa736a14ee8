//! What asking and answering share.

use std::sync::Arc;

use wattle_bus::Bus;

use super::{Identity, Limits, Surroundings, limits::PartLen};

/// The bus, who we are, and the bounds.
pub(super) struct Endpoint {
    pub(super) bus: Arc<dyn Bus>,
    pub(super) identity: Identity,
    pub(super) surroundings: Arc<dyn Surroundings>,
    pub(super) limits: Limits,
    pub(super) part_len: PartLen,
}
