//! `KeyValue.*`.

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
struct SetRequest<'a> {
    #[serde(default)]
    key: &'a str,
    #[serde(default)]
    value: String,
    /// Seconds; 0 is never.
    #[serde(default)]
    expires: u32,
}

#[derive(Deserialize)]
struct IncrementRequest<'a> {
    #[serde(default)]
    key: &'a str,
    #[serde(default)]
    value: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListItem<'a> {
    #[serde(default)]
    list_name: &'a str,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetItem<'a> {
    #[serde(default)]
    set_name: &'a str,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListRangeRequest<'a> {
    #[serde(default)]
    list_name: &'a str,
    #[serde(default)]
    start: i32,
    #[serde(default)]
    stop: i32,
}

#[derive(Serialize)]
struct GetResponse<'a> {
    value: &'a str,
    exists: bool,
}

pub(in crate::dialect) async fn handle<K: KeyValue>(
    store: &K,
    operation: &str,
    payload: &[u8],
) -> Result<Bytes, ProviderError> {
    let method = operation.strip_prefix("KeyValue.").ok_or_else(|| unknown(operation))?;
    match method {
        "Get" => {
            let value = store.get(decode(payload)?).await?;
            encode(&GetResponse { value: value.as_deref().unwrap_or_default(), exists: value.is_some() })
        }
        "Set" => {
            let SetRequest { key, value, expires } = decode(payload)?;
            let expiry = (expires > 0).then(|| Duration::from_secs(expires.into()));
            store.set(key, value, expiry).await?;
            Ok(Bytes::new())
        }
        "Increment" => {
            let IncrementRequest { key, value } = decode(payload)?;
            encode(&counter(store.increment(key, value.into()).await?)?)
        }
        "Contains" => encode(&store.contains(decode(payload)?).await?),
        // Clearing a list or a set leaves nothing, and a key with nothing does not exist.
        "Del" | "ListClear" | "SetClear" => encode(&store.delete(decode(payload)?).await?),
        list if list.starts_with("List") => handle_list(store, operation, list, payload).await,
        set => handle_set(store, operation, set, payload).await,
    }
}

async fn handle_list<K: KeyValue>(
    store: &K,
    operation: &str,
    method: &str,
    payload: &[u8],
) -> Result<Bytes, ProviderError> {
    match method {
        "ListAdd" => {
            let ListItem { list_name, value } = decode(payload)?;
            encode(&count(store.list_push(list_name, value).await?))
        }
        "ListDel" => {
            let ListItem { list_name, value } = decode(payload)?;
            encode(&(store.list_remove(list_name, &value).await? > 0))
        }
        "ListRange" => {
            let ListRangeRequest { list_name, start, stop } = decode(payload)?;
            encode(&store.list_range(list_name, start.into(), stop.into()).await?)
        }
        _ => Err(unknown(operation)),
    }
}

async fn handle_set<K: KeyValue>(
    store: &K,
    operation: &str,
    method: &str,
    payload: &[u8],
) -> Result<Bytes, ProviderError> {
    match method {
        "SetAdd" => {
            let SetItem { set_name, value } = decode(payload)?;
            encode(&u32::from(store.set_add(set_name, value).await?))
        }
        "SetDel" => {
            let SetItem { set_name, value } = decode(payload)?;
            encode(&u32::from(store.set_remove(set_name, &value).await?))
        }
        "SetQuery" => encode(&store.set_members(decode(payload)?).await?),
        "SetUnion" => encode(&store.set_union(&decode::<Keys>(payload)?.0).await?),
        "SetIntersection" => encode(&store.set_intersection(&decode::<Keys>(payload)?.0).await?),
        _ => Err(unknown(operation)),
    }
}

/// A length as the contract's 32 bits.
fn count(length: u64) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn unknown(operation: &str) -> ProviderError {
    unknown_operation("wasmcloud:keyvalue", operation)
}
