//! Bidding for what somebody wants to have run somewhere.

use wattle_types::{
    ProviderId,
    control::{ComponentAuction, ComponentBid, ProviderAuction, ProviderBid},
};

use super::components::called;
use crate::{
    auction::{Answer, Situation, answer},
    fetch::is_within_reach,
    host::Host,
};

/// Bids for an actor, or is silent.
pub(super) async fn component(host: &Host, auction: ComponentAuction) -> Option<ComponentBid> {
    let (reference, id) = (auction.component_ref.trim(), auction.component_id.trim());
    let actor = host.actor_called(id);
    let situation = Situation {
        labels: &host.labels(),
        is_draining: host.closing().is_cancelled(),
        runs_here: actor.is_some_and(|actor| host.actor_slot(actor).is_ok()),
        is_within_reach: called(id).is_ok() && is_within_reach(reference).await,
    };
    let answer = answer(&auction.constraints, situation);
    tracing::debug!(?answer, actor = id, reference, "an auction");
    (answer == Answer::Bid).then(|| ComponentBid {
        component_ref: reference.to_owned(),
        component_id: id.to_owned(),
        host_id: host.id().to_string(),
        constraints: auction.constraints,
    })
}

/// Bids for a provider, or is silent.
pub(super) async fn provider(host: &Host, auction: ProviderAuction) -> Option<ProviderBid> {
    let (reference, id) = (auction.provider_ref.trim(), auction.provider_id.trim());
    let provider: Option<ProviderId> = id.parse().ok();
    let situation = Situation {
        labels: &host.labels(),
        is_draining: host.closing().is_cancelled(),
        runs_here: provider.as_ref().is_some_and(|provider| host.provider_slot(provider).is_ok()),
        is_within_reach: provider.is_some() && host.can_make_provider(reference).await,
    };
    let answer = answer(&auction.constraints, situation);
    tracing::debug!(?answer, provider = id, reference, "an auction");
    (answer == Answer::Bid).then(|| ProviderBid {
        host_id: host.id().to_string(),
        provider_ref: reference.to_owned(),
        provider_id: id.to_owned(),
        constraints: auction.constraints,
    })
}
