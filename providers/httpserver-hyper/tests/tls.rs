//! TLS: protocols, names, and certificates that change.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use wattle_types::Provider;

use crate::harness::{Actor, generation, link, serve};

/// Writes a fresh certificate for `name`.
fn certify(folder: &Path, name: &str) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// Connects to `name`, trusting `root` only; returns what ALPN chose and the answer to one HTTP/1.1 request.
async fn request(
    address: std::net::SocketAddr,
    name: &'static str,
    root: &CertificateDer<'static>,
    alpn: &str,
) -> std::io::Result<(Option<Vec<u8>>, String)> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name).unwrap(), stream).await?;
    let chosen = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    let mut answer = Vec::new();
    if alpn != "h2" {
        let head = format!("GET / HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        stream.read_to_end(&mut answer).await?;
    }
    Ok((chosen, String::from_utf8_lossy(&answer).into_owned()))
}

fn values(folder: &Path) -> [(&'static str, String); 2] {
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    [("cert_file", file("cert.pem")), ("key_file", file("key.pem"))]
}

fn borrowed<'a>(values: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    values.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[tokio::test]
async fn tls_serves_both_protocols_and_takes_new_certificates_when_the_link_is_put_again() {
    let folder = tempfile::tempdir().unwrap();
    let old = certify(folder.path(), "a.example");
    let values = values(folder.path());
    let (server, address) = serve(Actor::echo(), &borrowed(&values)).await;
    let (alpn, answer) = request(address, "a.example", &old, "http/1.1").await.unwrap();
    assert_eq!(alpn.as_deref(), Some(&b"http/1.1"[..]));
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("GET /? "), "{answer}");
    assert_eq!(request(address, "a.example", &old, "h2").await.unwrap().0.as_deref(), Some(&b"h2"[..]));

    let new = certify(folder.path(), "a.example");
    server.put_link(link("default", &borrowed(&values))).await.unwrap();
    assert!(request(address, "a.example", &old, "http/1.1").await.is_err());
    assert!(request(address, "a.example", &new, "http/1.1").await.is_ok());

    // Files that cannot be used leave the link as it was.
    std::fs::write(folder.path().join("key.pem"), "no key").unwrap();
    let error = server.put_link(link("default", &borrowed(&values))).await.unwrap_err().to_string();
    assert!(error.contains("key.pem holds no PEM private key"), "{error}");
    assert!(request(address, "a.example", &new, "http/1.1").await.is_ok());
}

#[tokio::test]
async fn what_is_no_regular_file_or_too_large_is_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path(), "a.example");
    let values = values(folder.path());
    let server = generation(Actor::echo(), &[("port", "0")], None).unwrap();
    let refusal = async || server.put_link(link("default", &borrowed(&values))).await.unwrap_err().to_string();

    let cert = folder.path().join("cert.pem");
    std::fs::File::options().write(true).open(&cert).unwrap().set_len(1024 * 1024 + 1).unwrap();
    let error = refusal().await;
    assert!(error.contains("cert.pem is larger than 1048576 bytes"), "{error}");

    std::fs::remove_file(&cert).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&cert).status().unwrap().success());
    let error = refusal().await;
    assert!(error.contains("cert.pem is no regular file"), "{error}");
}

#[tokio::test]
async fn each_host_name_has_its_certificate() {
    let server = generation(Actor::link_name(), &[("port", "0")], None).unwrap();
    let mut roots = Vec::new();
    for name in ["a", "b"] {
        let folder = tempfile::tempdir().unwrap();
        let host = format!("{name}.example");
        roots.push(certify(folder.path(), &host));
        let mut values = values(folder.path()).to_vec();
        values.push(("host", host));
        server.put_link(link(name, &borrowed(&values))).await.unwrap();
    }
    let address = server.addresses()[0].1;
    assert!(request(address, "a.example", &roots[0], "http/1.1").await.unwrap().1.ends_with('a'));
    assert!(request(address, "b.example", &roots[1], "http/1.1").await.unwrap().1.ends_with('b'));
    let error = server.put_link(link("plain", &[("path", "/plain")])).await.unwrap_err().to_string();
    assert!(error.contains("with TLS: give cert_file and key_file too, or another address"), "{error}");
}

#[tokio::test]
async fn a_client_without_tls_is_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path(), "a.example");
    let (_server, address) = serve(Actor::echo(), &borrowed(&values(folder.path()))).await;
    let answer = crate::harness::raw(address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
}
