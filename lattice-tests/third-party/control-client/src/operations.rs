//! Each operation of the client, in an order that gives each something to do.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use serde_json::Value;
use wasmcloud_control_interface::{Client, ClientBuilder, CtlResponse, HostInventory, Link, RegistryCredential};

use crate::{
    events::Events,
    report::{Outcome, Report, demand},
};

/// How often a host that is still starting is asked for.
const TRIES: usize = 40;
/// Longest wait for all bids and pings: the client always waits this long.
const GATHER: Duration = Duration::from_millis(500);

type Answer<T> = Result<CtlResponse<T>, Box<dyn std::error::Error + Send + Sync>>;

/// What the host can run.
pub struct Subjects {
    pub actor: String,
    pub first: String,
    pub second: String,
    pub provider: String,
    /// `ns:pkg` of the link between the two.
    pub contract: String,
    /// A name in a link's configuration, a value the provider takes and one it does not.
    pub key: String,
    pub good: String,
    pub bad: String,
}

pub struct Operations {
    nats: async_nats::Client,
    client: Client,
    lattice: String,
    subjects: Subjects,
    events: Events,
    host: String,
}

impl Operations {
    pub fn new(nats: async_nats::Client, lattice: String, subjects: Subjects, events: Events) -> Self {
        let client = ClientBuilder::new(nats.clone()).lattice(&lattice).auction_timeout(GATHER).build();
        Self { nats, client, lattice, subjects, events, host: String::new() }
    }

    pub async fn run(&mut self, report: &mut Report) {
        report.line("get_hosts", self.get_hosts().await);
        report.line("events_receiver", self.events_receiver().await);
        report.line("put_label", self.put_label().await);
        report.line("put_label of the host's own", self.put_own_label().await);
        report.line("delete_label", self.delete_label().await);
        report.line("put_config", self.put_configs().await);
        report.line("get_config", self.get_config().await);
        report.line("put_registries", self.put_registries().await);
        report.line("perform_component_auction", self.component_auction().await);
        report.line("scale_component to start", self.start_component().await);
        report.line("scale_component to resize", self.resize_component().await);
        report.line("scale_component with allow_update", self.scale_to_update().await);
        report.line("update_component to what is not there", self.update_to_missing().await);
        report.line("update_component", self.update_component().await);
        report.line("get_claims", self.get_claims().await);
        report.line("perform_provider_auction", self.provider_auction().await);
        report.line("start_provider", self.start_provider().await);
        report.line("start_provider of what is not there", self.start_missing().await);
        report.line("put_link", self.put_link().await);
        report.line("put_link refused", self.put_bad_links().await);
        report.line("get_links", self.get_links().await);
        report.line("get_host_inventory", self.inventory().await);
        report.line("delete_link", self.delete_link().await);
        report.line("stop_provider", self.stop_provider().await);
        report.line("scale_component to stop", self.stop_component().await);
        report.line("put_link from a name nobody has yet", self.put_named_link().await);
        report.line("scale_component under a name", self.start_named().await);
        report.line("scale_component of a new version by a deployer", self.deploy_next().await);
        report.line("scale_component of a version that is not there", self.deploy_missing().await);
        report.line("get_host_inventory with a name", self.named_inventory().await);
        report.line("delete_link of a name", self.delete_named_link().await);
        report.line("scale_component to stop a name", self.stop_named().await);
        report.line("delete_config", self.delete_config().await);
        report.line("get_host_inventory of another host", self.inventory_of_nobody().await);
        report.line("host_heartbeat", self.events.wait("host_heartbeat", |_| true).await.map(drop));
        report.line("stop_host", self.stop_host().await);
    }

    async fn get_hosts(&mut self) -> Outcome {
        for _ in 0..TRIES {
            let mut hosts = self.client.get_hosts().await.map_err(text)?;
            let Some(answer) = hosts.pop() else {
                // Without any host, NATS itself answers at once that nobody is there.
                tokio::time::sleep(GATHER).await;
                continue;
            };
            let host = data(Ok(answer))?;
            demand(host.lattice() == self.lattice, "another lattice")?;
            demand(!host.id().is_empty() && host.version().is_some(), format!("{host:?}"))?;
            demand(host.labels().contains_key("hostcore.arch"), format!("labels {:?}", host.labels()))?;
            self.host = host.id().to_owned();
            return Ok(());
        }
        Err("nobody answers".into())
    }

