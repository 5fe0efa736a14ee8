//! `NumberGen.*`.

use bytes::Bytes;
use serde::Deserialize;
use wattle_types::ProviderError;

use super::super::unknown_operation;
use crate::{
    NumberGen,
    codec::{decode, encode},
};

#[derive(Deserialize)]
struct RangeLimit {
    #[serde(default)]
    min: u32,
    #[serde(default)]
    max: u32,
}

pub(in crate::dialect) fn handle<N: NumberGen>(
    numbers: &N,
    operation: &str,
    payload: &[u8],
) -> Result<Bytes, ProviderError> {
    match operation {
        "NumberGen.GenerateGuid" => encode(&numbers.guid()?),
        "NumberGen.RandomInRange" => {
            let RangeLimit { min, max } = decode(payload)?;
            encode(&numbers.random_in_range(min, max)?)
        }
        "NumberGen.Random32" => encode(&numbers.random_u32()?),
        _ => Err(unknown_operation("wasmcloud:builtin:numbergen", operation)),
    }
}
