//! `RequestGuid`, `RequestRandom` and `RequestSequence` of `wascc:extras`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wattle_types::ProviderError;

use super::super::unknown_operation;
use crate::{
    NumberGen,
    codec::{decode, encode},
};

/// The operation's name says what is wanted; the request's flags repeat it and are not read.
#[derive(Deserialize)]
struct GeneratorRequest {
    min: u32,
    max: u32,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct GeneratorResult {
    guid: Option<String>,
    sequence_number: u64,
    random_number: u32,
}

pub(in crate::dialect) fn handle<N: NumberGen>(
    numbers: &N,
    operation: &str,
    payload: &[u8],
) -> Result<Bytes, ProviderError> {
    let result = match operation {
        "RequestGuid" => GeneratorResult { guid: Some(numbers.guid()?), ..GeneratorResult::default() },
        "RequestRandom" => {
            let GeneratorRequest { min, max } = decode(payload)?;
            GeneratorResult { random_number: numbers.random_in_range(min, max)?, ..GeneratorResult::default() }
        }
        "RequestSequence" => GeneratorResult { sequence_number: numbers.sequence()?, ..GeneratorResult::default() },
        _ => return Err(unknown_operation("wascc:extras", operation)),
    };
    encode(&result)
}
