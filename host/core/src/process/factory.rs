//! From a reference to a running process.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wattle_types::{
    BoxFuture, ContractId, Handover, LinkName, Provider, ProviderContext, ProviderError, ProviderFactory, ProviderId,
    wascap::{ClaimsError, KeyKind, KeyPair, TrustPolicy, VerifiedArchive, current_target, verify_archive},
};

use super::{
    Processes,
    binary::Binary,
    channel::Channel,
    doors::Identity,
    host_data::HostData,
    provider::{NextGeneration, ProcessProvider, Shared},
    supervisor::{Launch, Status, supervise},
    unix_now,
};
use crate::{error::HostError, fetch::fetch, registries::Registries, validity::Validity};

/// What a reference to an archive stands for.
pub(crate) struct Resolved {
    /// The archive's subject (`V...`).
    pub(crate) key: ProviderId,
    pub(crate) factory: Arc<dyn ProviderFactory>,
    /// Its place in the order of versions; without one it comes before all that have one.
    pub(crate) revision: i32,
    /// What its claims say that it serves.
    pub(crate) contract: ContractId,
    pub(crate) validity: Validity,
}

/// Fetches and verifies the archive `reference` names and stores its program for this machine.
pub(crate) async fn resolve(
    reference: &str,
    trust: &TrustPolicy,
    processes: Option<&Arc<Processes>>,
    registries: &Registries,
) -> Result<Resolved, HostError> {
    let needs_bus = || HostError::ProviderNeedsBus { reference: reference.to_owned() };
    let processes = processes.ok_or_else(needs_bus)?;
    let bytes = fetch(reference, registries).await?.bytes;
    let policy = trust.clone();
    let verified = tokio::task::spawn_blocking(move || verify_archive(&bytes, unix_now(), &policy)).await;
    let verified = verified.map_err(|error| HostError::Internal(error.to_string()))?;
    let refused = |error| HostError::Archive { reference: reference.to_owned(), error };
    let archive = verified.map_err(refused)?;
    let contract: ContractId = contract(&archive).map_err(refused)?.parse()?;
    let factory = ProcessFactory {
        key: archive.provider_id().into(),
        contracts: vec![contract.clone()],
        binary: store(reference, &archive, processes).await?,
        processes: processes.clone(),
    };
    let revision = archive.claims().metadata().revision.unwrap_or(0);
    let validity = Validity::of(archive.claims(), trust, unix_now());
    Ok(Resolved { key: factory.key.clone(), factory: Arc::new(factory), revision, contract, validity })
}

fn contract(archive: &VerifiedArchive) -> Result<&str, ClaimsError> {
    let contract = archive.claims().metadata().contract.as_deref();
    contract.ok_or_else(|| ClaimsError::ClaimsMalformed("they name no contract (capid)".into()))
}

async fn store(reference: &str, archive: &VerifiedArchive, processes: &Processes) -> Result<Binary, HostError> {
    let target = current_target();
    let no_binary = |_| HostError::NoBinary {
        reference: reference.to_owned(),
        target: target.clone(),
        has: archive.targets().collect::<Vec<_>>().join(", "),
    };
    let bytes = archive.binary(&target).map_err(no_binary)?;
    let folder = &processes.rpc.binaries;
    let failed = |error| HostError::BinaryNotStored { folder: folder.clone(), error };
    Binary::store(folder, bytes).await.map_err(failed)
}

/// Makes processes of one program.
struct ProcessFactory {
    processes: Arc<Processes>,
    key: ProviderId,
    contracts: Vec<ContractId>,
    binary: Binary,
}

impl ProviderFactory for ProcessFactory {
    fn create(
        &self,
        context: ProviderContext,
        predecessor: Option<Handover>,
    ) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
        Box::pin(async move {
            let generation = predecessor.and_then(Handover::take).map_or(1, |NextGeneration(number)| number);
            Ok(Arc::new(self.start(context, generation).await?) as Arc<dyn Provider>)
        })
    }
}

impl ProcessFactory {
    async fn start(&self, context: ProviderContext, generation: u64) -> Result<ProcessProvider, ProviderError> {
        let name = self.channel_name(&context.id, generation)?;
        let channel = Channel::new(self.processes.clone(), self.key.clone(), name);
        let signs_with = KeyPair::generate(KeyKind::Cluster)
            .map_err(|error| ProviderError::Failed(format!("no key for the process: {error}")))?;
        let launch = Launch {
            binary: self.binary.clone(),
            input: self.input(&channel, &signs_with, &context.config)?,
            name: context.id.to_string(),
        };
        let child = launch.start(&channel).await?;
        let identity = Identity {
            signs_with: signs_with.public_key(),
            key: self.key.to_string(),
            actors: context.actors,
            taken: Default::default(),
        };
        let shared = Arc::new(Shared {
            channel,
            identity: Arc::new(identity),
            status: watch::channel(Status::Up).0,
            links: Default::default(),
        });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(supervise(child, launch, shared.clone(), stop.clone()));
        Ok(ProcessProvider { contracts: self.contracts.clone(), generation, shared, stop, tasks })
    }

    /// Returns what tells this process from others of the same archive: its id, unless that is the archive's key, and
    /// its generation, unless it is the first.
    fn channel_name(&self, id: &ProviderId, generation: u64) -> Result<LinkName, ProviderError> {
        let base = if *id == self.key { LinkName::DEFAULT } else { id.as_str() };
        let name = if generation == 1 { base.to_owned() } else { format!("{base}-{generation}") };
        name.parse().map_err(|error| ProviderError::BadConfig(format!("{error}")))
    }

    fn input(
        &self,
        channel: &Channel,
        signs_with: &KeyPair,
        config: &BTreeMap<String, String>,
    ) -> Result<String, ProviderError> {
        let unwritable = |error: serde_json::Error| ProviderError::BadConfig(error.to_string());
        let config = if config.is_empty() { None } else { Some(serde_json::to_string(config).map_err(unwritable)?) };
        let processes = &self.processes;
        let data = HostData {
            host_id: processes.host.to_string(),
            lattice_rpc_prefix: processes.lattice.as_str(),
            link_name: channel.name.as_str(),
            lattice_rpc_user_jwt: &processes.rpc.user_jwt,
            lattice_rpc_user_seed: &processes.rpc.user_seed,
            lattice_rpc_url: &processes.rpc.nats_url,
            provider_key: self.key.as_str(),
            invocation_seed: signs_with.seed(),
            env_values: serde_json::Map::new(),
            instance_id: uuid::Uuid::new_v4().to_string(),
            link_definitions: [],
            cluster_issuers: [processes.cluster_issuer().to_string()],
            config_json: config.as_deref(),
            default_rpc_timeout_ms: u64::try_from(processes.call_timeout.as_millis()).unwrap_or(u64::MAX),
            structured_logging: false,
        };
        data.line().map_err(unwritable)
    }
}
