//! The examples of provider processes in `providers/examples`, as processes of a host.

use std::process::Command;

use wattle_lattice_tests::ThirdParty;

use crate::process_provider::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_example_counts() {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().with_file_name("examples").join("process-counter");
    let how = "a whole run builds it; with a filter: cargo build -p wattle-lattice-tests --examples";
    let bytes = std::fs::read(&program).unwrap_or_else(|error| panic!("{}: {error}; {how}", program.display()));
    counts(bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_counts() {
    let packages = ThirdParty::here().bring_python_packages(&|step| eprintln!("{step}")).unwrap();
    let source = include_str!("../../providers/examples/counter.py");
    let (first, rest) = source.split_once('\n').unwrap();
    assert_eq!(first, "#!/usr/bin/env python3");
    assert!(source.lines().filter(|line| !line.is_empty()).count() <= 45, "short enough to read at once");
    // A process has no PATH and no PYTHONPATH: a virtual environment's interpreter would say both.
    let script = format!("#!{}\nimport sys; sys.path.insert(0, {packages:?})\n{rest}", python());
    counts(script.into_bytes()).await;
}

/// Returns the path of the interpreter itself, past any chooser of versions.
fn python() -> String {
    let found = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    String::from_utf8(found.stdout).unwrap().trim().to_owned()
}

/// Checks links, calls, values of links, live update and end.
async fn counts(program: Vec<u8>) {
    let scene = Scene::start(program).await;
    let (first, second) = (scene.counter().await, scene.counter().await);
    scene.link(first, &[]).await;
    scene.link(second, &[("step", "10")]).await;
    for round in 1..=3 {
        assert_eq!((scene.count(first).await, scene.count(second).await), (Ok(round), Ok(10 * round)));
    }
    scene.unlink(second).await;
    assert_eq!(scene.count(second).await, Err("link_not_found"));
    assert_eq!(scene.count(first).await, Ok(4));
    scene.swap(Default::default()).await;
    assert_eq!(scene.count(first).await, Ok(1), "a new process, and it has the link");
    scene.end().await;
}