    async fn events_receiver(&self) -> Outcome {
        let mut events = self.client.events_receiver(vec!["labels_changed".into()]).await.map_err(text)?;
        // The subscription is at the server before what this asks for is answered.
        ack(self.client.put_label(&self.host, "seen", "yes").await)?;
        let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await;
        demand(matches!(event, Ok(Some(_))), "no event was received")
    }

    async fn put_label(&self) -> Outcome {
        ack(self.client.put_label(&self.host, "zone", "a").await)?;
        self.events.wait("labels_changed", |data| data["labels"]["zone"] == "a").await?;
        let hosts = self.client.get_hosts().await.map_err(text)?;
        let labels = hosts.into_iter().filter_map(CtlResponse::into_data).map(|host| host.labels().clone());
        demand(labels.flatten().any(|(key, value)| key == "zone" && value == "a"), "the label is not shown")
    }

    async fn put_own_label(&self) -> Outcome {
        refusal(self.client.put_label(&self.host, "hostcore.arch", "pdp11").await, "")
    }

    async fn delete_label(&self) -> Outcome {
        ack(self.client.delete_label(&self.host, "seen").await)?;
        self.events.wait("labels_changed", |data| data["labels"].get("seen").is_none()).await?;
        ack(self.client.delete_label(&self.host, "never-there").await)
    }

    async fn put_configs(&self) -> Outcome {
        for (name, value) in [("good", &self.subjects.good), ("bad", &self.subjects.bad)] {
            let values = HashMap::from([(self.subjects.key.clone(), value.clone())]);
            ack(self.client.put_config(name, values).await)?;
            self.events.wait("config_set", |data| data["config_name"] == name).await?;
        }
        Ok(())
    }

    async fn get_config(&self) -> Outcome {
        let values = data(self.client.get_config("good").await)?;
        demand(values.get(&self.subjects.key) == Some(&self.subjects.good), format!("{values:?}"))?;
        let missing = self.client.get_config("missing").await.map_err(text)?;
        demand(missing.succeeded() && missing.data().is_none(), format!("missing: {missing:?}"))?;
        demand(missing.message() == "Configuration not found", missing.message())
    }

    async fn put_registries(&self) -> Outcome {
        let credential = RegistryCredential::from_username_password("user", "password", "oci");
        ack(self.client.put_registries(HashMap::from([("registry.example".to_owned(), credential)])).await)
    }

    async fn component_auction(&self) -> Outcome {
        let (reference, id) = (&self.subjects.first, &self.subjects.actor);
        let zone = |zone: &str| BTreeMap::from([("zone".to_owned(), zone.to_owned())]);
        let bids = self.client.perform_component_auction(reference, id, zone("a")).await.map_err(text)?;
        let bid = only(bids)?;
        // Read as JSON: this release's `component_id()` returns the reference.
        let bid_id = serde_json::to_value(&bid).map_err(text)?["component_id"].clone();
        demand(bid.host_id() == self.host && bid_id == *id, format!("{bid:?}"))?;
        demand(bid.component_ref() == reference && bid.constraints() == &zone("a"), format!("{bid:?}"))?;
        let none = self.client.perform_component_auction(reference, id, zone("b")).await.map_err(text)?;
        demand(none.is_empty(), "a bid from a host without the label")
    }

    async fn scale(&self, reference: &str, count: u32, allow_update: bool) -> Outcome {
        let (host, actor) = (&self.host, &self.subjects.actor);
        let annotations = Some(BTreeMap::from([("by".to_owned(), "control-client".to_owned())]));
        let scaled = self.client.scale_component(host, reference, actor, count, annotations, vec![], allow_update);
        ack(scaled.await)
    }

    async fn scaled(&self, reference: &str, count: u32) -> Outcome {
        let as_asked = |data: &Value| {
            data["component_id"] == self.subjects.actor
                && data["max_instances"] == count
                && data["image_ref"] == reference
                && data["host_id"] == self.host
        };
        let told = self.events.wait("component_scaled", as_asked).await?;
        demand(told["annotations"]["by"] == "control-client", told.to_string())
    }

    async fn start_component(&self) -> Outcome {
        self.scale(&self.subjects.first, 3, false).await?;
        self.scaled(&self.subjects.first, 3).await?;
        let (reference, id) = (&self.subjects.first, &self.subjects.actor);
        let none = self.client.perform_component_auction(reference, id, BTreeMap::new()).await.map_err(text)?;
        demand(none.is_empty(), "a bid from a host where it runs")
    }

