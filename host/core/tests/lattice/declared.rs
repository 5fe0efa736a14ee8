//! What is declared runs on as many hosts as it says, whatever becomes of them, and is replaced over all of them.

use std::path::Path;

use serde_json::Value;
use wattle_types::{
    ActorId, HostId,
    control::{Canary, Command, Progress, Scale},
    subject,
};

use super::*;

/// Gives a host a command, and returns its steps and outcome.
async fn command(lattice: &Lattice, host: &Host, command: &Command) -> (Vec<String>, Progress) {
    let (subject, body) = written(host, command);
    send(lattice, &subject, &[], body).await
}

/// Returns the subject and body of a command.
pub(super) fn written(host: &Host, command: &Command) -> (String, String) {
    let body = serde_json::to_value(command).unwrap();
    let verb = format!("wattle.{}", body["verb"].as_str().unwrap());
    (subject::control_host(&host.config().lattice, &verb, &host.id()), body.to_string())
}

/// Sends a command as it is, and returns its steps and outcome.
pub(super) async fn send(
    lattice: &Lattice,
    subject: &str,
    headers: &[(String, String)],
    body: String,
) -> (Vec<String>, Progress) {
    let bus = lattice.network.connect();
    let inbox = bus.new_inbox();
    let mut answers = bus.subscribe(&inbox, None).await.unwrap();
    bus.publish(subject, Some(&inbox), headers, body.into()).await.unwrap();
    let mut steps = Vec::new();
    let outcome = async {
        loop {
            match serde_json::from_slice(&answers.next().await.unwrap().payload).unwrap() {
                Progress::Step { step, detail, .. } => steps.push(format!("{step}: {detail}")),
                outcome => return outcome,
            }
        }
    };
    let outcome = tokio::time::timeout(Duration::from_secs(90), outcome).await.expect("the outcome");
    (steps, outcome)
}

async fn done(lattice: &Lattice, host: &Host, wanted: Command) -> Value {
    match command(lattice, host, &wanted).await {
        (_, Progress::Done { result }) => result,
        (steps, outcome) => panic!("{wanted:?}: {steps:?} {outcome:?}"),
    }
}

pub(super) fn file(folder: &Path, name: &str, module: &Bytes) -> String {
    let path = folder.join(name);
    std::fs::write(&path, module).unwrap();
    format!("file://{}", path.display())
}

pub(super) fn declare(reference: &str, replicas: u32) -> Command {
    let scale = Scale { replicas, ..Scale::default() };
    Command::DeclareActor {
        reference: reference.to_owned(),
        scale,
        max_in_flight: None,
        force: false,
        timeout_ms: None,
    }
}

fn runs(hosts: &[Host], actor: ActorId) -> Vec<HostId> {
    let runs = |host: &&Host| host.inventory().components.iter().any(|running| running.id == actor.to_string());
    hosts.iter().filter(runs).map(Host::id).collect()
}

