//! Others' servers, built from their published crates on request: `cargo xtask bench --peers`.

use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use wit_component::ComponentEncoder;

use super::{Contestant, Expect, Running, Target, WASMTIME};
use crate::{guest, helper::Helper};

/// Longest until it listens.
const START_MAX: Duration = Duration::from_secs(20);

/// Starts `wasmtime serve` with its defaults and a hello component.
pub(super) fn wasmtime_serve() -> Result<Contestant> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/xtask/peers/bin/wasmtime");
    ensure!(program.is_file(), "{}: run by way of `cargo xtask bench --peers`", program.display());
    let component = ComponentEncoder::default().module(&guest::heavy("component")?)?.validate(true).encode()?;
    let file = guest::folder().join("component-encoded.wasm");
    std::fs::write(&file, component)?;
    let address = free_address()?;
    let mut command = Command::new(program);
    command.arg("serve").arg("--addr").arg(address.to_string()).arg(&file).stderr(Stdio::null());
    let helper = Helper::spawn(&mut command)?;
    let target = Target { address, path: "/", expect: Expect::Body(b"Hello, world!") };
    wait_for(address)?;
    Ok(Contestant {
        name: WASMTIME,
        expect: target.expect,
        running: Running { target, helper, answered: 0 },
        loads: Vec::new(),
    })
}

fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

fn wait_for(address: SocketAddr) -> Result<()> {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        ensure!(begun.elapsed() < START_MAX, "wasmtime serve does not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