    async fn resize_component(&self) -> Outcome {
        self.scale(&self.subjects.first, 5, false).await?;
        self.scaled(&self.subjects.first, 5).await?;
        self.scale(&self.subjects.second, 6, false).await?;
        self.scaled(&self.subjects.first, 6).await
    }

    async fn scale_to_update(&self) -> Outcome {
        self.scale(&self.subjects.second, 7, true).await?;
        self.scaled(&self.subjects.second, 7).await
    }

    async fn update_to_missing(&self) -> Outcome {
        let (host, actor, missing) = (&self.host, &self.subjects.actor, "file:///nonexistent.wasm");
        ack(self.client.update_component(host, actor, missing, None).await)?;
        let as_asked = |data: &Value| data["component_id"] == *actor && data["image_ref"] == missing;
        self.events.wait("component_scale_failed", as_asked).await.map(drop)
    }

    async fn update_component(&self) -> Outcome {
        let (host, actor) = (&self.host, &self.subjects.actor);
        ack(self.client.update_component(host, actor, &self.subjects.second, None).await)?;
        let nobody = self.client.update_component(host, "nobody", &self.subjects.first, None).await;
        refusal(nobody, "component nobody not found")
    }

    async fn get_claims(&self) -> Outcome {
        let claims = data(self.client.get_claims().await)?;
        let of_actor = claims.iter().find(|claims| claims.get("sub") == Some(&self.subjects.actor));
        demand(of_actor.is_some_and(|claims| claims.contains_key("iss")), format!("{claims:?}"))
    }

    async fn provider_auction(&self) -> Outcome {
        let reference = &self.subjects.provider;
        let bids = self.client.perform_provider_auction(reference, PROVIDER, BTreeMap::new()).await.map_err(text)?;
        let bid = only(bids)?;
        demand(bid.host_id() == self.host && bid.provider_id() == PROVIDER, format!("{bid:?}"))?;
        demand(bid.provider_ref() == reference, format!("{bid:?}"))?;
        let unknown = self.client.perform_provider_auction("builtin:unknown", PROVIDER, BTreeMap::new()).await;
        demand(unknown.map_err(text)?.is_empty(), "a bid for what the host does not know")
    }

    async fn start_provider(&self) -> Outcome {
        let (host, reference) = (&self.host, &self.subjects.provider);
        let annotations = Some(BTreeMap::from([("by".to_owned(), "control-client".to_owned())]));
        ack(self.client.start_provider(host, reference, PROVIDER, annotations, vec![]).await)?;
        let told = self.events.wait("provider_started", |data| data["provider_id"] == PROVIDER).await?;
        demand(told["annotations"]["by"] == "control-client", told.to_string())?;
        let again = self.client.start_provider(host, reference, PROVIDER, None, vec![]).await;
        refusal(again, "provider with that ID is already running")?;
        let lost = self.client.start_provider(host, reference, "other", None, vec!["missing".into()]).await;
        refusal(lost, "")?;
        self.events.wait("health_check_passed", |data| data["provider_id"] == PROVIDER).await.map(drop)
    }

    async fn start_missing(&self) -> Outcome {
        let archive = "file:///nonexistent.par.gz";
        ack(self.client.start_provider(&self.host, archive, "missing", None, vec![]).await)?;
        let as_asked = |data: &Value| data["provider_id"] == "missing" && data["provider_ref"] == archive;
        self.events.wait("provider_start_failed", as_asked).await.map(drop)
    }

    fn link(&self, config: &str) -> Result<Link, String> {
        let (namespace, package) = self.subjects.contract.split_once(':').ok_or("the contract has no colon")?;
        let link = Link::builder().source_id(&self.subjects.actor).target(PROVIDER).name("default");
        let link = link.wit_namespace(namespace).wit_package(package).interfaces(vec![package.to_owned()]);
        link.target_config(vec![config.to_owned()]).build().map_err(text)
    }

    async fn put_link(&self) -> Outcome {
        ack(self.client.put_link(self.link("good")?).await)?;
        let actor = &self.subjects.actor;
        let as_asked = |data: &Value| data["source_id"] == *actor && data["target"] == PROVIDER;
        self.events.wait("linkdef_set", as_asked).await.map(drop)
    }

    async fn put_bad_links(&self) -> Outcome {
        refusal(self.client.put_link(self.link("bad")?).await, "")?;
        self.events.wait("linkdef_set_failed", |data| data["error"].is_string()).await?;
        refusal(self.client.put_link(self.link("missing")?).await, "")
    }

