//! A key-value provider as a host sees it: links, both dialects over one store, refusals, live swap.

/// Makes a test of every case. `$set_up` is an async function without arguments that returns a
/// [`ProviderSubject`](crate::ProviderSubject).
#[macro_export]
macro_rules! keyvalue_provider_suite {
    ($set_up:path, $attribute:meta) => {
        $crate::keyvalue_provider_suite! { $set_up, $attribute,
            wasmcloud_actors_have_the_whole_contract
            wascc_actors_have_the_whole_contract
            both_dialects_count_on_one_key
            links_come_and_go
            equal_links_share_and_puts_repeat
            unknown_settings_are_refused
            what_cannot_be_read_is_refused
            a_successor_goes_on_where_its_predecessor_was
            a_failed_successor_leaves_its_predecessor_alone
            data_outlives_its_link
        }
    };
    ($set_up:path, $attribute:meta, $($case:ident)*) => {
        $(
            #[$attribute]
            async fn $case() {
                $crate::keyvalue_provider_cases::$case(&$set_up().await).await;
            }
        )*
    };
}

/// The cases; each takes a fresh subject.
#[expect(clippy::missing_panics_doc, reason = "every case panics when its claim does not hold")]
#[expect(missing_docs, reason = "a case's name is its claim")]
pub mod cases {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};
    use wattle_types::ProviderError;

    use crate::{ProviderSubject, Rig};

    const WASMCLOUD: &str = "wasmcloud:keyvalue";
    const WASCC: &str = "wascc:keyvalue";

    async fn linked(subject: &impl ProviderSubject) -> Rig {
        let rig = Rig::start(subject, None).await.unwrap();
        for contract in [WASMCLOUD, WASCC] {
            rig.put(contract).await.unwrap();
        }
        rig
    }

    async fn expect(rig: &Rig, contract: &str, script: &[(&str, Value, Value)]) {
        for (operation, request, response) in script {
            let answer = rig.call(contract, operation, request.clone()).await;
            assert_eq!(answer.as_ref(), Ok(response), "{operation} {request}");
        }
    }

    pub async fn wasmcloud_actors_have_the_whole_contract(subject: &impl ProviderSubject) {
        let rig = linked(subject).await;
        let list = |value| json!({"listName": "l", "value": value});
        let set = |name, value| json!({"setName": name, "value": value});
        expect(
            &rig,
            WASMCLOUD,
            &[
                ("KeyValue.Get", json!("k"), json!({"value": "", "exists": false})),
                ("KeyValue.Set", json!({"key": "k", "value": "v", "expires": 0}), json!(null)),
                ("KeyValue.Get", json!("k"), json!({"value": "v", "exists": true})),
                ("KeyValue.Contains", json!("k"), json!(true)),
                ("KeyValue.Del", json!("k"), json!(true)),
                ("KeyValue.Del", json!("k"), json!(false)),
                ("KeyValue.Increment", json!({"key": "n", "value": 5}), json!(5)),
                ("KeyValue.Increment", json!({"key": "n", "value": -6}), json!(-1)),
                ("KeyValue.ListAdd", list("a"), json!(1)),
                ("KeyValue.ListAdd", list("b"), json!(2)),
                ("KeyValue.ListRange", json!({"listName": "l", "start": 0, "stop": -1}), json!(["a", "b"])),
                ("KeyValue.ListDel", list("a"), json!(true)),
                ("KeyValue.ListDel", list("a"), json!(false)),
                ("KeyValue.ListClear", json!("l"), json!(true)),
                ("KeyValue.ListClear", json!("l"), json!(false)),
                ("KeyValue.SetAdd", set("s", "a"), json!(1)),
                ("KeyValue.SetAdd", set("s", "a"), json!(0)),
                ("KeyValue.SetAdd", set("t", "a"), json!(1)),
                ("KeyValue.SetQuery", json!("s"), json!(["a"])),
                ("KeyValue.SetUnion", json!(["s", "t"]), json!(["a"])),
                ("KeyValue.SetIntersection", json!(["s", "t"]), json!(["a"])),
                ("KeyValue.SetDel", set("s", "a"), json!(1)),
                ("KeyValue.SetDel", set("s", "a"), json!(0)),
                ("KeyValue.SetQuery", json!("s"), json!([])),
                ("KeyValue.SetClear", json!("t"), json!(true)),
            ],
        )
        .await;
    }

    pub async fn wascc_actors_have_the_whole_contract(subject: &impl ProviderSubject) {
        let rig = linked(subject).await;
        let pair = |key, value| json!({"key": key, "value": value});
        let values = |values: &[&str]| json!({ "values": values });
        expect(
            &rig,
            WASCC,
            &[
                ("Get", json!({"key": "k"}), json!({"value": "", "exists": false})),
                ("Set", json!({"key": "k", "value": "v", "expires": 0}), json!({"value": "v"})),
                ("Get", json!({"key": "k"}), json!({"value": "v", "exists": true})),
                ("KeyExists", json!({"key": "k"}), json!({"value": "", "exists": true})),
                ("Del", json!({"key": "k"}), json!({"key": "k"})),
                ("KeyExists", json!({"key": "k"}), json!({"value": "", "exists": false})),
                ("Add", json!({"key": "n", "value": -2}), json!({"value": -2})),
                ("Push", pair("l", "a"), json!({"newCount": 1})),
                ("Push", pair("l", "b"), json!({"newCount": 2})),
                ("Range", json!({"key": "l", "start": 0, "stop": -1}), values(&["a", "b"])),
                ("ListItemDelete", pair("l", "a"), json!({"newCount": 1})),
                ("Range", json!({"key": "l", "start": -1, "stop": 5}), values(&["b"])),
                ("Clear", json!({"key": "l"}), json!({"key": "l"})),
                ("Range", json!({"key": "l", "start": 0, "stop": -1}), values(&[])),
                ("SetAdd", pair("s", "a"), json!({"newCount": 1})),
                ("SetAdd", pair("t", "a"), json!({"newCount": 1})),
                ("SetQuery", json!({"key": "s"}), values(&["a"])),
                ("SetUnion", json!({"keys": ["s", "t"]}), values(&["a"])),
                ("SetIntersection", json!({"keys": ["s", "t"]}), values(&["a"])),
                ("SetRemove", pair("s", "a"), json!({"newCount": 1})),
                ("SetQuery", json!({"key": "s"}), values(&[])),
            ],
        )
        .await;
    }

    pub async fn both_dialects_count_on_one_key(subject: &impl ProviderSubject) {
        let rig = linked(subject).await;
        rig.put("wascc:key_value").await.unwrap();
        let request = json!({"key": "n", "value": 1});
        assert_eq!(rig.call(WASMCLOUD, "KeyValue.Increment", request.clone()).await.unwrap(), json!(1));
        assert_eq!(rig.call(WASCC, "Add", request.clone()).await.unwrap(), json!({"value": 2}));
        assert_eq!(rig.call("wascc:key_value", "Add", request).await.unwrap(), json!({"value": 3}));
        rig.call(WASCC, "Push", json!({"key": "l", "value": "x"})).await.unwrap();
        let range = json!({"listName": "l", "start": 0, "stop": -1});
        assert_eq!(rig.call(WASMCLOUD, "KeyValue.ListRange", range).await.unwrap(), json!(["x"]));
        let kind = rig.call(WASCC, "Get", json!({"key": "l"})).await.unwrap_err();
        assert!(kind.to_string().contains("value_kind_wrong"), "{kind}");
    }

    pub async fn links_come_and_go(subject: &impl ProviderSubject) {
        let rig = Rig::start(subject, None).await.unwrap();
        assert!(rig.provider.contracts().iter().any(|contract| contract.as_str() == WASMCLOUD));
        let unlinked = rig.call(WASMCLOUD, "KeyValue.Get", json!("k")).await.unwrap_err();
        assert_eq!(unlinked.code(), "backend_unavailable");
        rig.put(WASMCLOUD).await.unwrap();
        rig.call(WASMCLOUD, "KeyValue.Get", json!("k")).await.unwrap();
        rig.provider.health().await.unwrap();
        rig.provider.delete_link(&rig.link(WASMCLOUD).key).await;
        rig.provider.delete_link(&rig.link(WASCC).key).await;
        assert!(rig.call(WASMCLOUD, "KeyValue.Get", json!("k")).await.is_err());
        rig.put(WASMCLOUD).await.unwrap();
        rig.call(WASMCLOUD, "KeyValue.Get", json!("k")).await.unwrap();
        let other = rig.put("wasmcloud:messaging").await.unwrap_err();
        assert_eq!(other.code(), "config_invalid");
        rig.provider.shutdown().await;
    }

    pub async fn equal_links_share_and_puts_repeat(subject: &impl ProviderSubject) {
        let rig = linked(subject).await;
        for _ in 0..3 {
            rig.put(WASMCLOUD).await.unwrap();
            rig.call(WASMCLOUD, "KeyValue.Increment", json!({"key": "n", "value": 1})).await.unwrap();
        }
        rig.provider.delete_link(&rig.link(WASMCLOUD).key).await;
        let get = rig.call(WASCC, "Get", json!({"key": "n"})).await.unwrap();
        assert_eq!(get, json!({"value": "3", "exists": true}), "the other link's store is still open");
    }

    pub async fn unknown_settings_are_refused(subject: &impl ProviderSubject) {
        let config = BTreeMap::from([("colour".to_owned(), "red".to_owned())]);
        let Err(error) = Rig::start_with(subject, config, None).await else { panic!("colour was accepted") };
        assert_eq!(error.code(), "config_invalid");
        let rig = linked(subject).await;
        let mut link = rig.link(WASMCLOUD);
        link.values.insert("colour".into(), "red".into());
        let error = rig.provider.put_link(link.into()).await.unwrap_err();
        assert_eq!(error.code(), "config_invalid");
        assert!(error.to_string().contains("known here: "), "{error}");
        rig.call(WASMCLOUD, "KeyValue.Get", json!("k")).await.expect("the link stays as it was");
    }

    pub async fn what_cannot_be_read_is_refused(subject: &impl ProviderSubject) {
        let rig = linked(subject).await;
        for (contract, operation) in [(WASMCLOUD, "KeyValue.Set"), (WASCC, "Set"), (WASCC, "SetUnion")] {
            for payload in [&b""[..], b"\xc1", b"\xff", b"\x01", b"\x83\xa3key", &[0x91; 5000]] {
                let error = rig.call_raw(contract, operation, payload).await.unwrap_err();
                assert!(matches!(error, ProviderError::BadRequest(_)), "{operation} {error}");
            }
        }
        for (contract, operation) in [(WASMCLOUD, "Get"), (WASCC, "KeyValue.Get"), (WASMCLOUD, "")] {
            let error = rig.call_raw(contract, operation, b"\xa1k").await.unwrap_err();
            assert_eq!(error.code(), "operation_unknown");
        }
    }

    pub async fn a_successor_goes_on_where_its_predecessor_was(subject: &impl ProviderSubject) {
        let first = linked(subject).await;
        let count = json!({"key": "n", "value": 1});
        first.call(WASMCLOUD, "KeyValue.Increment", count.clone()).await.unwrap();
        let second = Rig::start(subject, first.provider.handover()).await.unwrap();
        second.put(WASMCLOUD).await.unwrap();
        for expected in [2, 4] {
            let sum = first.call(WASMCLOUD, "KeyValue.Increment", count.clone()).await.unwrap();
            assert_eq!(sum, json!(expected), "the old one still serves");
            let sum = second.call(WASMCLOUD, "KeyValue.Increment", count.clone()).await.unwrap();
            assert_eq!(sum, json!(expected + 1), "and both count on the same key");
        }
        first.provider.quiesce().await;
        first.provider.shutdown().await;
        drop(first);
        let sum = second.call(WASMCLOUD, "KeyValue.Increment", count.clone()).await.unwrap();
        assert_eq!(sum, json!(6));
        let third = Rig::start(subject, second.provider.handover()).await.unwrap();
        third.put(WASMCLOUD).await.unwrap();
        second.provider.shutdown().await;
        assert_eq!(third.call(WASMCLOUD, "KeyValue.Increment", count).await.unwrap(), json!(7));
        third.provider.shutdown().await;
    }

    pub async fn a_failed_successor_leaves_its_predecessor_alone(subject: &impl ProviderSubject) {
        let first = linked(subject).await;
        let config = BTreeMap::from([("colour".to_owned(), "red".to_owned())]);
        assert!(Rig::start_with(subject, config, first.provider.handover()).await.is_err());
        first.call(WASMCLOUD, "KeyValue.Increment", json!({"key": "n", "value": 1})).await.unwrap();
        let second = Rig::start(subject, first.provider.handover()).await.unwrap();
        second.put(WASMCLOUD).await.unwrap();
        second.provider.shutdown().await;
        drop(second);
        let sum = first.call(WASMCLOUD, "KeyValue.Increment", json!({"key": "n", "value": 1})).await.unwrap();
        assert_eq!(sum, json!(2), "a successor that is taken back closes nothing");
    }

    pub async fn data_outlives_its_link(subject: &impl ProviderSubject) {
        let rig = linked(subject).await;
        rig.call(WASMCLOUD, "KeyValue.Increment", json!({"key": "n", "value": 1})).await.unwrap();
        for contract in [WASMCLOUD, WASCC] {
            rig.provider.delete_link(&rig.link(contract).key).await;
        }
        rig.put(WASMCLOUD).await.unwrap();
        let sum = rig.call(WASMCLOUD, "KeyValue.Increment", json!({"key": "n", "value": 1})).await.unwrap();
        assert_eq!(sum, json!(2));
    }
}
