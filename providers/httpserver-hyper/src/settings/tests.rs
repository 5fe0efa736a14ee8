use std::collections::BTreeMap;

use super::*;

fn resolve(provider: &[(&str, &str)], link: &[(&str, &str)]) -> Result<LinkSettings, ProviderError> {
    let values = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    };
    let defaults = Settings::parse(&values(provider), PROVIDER_SETTINGS)?;
    let (max_buffered_bytes, max_unread_bytes) = (1000, 1000);
    let server = ServerSettings { defaults, drain_grace: Duration::ZERO, max_buffered_bytes, max_unread_bytes };
    server.resolve(Settings::parse(&values(link), LINK_SETTINGS)?)
}

fn refusal(link: &[(&str, &str)]) -> String {
    resolve(&[], link).unwrap_err().to_string()
}

#[test]
fn addresses_are_read_in_every_usual_form() {
    for (name, text, expected) in [
        ("address", "0.0.0.0:80", "0.0.0.0:80"),
        ("address", "9000", "127.0.0.1:9000"),
        ("address", ":9000", "127.0.0.1:9000"),
        ("address", "localhost:9000", "127.0.0.1:9000"),
        ("address", "[::1]:9000", "[::1]:9000"),
        ("PORT", "9000", "127.0.0.1:9000"),
        ("port", "9000", "127.0.0.1:9000"),
    ] {
        assert_eq!(resolve(&[], &[(name, text)]).unwrap().address.to_string(), expected, "{name}={text}");
    }
    assert_eq!(resolve(&[], &[]).unwrap().address, ADDRESS);
    for bad in ["", "x", "70000", "1.2.3.4", "example.org:80"] {
        assert!(refusal(&[("address", bad)]).contains("is no address"), "{bad}");
    }
    assert!(refusal(&[("address", "1"), ("port", "2")]).contains("not both"));
}

#[test]
fn a_links_values_come_before_the_providers() {
    let provider = [("address", "0.0.0.0:1"), ("timeout_ms", "5"), ("access_log", "off")];
    let link = resolve(&provider, &[("port", "2"), ("access_log", "on")]).unwrap();
    assert_eq!(link.address.to_string(), "127.0.0.1:2");
    assert_eq!(link.timeout, Duration::from_millis(5));
    assert!(link.access_log);
}

#[test]
fn a_body_is_never_larger_than_all_bodies_together() {
    let limit = |text| resolve(&[], &[("max_body_bytes", text)]).unwrap().max_body_bytes;
    assert_eq!((limit("999"), limit("1001")), (999, 1000));
}

#[test]
fn hosts_and_paths_are_normalized() {
    let link = resolve(&[], &[("host", "Shop.Example"), ("path", "/api//")]).unwrap();
    assert_eq!((link.host.as_deref(), link.path.as_str()), (Some("shop.example"), "/api"));
    assert_eq!(resolve(&[], &[("path", "/")]).unwrap().path, "/");
    assert_eq!(resolve(&[], &[("host", "*")]).unwrap().host, None);
    assert!(refusal(&[("host", "a:80")]).contains("no host name"));
    assert!(refusal(&[("host", "http://a")]).contains("no host name"));
    assert!(refusal(&[("path", "api")]).contains("no path"));
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    assert!(refusal(&[("adress", "1")]).contains("no setting \"adress\"; known here: address, port, host"));
    assert!(refusal(&[("timeout_ms", "0")]).contains("timeout_ms must be between 1"));
    assert!(refusal(&[("timeout_ms", "soon")]).contains("timeout_ms must be a number of milliseconds"));
    assert!(refusal(&[("max_body_bytes", "99999999999")]).contains("max_body_bytes must be between"));
    assert!(refusal(&[("access_log", "maybe")]).contains("access_log must be on or off"));
    assert!(refusal(&[("cert_file", "a.pem")]).contains("both cert_file and key_file"));
}