    async fn get_links(&self) -> Outcome {
        let links = data(self.client.get_links().await)?;
        let put = self.link("good")?;
        let same = |link: &Link| {
            let ends = (link.source_id(), link.target(), link.name());
            let contract = (link.wit_namespace(), link.wit_package(), link.interfaces());
            ends == (put.source_id(), put.target(), put.name())
                && contract == (put.wit_namespace(), put.wit_package(), put.interfaces())
                && (link.source_config(), link.target_config()) == (put.source_config(), put.target_config())
        };
        demand(matches!(links.as_slice(), [link] if same(link)), format!("{links:?}"))
    }

    async fn inventory(&self) -> Outcome {
        let inventory: HostInventory = data(self.client.get_host_inventory(&self.host).await)?;
        demand(inventory.host_id() == self.host && !inventory.version().is_empty(), format!("{inventory:?}"))?;
        let component = inventory.components().iter().find(|one| one.id() == self.subjects.actor);
        let component = component.ok_or("the actor is not in it")?;
        demand(component.image_ref() == self.subjects.second, component.image_ref())?;
        demand(component.max_instances() == 7 && component.revision() == 2, format!("{component:?}"))?;
        let by = |annotations: Option<&BTreeMap<String, String>>| annotations.is_some_and(|all| all.contains_key("by"));
        demand(by(component.annotations()), "the actor's annotations are not in it")?;
        let provider = inventory.providers().iter().find(|one| one.id() == PROVIDER);
        let provider = provider.ok_or("the provider is not in it")?;
        demand(provider.image_ref() == Some(&self.subjects.provider), format!("{provider:?}"))?;
        demand(by(provider.annotations()), "the provider's annotations are not in it")
    }

    async fn delete_link(&self) -> Outcome {
        let (namespace, package) = self.subjects.contract.split_once(':').ok_or("the contract has no colon")?;
        let actor = &self.subjects.actor;
        ack(self.client.delete_link(actor, "default", namespace, package).await)?;
        self.events.wait("linkdef_deleted", |data| data["source_id"] == *actor).await?;
        demand(data(self.client.get_links().await)?.is_empty(), "the link is still there")?;
        ack(self.client.delete_link(actor, "default", namespace, package).await)
    }

    async fn stop_provider(&self) -> Outcome {
        self.events.wait("health_check_status", |data| data["provider_id"] == PROVIDER).await?;
        ack(self.client.stop_provider(&self.host, PROVIDER).await)?;
        self.events.wait("provider_stopped", |data| data["provider_id"] == PROVIDER).await?;
        refusal(self.client.stop_provider(&self.host, PROVIDER).await, "provider with that ID is not running")
    }

    async fn stop_component(&self) -> Outcome {
        self.scale(&self.subjects.second, 0, false).await?;
        self.scaled(&self.subjects.second, 0).await
    }

    /// Scales as wadm does, in the name of one of its scalers.
    async fn deploy(&self, reference: &str, count: u32, scaler: &str) -> Outcome {
        let annotations = [("wasmcloud.dev/managed-by", "wadm"), ("wasmcloud.dev/scaler", scaler)];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        ack(self.client.scale_component(&self.host, reference, NAME, count, Some(annotations), vec![], false).await)
    }

    async fn named(&self, event: &str, reference: &str, count: u32, scaler: &str) -> Result<Value, String> {
        let as_asked = |data: &Value| {
            data["component_id"] == NAME
                && data["max_instances"] == count
                && data["image_ref"] == reference
                && data["host_id"] == self.host
                && data["annotations"]["wasmcloud.dev/scaler"] == scaler
        };
        self.events.wait(event, as_asked).await
    }

    fn named_link(&self) -> Result<Link, String> {
        let (namespace, package) = self.subjects.contract.split_once(':').ok_or("the contract has no colon")?;
        let link = Link::builder().source_id(PROVIDER).target(NAME).name("default");
        link.wit_namespace(namespace).wit_package(package).interfaces(vec![package.to_owned()]).build().map_err(text)
    }

    async fn put_named_link(&self) -> Outcome {
        ack(self.client.put_link(self.named_link()?).await)?;
        let as_asked = |data: &Value| data["source_id"] == PROVIDER && data["target"] == NAME;
        self.events.wait("linkdef_set", as_asked).await?;
        let links = data(self.client.get_links().await)?;
        demand(links.iter().any(|link| link.source_id() == PROVIDER && link.target() == NAME), format!("{links:?}"))
    }