async fn three(lattice: &Lattice) -> Vec<Host> {
    vec![lattice.host("a").await, lattice.host("b").await, lattice.host("c").await]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_declared_is_kept_at_its_scale_when_hosts_go() {
    let lattice = Lattice::new();
    let (folder, mut hosts) = (tempfile::tempdir().unwrap(), three(&lattice).await);
    let reference = file(folder.path(), "echo.wasm", &lattice.author.echo("1:", 1));
    let actor = lattice.author.id();
    let result = done(&lattice, &hosts[0], declare(&reference, 2)).await;
    assert_eq!(result["actor"], actor.to_string());
    assert_eq!(runs(&hosts, actor).len(), 2);
    for host in &hosts {
        assert_eq!(call_until_ok(host, &actor.to_string(), b"x").await, "1:x");
    }
    // Drained: what it ran is started elsewhere first, and no call fails meanwhile.
    let leaving = hosts.iter().position(|host| runs(&hosts, actor)[0] == host.id()).unwrap();
    let leaving = hosts.remove(leaving);
    let (steps, outcome) = command(&lattice, &leaving, &Command::DrainHost { timeout_ms: None }).await;
    assert!(matches!(outcome, Progress::Done { .. }), "{outcome:?}");
    assert!(steps.contains(&"moved: everything that is declared runs elsewhere".to_owned()), "{steps:?}");
    leaving.wait_stopped().await;
    assert_eq!(runs(&hosts, actor).len(), 2);
    // To less, and to nothing.
    done(&lattice, &hosts[0], declare(&reference, 1)).await;
    eventually("one is left", || async { (runs(&hosts, actor).len() == 1).then_some(()) }).await;
    done(&lattice, &hosts[0], declare(&reference, 0)).await;
    eventually("none is left", || async { runs(&hosts, actor).is_empty().then_some(()) }).await;
    for host in hosts {
        host.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_goes_over_all_hosts_and_a_bad_one_goes_back() {
    let lattice = Lattice::new();
    let (folder, hosts) = (tempfile::tempdir().unwrap(), three(&lattice).await);
    let actor = lattice.author.id().to_string();
    let one = file(folder.path(), "one.wasm", &lattice.author.echo("1:", 1));
    let two = file(folder.path(), "two.wasm", &lattice.author.echo("2:", 2));
    // It calls what is not there, so that each call fails.
    let bad = file(folder.path(), "bad.wasm", &lattice.author.forward("nobody", &[], 3));
    done(&lattice, &hosts[0], declare(&one, 2)).await;
    let rollout = |reference: &str, canary| Command::StartRollout {
        target: actor.clone(),
        reference: reference.to_owned(),
        force: false,
        canary,
    };
    done(&lattice, &hosts[1], rollout(&two, None)).await;
    for _ in 0..8 {
        assert_eq!(call(&hosts[2], &actor, b"x").await.unwrap(), "2:x");
    }
    let canary = Canary { percent: 20, watch_secs: Some(1), max_error_percent: None, max_latency_factor: Some(1000.0) };
    let load = async {
        let mut failed = 0;
        loop {
            for host in &hosts {
                failed += usize::from(call(host, &actor, b"x").await.is_err());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            if failed == usize::MAX {
                break;
            }
        }
    };
    let bad = rollout(&bad, Some(canary));
    let (steps, outcome) = tokio::select! {
        rolled = command(&lattice, &hosts[0], &bad) => rolled,
        () = load => unreachable!(),
    };
    let Progress::Failed { code, message, .. } = outcome else { panic!("{steps:?} {outcome:?}") };
    assert_eq!(code, "rolled_back", "{message}");
    assert!(steps.iter().any(|step| step.starts_with("canary: 20 of 100")), "{steps:?}");
    for _ in 0..200 {
        assert_eq!(call(&hosts[2], &actor, b"x").await.unwrap(), "2:x");
    }
    // One command goes back to what was before.
    done(&lattice, &hosts[0], Command::RollBack { target: actor.clone() }).await;
    assert_eq!(call(&hosts[2], &actor, b"x").await.unwrap(), "1:x");
    for host in hosts {
        host.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_rollouts_that_begin_at_once_one_is_refused() {
    let lattice = Lattice::new();
    let (folder, hosts) = (tempfile::tempdir().unwrap(), three(&lattice).await);
    let actor = lattice.author.id().to_string();
    let [one, two, three] = [1, 2, 3].map(|revision| {
        let module = lattice.author.echo(&format!("{revision}:"), revision);
        file(folder.path(), &format!("{revision}.wasm"), &module)
    });
    done(&lattice, &hosts[0], declare(&one, 1)).await;
    let rollout = |reference: &str| {
        let (target, reference) = (actor.clone(), reference.to_owned());
        Command::StartRollout { target, reference, force: false, canary: None }
    };
    let (first, second) = (rollout(&two), rollout(&three));
    let (first, second) = tokio::join!(command(&lattice, &hosts[0], &first), command(&lattice, &hosts[1], &second));
    let refused = |outcome: &Progress| matches!(outcome, Progress::Failed { code, .. } if code == "rollout_active");
    let done = |outcome: &Progress| matches!(outcome, Progress::Done { .. });
    let (first, second) = (first.1, second.1);
    assert!((refused(&first) && done(&second)) || (done(&first) && refused(&second)), "{first:?} {second:?}");
    for host in hosts {
        host.shutdown().await;
    }
}

/// Declares, and returns what is said when it cannot be so; that must be long before anybody's patience ends.
async fn refused(lattice: &Lattice, host: &Host, wanted: &Command) -> String {
    let begun = std::time::Instant::now();
    let (_, outcome) = command(lattice, host, wanted).await;
    let Progress::Failed { code, message, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(code, "not_scaled", "{message}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}: {message}", begun.elapsed());
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_waits_for_its_own_declaration_and_says_why_it_cannot_be() {
    let lattice = Lattice::new();
    let (folder, hosts) = (tempfile::tempdir().unwrap(), three(&lattice).await);
    let reference = file(folder.path(), "echo.wasm", &lattice.author.echo("1:", 1));
    let actor = lattice.author.id();
    done(&lattice, &hosts[0], declare(&reference, 1)).await;
    assert_eq!(runs(&hosts, actor).len(), 1);
    // What runs now is not what is declared from now on.
    let constraints = [("zone".to_owned(), "nowhere".to_owned())].into();
    let scale = Scale { replicas: 1, constraints, ..Scale::default() };
    let nowhere = Command::DeclareActor {
        reference: reference.clone(),
        scale,
        max_in_flight: None,
        force: false,
        timeout_ms: None,
    };
    let why = refused(&lattice, &hosts[1], &nowhere).await;
    assert!(why.contains("runs on 0 of 1 hosts") && why.contains("no host has zone=nowhere"), "{why}");
    assert!(runs(&hosts, actor).is_empty());
    // Who looks is told the same, by any host.
    for host in &hosts {
        let declared = done(&lattice, host, Command::GetDeclared).await;
        assert_eq!(declared[0]["constraints"]["zone"], "nowhere");
        assert!(declared[0]["why"][0].as_str().is_some_and(|why| why.contains("zone=nowhere")), "{declared}");
    }
    done(&lattice, &hosts[0], declare(&reference, 0)).await;
    // What was started by hand everywhere stays, and nothing is started beside it.
    for host in &hosts {
        start(host, lattice.author.echo("1:", 1)).await;
    }
    let why = refused(&lattice, &hosts[0], &declare(&reference, 2)).await;
    assert!(why.contains("started by hand"), "{why}");
    for host in hosts {
        host.shutdown().await;
    }
}
