//! The configuration of NATS in `deploy/nats`, as it is shipped, under a real nats-server.

mod documents;
mod fleet;
mod site;

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::{Value, json};
use wattle_bus::{Bus as _, NatsBus, NatsOptions};
use wattle_types::subject;

use crate::rig::{eventually, timely};
use fleet::{Fleet, ask, command, hosts};
use site::{LATTICES, Role, Sharing, Site};

/// Longer than a refusal or an answer takes, shorter than our patience.
const WAIT: Duration = Duration::from_secs(10);
/// How late a refusal may be noticed.
const LATE: Duration = Duration::from_millis(200);

/// Returns the codes of being refused to ask on each of the subjects.
async fn asked(bus: &NatsBus, subjects: &[&str]) -> Vec<(String, &'static str)> {
    let mut codes = Vec::new();
    for subject in subjects {
        let asked = bus.request(subject, &[], Bytes::new(), WAIT).await;
        codes.push(((*subject).to_owned(), asked.map_or_else(|error| error.code(), |_| "answered")));
    }
    codes
}

/// Returns the codes of being refused to listen on each of the subjects.
async fn heard(bus: &NatsBus, subjects: &[&str]) -> Vec<(String, &'static str)> {
    let mut codes = Vec::new();
    for subject in subjects {
        let code = match bus.subscribe(subject, None).await {
            Err(error) => error.code(),
            // A refusal that comes late ends the subscription.
            Ok(mut subscription) => match tokio::time::timeout(LATE, subscription.next()).await {
                Ok(None) => "bus_not_allowed",
                _ => "subscribed",
            },
        };
        codes.push(((*subject).to_owned(), code));
    }
    codes
}

