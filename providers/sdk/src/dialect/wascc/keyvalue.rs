//! `Get`, `Add`, `Push` and so on.
//!
//! `Push` appends, as `wascc-codec` documents it and as the next generation's `ListAdd` does. (The Redis provider of
//! the time put new items in front.)

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wattle_types::ProviderError;

use super::super::{counter, keys::Keys, unknown_operation};
use crate::{
    KeyValue,
    codec::{decode, encode},
};

#[derive(Deserialize)]
struct Key<'a> {
    key: &'a str,
}

#[derive(Deserialize)]
struct SetsRequest {
    #[serde(default)]
    keys: Keys,
}

#[derive(Deserialize)]
struct KeyAndValue<'a> {
    key: &'a str,
    value: String,
}

#[derive(Deserialize)]
struct AddRequest<'a> {
    key: &'a str,
    value: i32,
}

#[derive(Deserialize)]
struct SetRequest<'a> {
    key: &'a str,
    value: String,
    /// Seconds; 0 or less is never.
    #[serde(alias = "expires_s", default)]
    expires: i64,
}

#[derive(Deserialize)]
struct RangeRequest<'a> {
    key: &'a str,
    start: i32,
    stop: i32,
}

#[derive(Serialize)]
struct GetResponse<'a> {
    value: &'a str,
    exists: bool,
}

#[derive(Serialize)]
struct KeyResponse<'a> {
    key: &'a str,
}

#[derive(Serialize)]
struct ValueResponse<T> {
    value: T,
}

#[derive(Serialize)]
struct ValuesResponse {
    values: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CountResponse {
    new_count: i32,
}

pub(in crate::dialect) async fn handle<K: KeyValue>(
    store: &K,
    operation: &str,
    payload: &[u8],
) -> Result<Bytes, ProviderError> {
    match operation {
        "Get" => {
            let value = store.get(decode::<Key<'_>>(payload)?.key).await?;
            encode(&GetResponse { value: value.as_deref().unwrap_or_default(), exists: value.is_some() })
        }
        "Set" => {
            let SetRequest { key, value, expires } = decode(payload)?;
            let expiry = u64::try_from(expires).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs);
            store.set(key, value.clone(), expiry).await?;
            encode(&ValueResponse { value })
        }
        "Add" => {
            let AddRequest { key, value } = decode(payload)?;
            encode(&ValueResponse { value: counter(store.increment(key, value.into()).await?)? })
        }
        "KeyExists" => {
            let exists = store.contains(decode::<Key<'_>>(payload)?.key).await?;
            encode(&GetResponse { value: "", exists })
        }
        // Clearing a list leaves nothing, and a key with nothing does not exist.
        "Del" | "Clear" => {
            let Key { key } = decode(payload)?;
            store.delete(key).await?;
            encode(&KeyResponse { key })
        }
        "Push" | "ListItemDelete" | "Range" => handle_list(store, operation, payload).await,
        _ => handle_set(store, operation, payload).await,
    }
}

async fn handle_list<K: KeyValue>(store: &K, operation: &str, payload: &[u8]) -> Result<Bytes, ProviderError> {
    match operation {
        "Push" => {
            let KeyAndValue { key, value } = decode(payload)?;
            encode(&CountResponse { new_count: count(store.list_push(key, value).await?) })
        }
        "ListItemDelete" => {
            let KeyAndValue { key, value } = decode(payload)?;
            encode(&CountResponse { new_count: count(store.list_remove(key, &value).await?) })
        }
        _ => {
            let RangeRequest { key, start, stop } = decode(payload)?;
            encode(&ValuesResponse { values: store.list_range(key, start.into(), stop.into()).await? })
        }
    }
}

async fn handle_set<K: KeyValue>(store: &K, operation: &str, payload: &[u8]) -> Result<Bytes, ProviderError> {
    match operation {
        "SetAdd" => {
            let KeyAndValue { key, value } = decode(payload)?;
            encode(&CountResponse { new_count: store.set_add(key, value).await?.into() })
        }
        "SetRemove" => {
            let KeyAndValue { key, value } = decode(payload)?;
            encode(&CountResponse { new_count: store.set_remove(key, &value).await?.into() })
        }
        "SetQuery" => {
            let values = store.set_members(decode::<Key<'_>>(payload)?.key).await?;
            encode(&ValuesResponse { values })
        }
        "SetUnion" => {
            let SetsRequest { keys: Keys(keys) } = decode(payload)?;
            encode(&ValuesResponse { values: store.set_union(&keys).await? })
        }
        "SetIntersection" => {
            let SetsRequest { keys: Keys(keys) } = decode(payload)?;
            encode(&ValuesResponse { values: store.set_intersection(&keys).await? })
        }
        _ => Err(unknown_operation("wascc:keyvalue", operation)),
    }
}

/// A length as the contract's 32 bits.
fn count(length: u64) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