    async fn start_named(&self) -> Outcome {
        self.deploy(&self.subjects.first, 3, "old").await?;
        let told = self.named("component_scaled", &self.subjects.first, 3, "old").await?;
        demand(told["public_key"] == self.subjects.actor, told.to_string())
    }

    async fn deploy_next(&self) -> Outcome {
        let (first, second) = (&self.subjects.first, &self.subjects.second);
        let (next, former) = tokio::join!(self.deploy(second, 4, "new"), self.deploy(first, 0, "old"));
        next.and(former)?;
        self.named("component_scaled", second, 4, "new").await.map(drop)
    }

    async fn deploy_missing(&self) -> Outcome {
        let missing = "file:///nonexistent.wasm";
        let second = &self.subjects.second;
        let (next, former) = tokio::join!(self.deploy(missing, 5, "newest"), self.deploy(second, 0, "new"));
        next.and(former)?;
        let told = self.named("component_scale_failed", missing, 5, "newest").await?;
        demand(told["error"].as_str().is_some_and(|error| error.contains("nonexistent")), told.to_string())
    }

    async fn named_inventory(&self) -> Outcome {
        let inventory: HostInventory = data(self.client.get_host_inventory(&self.host).await)?;
        let named = inventory.components().iter().find(|one| one.id() == NAME).ok_or("it is not in it")?;
        demand(named.image_ref() == self.subjects.second && named.max_instances() == 4, format!("{named:?}"))
    }

    async fn delete_named_link(&self) -> Outcome {
        let (namespace, package) = self.subjects.contract.split_once(':').ok_or("the contract has no colon")?;
        ack(self.client.delete_link(PROVIDER, "default", namespace, package).await)?;
        self.events.wait("linkdef_deleted", |data| data["source_id"] == PROVIDER).await?;
        demand(data(self.client.get_links().await)?.is_empty(), "the link is still there")
    }

    async fn stop_named(&self) -> Outcome {
        self.deploy(&self.subjects.second, 0, "newest").await?;
        let as_asked = |data: &Value| data["component_id"] == NAME && data["max_instances"] == 0;
        self.events.wait("component_scaled", as_asked).await.map(drop)
    }

    async fn delete_config(&self) -> Outcome {
        ack(self.client.delete_config("good").await)?;
        self.events.wait("config_deleted", |data| data["config_name"] == "good").await?;
        let gone = self.client.get_config("good").await.map_err(text)?;
        demand(gone.succeeded() && gone.data().is_none(), format!("{gone:?}"))
    }

    async fn inventory_of_nobody(&self) -> Outcome {
        let nobody = self.client.get_host_inventory("NOBODY").await;
        demand(nobody.is_err(), "somebody answered for a host that is not there")
    }

    async fn stop_host(&self) -> Outcome {
        ack(self.client.stop_host(&self.host, Some(5000)).await)?;
        self.events.wait("host_stopped", |_| true).await?;
        self.nats.flush().await.map_err(|error| error.to_string())?;
        demand(self.client.get_hosts().await.map_err(text)?.is_empty(), "the host still answers")
    }
}

/// A component's id as deployers choose it.
const NAME: &str = "app-component";
/// The id the provider is started with.
const PROVIDER: &str = "control-client-provider";

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Demands an acknowledgement without an answer.
fn ack(answer: Answer<()>) -> Outcome {
    let answer = answer.map_err(text)?;
    demand(answer.succeeded(), format!("refused: {}", answer.message()))?;
    demand(answer.data().is_none(), "an answer where none belongs")
}

/// Demands a refusal in these words, or in any.
fn refusal(answer: Answer<()>, words: &str) -> Outcome {
    let answer = answer.map_err(text)?;
    demand(!answer.succeeded(), format!("accepted: {}", answer.message()))?;
    demand(!answer.message().is_empty(), "refused without a reason")?;
    demand(words.is_empty() || answer.message() == words, answer.message())
}

/// Demands an answer.
fn data<T>(answer: Answer<T>) -> Result<T, String> {
    let answer = answer.map_err(text)?;
    demand(answer.succeeded(), format!("refused: {}", answer.message()))?;
    answer.into_data().ok_or_else(|| "no answer in it".into())
}

/// Demands exactly one bid.
fn only<T>(bids: Vec<CtlResponse<T>>) -> Result<T, String> {
    demand(bids.len() == 1, format!("{} bids", bids.len()))?;
    bids.into_iter().next().ok_or_else(|| "no bid".into()).and_then(|bid| data(Ok(bid)))
}