/// Checks that a user may neither ask on some subjects nor listen to some.
async fn refused(bus: &NatsBus, ask: &[&str], listen: &[&str]) {
    for (subject, code) in [asked(bus, ask).await, heard(bus, listen).await].concat() {
        assert_eq!(code, "bus_not_allowed", "{subject}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_work_together_and_each_role_does_its_part() {
    let site = Site::start(Sharing::Accounts).await;
    let observer = site.connect("default", Role::Observer).await;
    let mut events = observer.subscribe("wasmbus.evt.default.*", None).await.unwrap();
    let fleet = Fleet::start(&site, "default").await;
    let operator = site.connect("default", Role::Operator).await;

    // The operator has one host start an actor, which the other one then calls.
    let actor = fleet.actor();
    let [first, second] = fleet.hosts();
    command(&operator, second.id(), json!({ "verb": "start_actor", "reference": actor.reference })).await.unwrap();
    let echo = eventually(async || first.call(&actor.id, "echo", "over there".into(), Some(WAIT)).await.ok()).await;
    assert_eq!(echo, "over there");

    // Declared, it runs on both; the leader's orders go from host to host.
    let declare = json!({ "verb": "declare_actor", "reference": actor.reference, "replicas": 2 });
    command(&operator, second.id(), json!({ "verb": "stop_actor", "actor": actor.id })).await.unwrap();
    command(&operator, first.id(), declare).await.unwrap();
    let runs_on_both = async || fleet.hosts().iter().all(|host| host.inventory().components.len() == 1).then_some(());
    eventually(runs_on_both).await;

    // A link and a configuration lie where all hosts find them.
    let link = json!({ "source_id": actor.id, "target": "store", "name": "default", "wit_namespace": "wasmcloud",
        "wit_package": "keyvalue", "interfaces": [], "source_config": [], "target_config": ["store"] });
    let config = ask(&operator, "wasmbus.ctl.v1.default.config.put.store", json!({ "url": "redis://secret" })).await;
    assert_eq!(config["success"], true, "{config}");
    let put = ask(&operator, "wasmbus.ctl.v1.default.link.put", link).await;
    assert_eq!(put["success"], true, "{put}");
    eventually(async || fleet.hosts().iter().all(|host| host.links().len() == 1).then_some(())).await;

    // The observer saw it happen, and sees what there is, without values.
    timely(async { while !events.next().await.unwrap().subject.ends_with(".linkdef_set") {} }).await;
    let get = subject::control_host(&"default".parse().unwrap(), "host.get", &first.id());
    let asked = ["wasmbus.ctl.v1.default.host.ping", &get, "wasmbus.ctl.v1.default.claims.get"];
    for subject in asked {
        assert_eq!(ask(&observer, subject, Value::Null).await["success"], true, "{subject}");
    }
    let load = command(&observer, first.id(), json!({ "verb": "get_load" })).await.unwrap();
    assert_eq!(load["host_id"], first.id().to_string());
    let links = ask(&observer, "wasmbus.ctl.v1.default.link.get", Value::Null).await.to_string();
    assert!(links.contains("store") && !links.contains("secret"), "{links}");

    fleet.end().await;
    documents::every_permission_of_a_host_is_used(&site.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_at_a_leaf_node_are_hosts_of_its_hubs_lattice() {
    let [hub, leaf] = Site::start_hub_and_leaf().await;
    spans_leaf(Fleet::start_at([&hub, &leaf], "default").await, [&hub, &leaf]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_at_a_leaf_node_leads() {
    let [hub, leaf] = Site::start_hub_and_leaf().await;
    spans_leaf(Fleet::start_at([&leaf, &hub], "default").await, [&hub, &leaf]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_leaf_node_is_a_leaf_node() {
    let [hub, leaf] = Site::start_hub_and_leaf().await;
    let [user, password, at] = leaf.remote();
    for site in [&hub, &leaf] {
        let refused = site.connect_with(user.clone(), password.clone()).await.unwrap_err();
        assert!(refused.contains("authorization violation"), "{refused}");
    }
    let _stranger = hub.start_stranger(&at).await;
    eventually(async || hub.log().contains("client didn't provide a certificate").then_some(())).await;
    assert!(!hub.log().contains("Leafnode connection created for account: $G"), "{}", hub.log());
}

/// Checks that a lattice works across a leaf node. Its first host leads.
async fn spans_leaf(fleet: Fleet, [hub, leaf]: [&Site; 2]) {
    let actor = fleet.actor();
    let [leader, other] = fleet.hosts();

    // Calls and orders go through the leaf node both ways, and everybody sees what happens on the other side.
    for (site, caller, runs) in
        [(hub, other, leader), (leaf, other, leader), (hub, leader, other), (leaf, leader, other)]
    {
        let operator = site.connect("default", Role::Operator).await;
        let observer = site.connect("default", Role::Observer).await;
        let mut events = observer.subscribe("wasmbus.evt.default.*", None).await.unwrap();
        command(&operator, runs.id(), json!({ "verb": "start_actor", "reference": actor.reference })).await.unwrap();
        let echo =
            eventually(async || caller.call(&actor.id, "echo", "over there".into(), Some(WAIT)).await.ok()).await;
        assert_eq!(echo, "over there");
        command(&operator, runs.id(), json!({ "verb": "stop_actor", "actor": actor.id })).await.unwrap();
        timely(async { while !events.next().await.unwrap().subject.contains("component_scaled") {} }).await;
        eventually(async || (hosts(&observer, "default").await.len() == 2).then_some(())).await;
    }

    // What is declared is carried out on both sides.
    let operator = hub.connect("default", Role::Operator).await;
    let declare = json!({ "verb": "declare_actor", "reference": actor.reference, "replicas": 2 });
    command(&operator, other.id(), declare).await.unwrap();
    let runs_on_both = async || fleet.hosts().iter().all(|host| host.inventory().components.len() == 1).then_some(());
    eventually(runs_on_both).await;
    fleet.end().await;
    // Nobody tried what the hub or the leaf did not let through.
    for log in [hub.log(), leaf.log()] {
        assert!(!log.contains("Violation"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_does_what_is_another_roles() {
    let site = Site::start(Sharing::Accounts).await;
    let fleet = Fleet::start(&site, "default").await;
    let host = fleet.hosts()[0].id().to_string();
    let own = |verb: &str| format!("wasmbus.ctl.v1.default.{verb}.{host}");
    let bucket = |verb: &str| format!("$JS.API.{verb}.KV_LATTICEDATA_default");
    let (entry, stream) = ("$KV.LATTICEDATA_default.LINK_1", bucket("STREAM.MSG.GET"));
    let reads = [stream.as_str(), &bucket("CONSUMER.CREATE"), &bucket("STREAM.INFO"), &bucket("STREAM.DELETE")]
        .map(str::to_owned);
    let [read, watch, info, delete] = reads.each_ref().map(String::as_str);
    let state = [entry, read, watch, info, delete, "$KV.CONFIGDATA_default.store"];
    let rpc = format!("wasmbus.rpc.default.{host}");
    let forged = ["wasmbus.evt.default.host_stopped", &format!("wasmbus.beat.default.{host}")].map(str::to_owned);
    let forged = forged.each_ref().map(String::as_str);
    let spied = ["wasmbus.rpc.default.*", "wasmbus.rpc.>", "_INBOX.>", "_INBOX.default.host.>", "$KV.>", "$JS.>", ">"];

    let observer = site.connect("default", Role::Observer).await;
    let changes = [&own("host.stop"), &own("component.scale"), &own("wattle.get_links"), &own("wattle.call")];
    let changes = changes.map(String::as_str);
    let unaddressed = ["link.put", "link.del", "config.put.a", "config.get.a", "registry.put", "component.auction"];
    let unaddressed = unaddressed.map(|verb| format!("wasmbus.ctl.v1.default.{verb}"));
    let unaddressed = unaddressed.each_ref().map(String::as_str);
    refused(&observer, &[&changes[..], &unaddressed, &state, &forged, &[&rpc]].concat(), &spied).await;
    refused(&observer, &[], &["_INBOX.default.operator.>", "wasmbus.ctl.v1.default.>"]).await;

    let ping = "wasmbus.ctl.v1.default.host.ping";
    // Nor does a host write for it, by an answer that is wanted there.
    observer.publish(ping, Some("$KV.LATTICEDATA_default.COMPONENT_1"), &[], Bytes::new()).await.unwrap();
    assert_eq!(asked(&observer, &[ping]).await[0].1, "answered");
    let lattice_data = site.connect("default", Role::Host).await.bucket("LATTICEDATA_default").await.unwrap();
    assert_eq!(timely(lattice_data.get("COMPONENT_1")).await.unwrap(), None);

    let operator = site.connect("default", Role::Operator).await;
    refused(&operator, &[&state[..], &forged, &[&rpc, "wasmbus.rpc.default.V.default"]].concat(), &spied).await;
    refused(&operator, &[], &["_INBOX.default.observer.>", "wasmbus.ctl.v1.default.>"]).await;

    let provider = site.connect("default", Role::Provider).await;
    let process = "wasmbus.rpc.default.V.default";
    let spied: Vec<_> = spied.into_iter().filter(|subject| *subject != "_INBOX.>").collect();
    refused(&provider, &[&changes[..], &unaddressed, &state, &forged, &[ping, process]].concat(), &spied).await;
    refused(&provider, &[], &["wasmbus.evt.default.*", "wasmbus.beat.default.*", "wasmbus.ctl.v1.default.>"]).await;
    // It may ask for actors, but none is linked to it, so no host listens.
    let stranger = asked(&provider, &[&format!("wasmbus.rpc.default.{}", fleet.actor().id)]).await;
    assert_eq!(stranger[0].1, "no_responders");

    // A host gives buckets away to nobody, and destroys none.
    let another = site.connect("default", Role::Host).await;
    refused(&another, &changes[2..], &[]).await;
    refused(&another, &[delete, "$JS.API.STREAM.PURGE.KV_LATTICEDATA_default"], &["_INBOX.default.operator.>", ">"])
        .await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_called_answers_once_and_hears_no_other_answers() {
    let site = Site::start(Sharing::Accounts).await;
    let (host, process) = (site.connect("default", Role::Host).await, site.connect("default", Role::Provider).await);
    let name = "wasmbus.rpc.default.V.default";
    // NATS takes this for a subscription to some inboxes.
    let mut all = process.client().subscribe("_INBOX.>").await.unwrap();
    let answer_to = async |subject: &str| {
        let mut calls = process.subscribe(subject, Some(subject)).await.unwrap();
        let answering = async {
            let reply = calls.next().await.unwrap().reply.unwrap();
            process.publish(&reply, None, &[], "yes".into()).await.unwrap();
            reply
        };
        let asking = host.request(subject, &[], Bytes::new(), WAIT);
        let (answer, reply) = tokio::join!(asking, answering);
        assert_eq!(answer.unwrap().payload, "yes");
        reply
    };
    let reply = answer_to(name).await;
    host.publish("_INBOX.mine", None, &[], Bytes::new()).await.unwrap();
    assert_eq!(timely(all.next()).await.unwrap().subject.as_str(), "_INBOX.mine");
    drop(all);
    assert_eq!(asked(&process, &[&reply]).await[0].1, "bus_not_allowed", "a second answer");
    for told in [".health", ".shutdown", ".linkdefs.put", ".linkdefs.del"] {
        answer_to(&format!("{name}{told}")).await;
    }
}

/// Checks that nothing a user of one lattice may do reaches the other.
async fn sees_nothing_of(site: &Site, other: &str, own: &str) {
    for role in [Role::Host, Role::Operator, Role::Observer, Role::Provider] {
        let bus = site.connect(own, role).await;
        let to = |subject: &str| subject.replace("{L}", other);
        let asks = [
            "wasmbus.ctl.v1.{L}.host.ping",
            "wasmbus.rpc.{L}.M",
            "wasmbus.evt.{L}.x",
            "wasmbus.beat.{L}.N",
            "$KV.LATTICEDATA_{L}.x",
            "$JS.API.STREAM.MSG.GET.KV_LATTICEDATA_{L}",
        ]
        .map(to);
        let hears = ["wasmbus.evt.{L}.*", "wasmbus.beat.{L}.*", "wasmbus.rpc.{L}.*", "_INBOX.{L}.host.>"].map(to);
        refused(&bus, &asks.each_ref().map(String::as_str), &hears.each_ref().map(String::as_str)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lattices_on_one_nats_do_not_see_each_other() {
    for sharing in [Sharing::Accounts, Sharing::Permissions] {
        let site = Site::start(sharing).await;
        let [mine, others] = LATTICES;
        let fleets = [Fleet::start(&site, mine).await, Fleet::start(&site, others).await];
        sees_nothing_of(&site, mine, others).await;
        sees_nothing_of(&site, others, mine).await;
        for (fleet, lattice) in fleets.iter().zip(LATTICES) {
            let observer = site.connect(lattice, Role::Observer).await;
            let found = hosts(&observer, lattice).await;
            let ids: Vec<_> = fleet.hosts().iter().map(|host| host.id().to_string()).collect();
            assert!(found.len() == 2 && ids.iter().all(|id| found.contains(id)), "{found:?} in {lattice}");
        }
        for fleet in fleets {
            fleet.end().await;
        }
    }
}

/// As `deploy/nats/README.md` says.
#[tokio::test(flavor = "multi_thread")]
async fn who_listens_on_others_inboxes_is_told_so() {
    let site = Site::start(Sharing::Accounts).await;
    for role in [Role::Host, Role::Operator, Role::Observer] {
        let options = NatsOptions { inbox_prefix: None, ..site.options("default", role) };
        let bus = NatsBus::connect(options).await.unwrap();
        assert_eq!(heard(&bus, &[&bus.new_inbox()]).await[0].1, "bus_not_allowed", "{role:?}");
        if role == Role::Operator {
            let ping = subject::control(&"default".parse().unwrap(), "host.ping");
            assert_eq!(asked(&bus, &[&ping]).await[0].1, "bus_timed_out");
        }
    }
    let page = include_str!("../../deploy/nats/README.md").replace('\n', " ");
    let words = page.split("Without the right `--nats-inbox` no answer may be heard").nth(1).expect("the sentence");
    let codes: Vec<&str> = words.split("[`").skip(1).filter_map(|link| link.split('`').next()).take(2).collect();
    assert_eq!(codes, ["bus_not_allowed", "bus_timed_out"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_part_even_those_who_may_do_the_same() {
    let site = Site::start(Sharing::Accounts).await;
    let (one, other) = (site.connect("default", Role::Host).await, site.connect("other", Role::Host).await);
    // Inboxes of this form are allowed to both.
    let process = site.connect("default", Role::Provider).await;
    let _inbox = process.subscribe("_INBOX.mine", None).await.unwrap();
    assert_eq!(asked(&one, &["_INBOX.mine"]).await[0].1, "bus_timed_out");
    assert_eq!(asked(&other, &["_INBOX.mine"]).await[0].1, "no_responders");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_knows_the_authority_and_is_known_gets_in() {
    let connect =
        async |options: NatsOptions| NatsBus::connect(options).await.map(drop).map_err(|error| error.to_string());
    let site = Site::start(Sharing::Accounts).await;
    let good = site.options("default", Role::Host);
    connect(good.clone()).await.unwrap();
    let without_ca = connect(NatsOptions { tls_ca: None, ..good.clone() }).await.unwrap_err();
    assert!(without_ca.to_lowercase().contains("certificate"), "{without_ca}");
    let nobody = connect(NatsOptions { auth: wattle_bus::NatsAuth::None, ..good.clone() }).await.unwrap_err();
    assert!(nobody.contains("authorization violation"), "{nobody}");
    let stranger = wattle_wascap::KeyPair::generate(wattle_wascap::KeyKind::User).unwrap();
    let auth = wattle_bus::NatsAuth::NkeySeed(stranger.seed());
    assert!(connect(NatsOptions { auth, ..good }).await.unwrap_err().contains("authorization violation"));
    let checked = site.check_with("cluster.conf");
    assert!(checked.contains("is valid"), "{checked}");
    drop(site);

    let site = Site::start_with(Sharing::Accounts, true).await;
    let good = site.options("default", Role::Host);
    connect(good.clone()).await.unwrap_err();
    connect(NatsOptions { tls_identity: Some(site.tls_identity()), ..good }).await.unwrap();
}
