//! How busy a host says it is.

use wattle_types::control::{Command, HostLoad, Progress};

use super::Lattice;
use crate::support::{link, start, start_script};

async fn load(lattice: &Lattice) -> HostLoad {
    let (_, Progress::Done { result }) = lattice.command(Command::GetLoad).await else { panic!("no answer") };
    serde_json::from_value(result).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_from_the_first_question_on() {
    let lattice = Lattice::new().await;
    start_script(&lattice.host, "kv").await;
    let module = lattice.author.forward("wasmcloud:keyvalue", &["wasmcloud:keyvalue"], 1);
    let actor = start(&lattice.host, module).await;
    lattice.host.put_link(link(actor, "kv"), false).await.unwrap();
    let call = async |payload: &'static str| {
        lattice.host.call(&actor.to_string(), "Get", payload.into(), None).await.unwrap();
    };
    call("nobody looks").await;
    let first = load(&lattice).await;
    assert_eq!((first.actors[0].calls, first.providers[0].calls), (0, 0), "{first:?}");
    for _ in 0..3 {
        call("somebody looks").await;
    }
    let second = load(&lattice).await;
    let (counted, provider) = (&second.actors[0], &second.providers[0]);
    assert_eq!((counted.id.as_str(), counted.calls, counted.failed), (&*actor.to_string(), 3, 0), "{second:?}");
    assert_eq!((provider.id.as_str(), provider.calls), ("kv", 3), "{second:?}");
    assert_eq!(counted.latency.iter().map(|(_, count)| count).sum::<u64>(), 3);
    assert_eq!((counted.generation, counted.in_flight, second.left_out), (1, 0, 0));
    assert!(second.at_ms >= first.at_ms);
}
