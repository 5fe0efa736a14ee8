//! Hosts that carry out signed requests only.

use wattle_types::{
    control::{Command, Progress},
    signed,
};

use super::{
    declared::{declare, file, send, written},
    *,
};

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn code(outcome: Progress) -> String {
    match outcome {
        Progress::Failed { code, .. } => code,
        outcome => format!("{outcome:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_signed_requests_of_controllers_and_orders_of_the_leader_are_carried_out() {
    let lattice = Lattice::new();
    let controller = KeyPair::generate(KeyKind::Account).unwrap();
    let config = |name: &str| HostConfig {
        friendly_name: name.into(),
        require_signed: true,
        controllers: vec![controller.public_key()],
        ..HostConfig::default()
    };
    let a = lattice.host_with(config("a"), &lattice.cluster).await;
    let b = lattice.host_with(config("b"), &lattice.cluster).await;
    let folder = tempfile::tempdir().unwrap();
    let reference = file(folder.path(), "echo.wasm", &lattice.author.echo("1:", 1));
    let (subject, body) = written(&a, &declare(&reference, 2));
    let (_, unsigned) = send(&lattice, &subject, &[], body.clone()).await;
    assert_eq!(code(unsigned), "request_unsigned");
    let stranger = signed::sign(&lattice.author.account, &subject, body.as_bytes(), now(), [1; 16]);
    assert_eq!(code(send(&lattice, &subject, &stranger, body.clone()).await.1), "request_not_permitted");
    // What is signed is taken, and what it leads to: the leader's orders to both hosts.
    let headers = signed::sign(&controller, &subject, body.as_bytes(), now(), [2; 16]);
    let (steps, outcome) = send(&lattice, &subject, &headers, body.clone()).await;
    assert!(matches!(outcome, Progress::Done { .. }), "{steps:?} {outcome:?}");
    assert_eq!(code(send(&lattice, &subject, &headers, body).await.1), "request_repeated");
    let (subject, open) = written(&a, &Command::GetDeclared);
    assert!(matches!(send(&lattice, &subject, &[], open).await.1, Progress::Done { .. }));
    a.shutdown().await;
    b.shutdown().await;
}
