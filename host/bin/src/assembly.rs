//! Which parts a host of this program has.

use std::sync::Arc;

use wattle_bus::Bus;
use wattle_cli::HostOptions;
use wattle_host::{Engine, EngineConfig, Host, HostBuilder, HostConfig, HostError, ProviderRpc};
use wattle_httpserver_hyper::HttpServerFactory;
use wattle_keyvalue_memory::MemoryFactory;
use wattle_keyvalue_redb::RedbFactory;
use wattle_keyvalue_redis::RedisFactory;
use wattle_provider_builtin::BuiltinFactory;

/// Puts a host together and starts it.
pub(crate) async fn start(options: HostOptions, bus: Arc<dyn Bus>) -> Result<Host, HostError> {
    let engine = Engine::new(engine_config(&options))?;
    let config = config(&options);
    let processes = ProviderRpc {
        nats_url: options.nats.url,
        user_jwt: options.nats.user_jwt,
        user_seed: options.nats.user_seed,
        binaries: options.cache_dir.join("providers"),
    };
    let builder = Host::builder(engine, options.trust)
        .config(config)
        .bus(bus)
        .provider_rpc(processes)
        .builtin(BuiltinFactory)
        .provider_kind("httpserver", HttpServerFactory)
        .provider_kind("keyvalue-memory", MemoryFactory::default())
        .provider_kind("keyvalue-redb", RedbFactory::default())
        .provider_kind("keyvalue-redis", RedisFactory::default());
    let builder = options.cluster_issuers.into_iter().fold(builder, HostBuilder::cluster_issuer);
    let builder = match options.cluster {
        Some(cluster) => builder.cluster_key(cluster),
        None => builder,
    };
    let builder = match options.identity {
        Some(identity) => builder.key(identity),
        None => builder,
    };
    builder.start().await
}

/// What the command line leaves open is the host's own default.
fn config(options: &HostOptions) -> HostConfig {
    let default = HostConfig::default();
    HostConfig {
        friendly_name: options.friendly_name.clone().unwrap_or(default.friendly_name),
        labels: options.labels.clone(),
        lattice: options.lattice.clone(),
        call_timeout: options.call_timeout.unwrap_or(default.call_timeout),
        drain_timeout: options.drain_timeout.unwrap_or(default.drain_timeout),
        require_signed: options.require_signed,
        controllers: options.controllers.clone(),
        max_in_flight: options.max_in_flight.unwrap_or(default.max_in_flight),
        beat_interval: options.beat_interval.unwrap_or(default.beat_interval),
        ..default
    }
}

fn engine_config(options: &HostOptions) -> EngineConfig {
    let default = EngineConfig::default();
    EngineConfig {
        pool_size: options.sandboxes.unwrap_or(default.pool_size),
        cache_dir: Some(options.cache_dir.clone()),
        ..default
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_the_command_line_says_wins_over_the_defaults() {
        let open = HostOptions::default();
        assert_eq!(config(&open).beat_interval, HostConfig::default().beat_interval);
        assert_eq!(engine_config(&open).pool_size, EngineConfig::default().pool_size);
        let beat_interval = Some(Duration::from_secs(5));
        let given = HostOptions { sandboxes: Some(20), beat_interval, ..HostOptions::default() };
        assert_eq!(engine_config(&given).pool_size, 20);
        assert_eq!(config(&given).beat_interval, Duration::from_secs(5));
    }
}
