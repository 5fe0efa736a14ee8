//! Which requests reach which link.

use wattle_types::{Provider, ProviderError};

use crate::harness::{Actor, generation, get, key, link, serve};

#[tokio::test]
async fn many_links_share_a_port_by_host_and_path() {
    let server = generation(Actor::link_name(), &[("port", "0")], None).unwrap();
    for (name, host, path) in
        [("any", "", "/"), ("api", "", "/api"), ("shop", "shop.example", "/"), ("cart", "shop.example", "/cart/")]
    {
        server.put_link(link(name, &[("host", host), ("path", path)])).await.unwrap();
    }
    let address = server.addresses()[0].1;
    for (host, path, expected) in [
        ("x", "/", "any"),
        ("x", "/apix", "any"),
        ("x", "/api", "api"),
        ("x", "/api/1?q", "api"),
        ("shop.example", "/api", "shop"),
        ("SHOP.example:81", "/cart", "cart"),
        ("shop.example", "/cart/1", "cart"),
    ] {
        assert_eq!(get(address, host, path).await, (200, expected.into()), "{host}{path}");
    }
    server.delete_link(&key("any")).await;
    assert_eq!(
        get(address, "x", "/").await,
        (
            404,
            concat!(
                r#"{"error":"route_not_found","message":"no actor is linked to this host and path","#,
                r#""remedy":"link an actor to this address and path: wattle link put ACTOR PROVIDER "#,
                r#"wasmcloud:httpserver address=HOST:PORT path=PATH"}"#,
                "\n"
            )
            .into()
        )
    );
}

#[tokio::test]
async fn a_place_belongs_to_one_link() {
    let (server, _) = serve(Actor::echo(), &[("path", "/a")]).await;
    let error = server.put_link(link("second", &[("path", "/a/")])).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "configuration: actor MAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP already has 127.0.0.1:0 \
         for every host at /a: give another address, host or path"
    );
    server.put_link(link("default", &[("path", "/a")])).await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_named_and_the_link_stays_as_it_was() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (server, address) = serve(Actor::echo(), &[]).await;
    let port = taken.local_addr().unwrap().port().to_string();
    let error = server.put_link(link("default", &[("port", &port)])).await.unwrap_err();
    assert_eq!(error.code(), "backend_unavailable");
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on 127.0.0.1:{port}: another program has it; \
             stop that program or give the link another address"
        )
    );
    assert_eq!(get(address, "x", "/").await.0, 200);
}

#[tokio::test]
async fn an_address_stops_listening_with_its_last_link_and_can_be_had_again() {
    let server = generation(Actor::echo(), &[], None).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let values = [("address", free.to_string())];
    let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for _ in 0..3 {
        server.put_link(link("default", &values)).await.unwrap();
        assert_eq!(get(free, "x", "/").await.0, 200);
        server.delete_link(&key("default")).await;
        assert!(tokio::net::TcpStream::connect(free).await.is_err());
    }
    server.delete_link(&key("default")).await;
}

#[tokio::test]
async fn a_link_put_again_moves() {
    let (server, old) = serve(Actor::echo(), &[]).await;
    server.put_link(link("default", &[("address", "127.0.0.2:0")])).await.unwrap();
    let new = server.addresses()[0].1;
    assert_eq!(get(new, "x", "/").await.0, 200);
    assert!(tokio::net::TcpStream::connect(old).await.is_err());
}

#[tokio::test]
async fn wrong_settings_are_refused() {
    let error = generation(Actor::echo(), &[("prot", "1")], None).map(|_| ()).unwrap_err();
    assert!(matches!(&error, ProviderError::BadConfig(text) if text.contains("known here: address, port")), "{error}");
    let server = generation(Actor::echo(), &[], None).unwrap();
    let mut other = (*link("default", &[])).clone();
    other.key.contract = "wasmcloud:keyvalue".parse().unwrap();
    assert!(server.put_link(other.into()).await.unwrap_err().to_string().contains("not a contract of the HTTP server"));
}
