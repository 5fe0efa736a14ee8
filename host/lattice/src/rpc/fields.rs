//! The fields of each message within a session, as bytes.

use std::{sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use wattle_types::{
    ActorId, ErrorKind, LinkKey, ProviderId,
    wascap::{KeyKind, PublicKey},
};

use super::{
    Origin, Refusal, RemoteCall, Target,
    wire::{Malformed, Reader, cut},
};

/// Longest operation, in bytes.
pub(super) const OPERATION_LEN_MAX: usize = 1024;
const TRACE_LEN_MAX: usize = 128;
const CODE_LEN_MAX: usize = 64;
const MESSAGE_LEN_MAX: usize = 2048;

/// Where the payload of a call is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attached {
    /// In the same message.
    Here(Bytes),
    /// Sent before, in parts, under this number.
    Before(u64),
}

/// When a call was sent, and how long it may take from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallTime {
    pub(super) remaining: Duration,
    /// Since the session was asked for, by the clock of who calls.
    pub(super) sent: Duration,
}

/// A call as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) time: CallTime,
    pub(super) depth: u8,
    pub(super) origin: Origin,
    pub(super) target: Target,
    pub(super) operation: String,
    pub(super) traceparent: Option<Arc<str>>,
    pub(super) payload: Attached,
}

/// Part of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Put {
    /// Chosen by who sends.
    pub(super) upload: u64,
    /// How long it has to be kept.
    pub(super) remaining: Duration,
    /// Bytes of the whole.
    pub(super) total: u32,
    /// Where these bytes begin.
    pub(super) offset: u32,
    pub(super) bytes: Bytes,
}

/// A wish for a part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Get {
    /// Of the call.
    pub(super) counter: u64,
    pub(super) offset: u32,
    /// Most bytes wanted.
    pub(super) len: u32,
}

/// Returns milliseconds, rounded down: a deadline only moves closer.
fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

pub(super) fn write_call(out: &mut BytesMut, call: &RemoteCall, time: CallTime, payload: &Attached) {
    out.put_u32(millis(time.remaining));
    out.put_u32(millis(time.sent));
    out.put_u8(call.context.depth);
    write_origin(out, &call.origin);
    write_target(out, &call.target);
    let operation = cut(&call.operation, OPERATION_LEN_MAX);
    out.put_u16(u16::try_from(operation.len()).unwrap_or_default());
    out.put_slice(operation.as_bytes());
    write_text(
        out,
        call.context.traceparent.as_deref().filter(|trace| trace.len() <= TRACE_LEN_MAX).unwrap_or_default(),
    );
    match payload {
        Attached::Here(bytes) => {
            out.put_u8(0);
            out.put_slice(bytes);
        }
        Attached::Before(upload) => {
            out.put_u8(1);
            out.put_u64(*upload);
        }
    }
}

pub(super) fn read_call(fields: Bytes) -> Result<Call, Malformed> {
    let mut reader = Reader::new(fields);
    let remaining = Duration::from_millis(reader.u32()?.into());
    let sent = Duration::from_millis(reader.u32()?.into());
    let depth = reader.u8()?;
    let origin = read_origin(&mut reader)?;
    let target = read_target(&mut reader)?;
    let operation_len = usize::from(reader.u16()?);
    if operation_len > OPERATION_LEN_MAX {
        return Err(Malformed);
    }
    let operation = reader.text(operation_len, |text| Some(text.to_owned()))?;
    let traceparent = reader.text8(|text| (text.len() <= TRACE_LEN_MAX).then(|| text.into()))?;
    let payload = match reader.u8()? {
        0 => Attached::Here(reader.rest()),
        1 => {
            let upload = reader.u64()?;
            reader.end()?;
            Attached::Before(upload)
        }
        _ => return Err(Malformed),
    };
    let traceparent = Some(traceparent).filter(|trace: &Arc<str>| !trace.is_empty());
    Ok(Call { time: CallTime { remaining, sent }, depth, origin, target, operation, traceparent, payload })
}

fn write_origin(out: &mut BytesMut, origin: &Origin) {
    match origin {
        Origin::Host => out.put_u8(0),
        Origin::Actor(actor) => {
            out.put_u8(1);
            write_actor(out, actor);
        }
        Origin::Provider(provider) => {
            out.put_u8(2);
            write_text(out, provider.as_str());
        }
    }
}

fn read_origin(reader: &mut Reader) -> Result<Origin, Malformed> {
    match reader.u8()? {
        0 => Ok(Origin::Host),
        1 => read_actor(reader).map(Origin::Actor),
        2 => read_provider(reader).map(Origin::Provider),
        _ => Err(Malformed),
    }
}

fn write_target(out: &mut BytesMut, target: &Target) {
    match target {
        Target::Actor { actor, link: None } => {
            out.put_u8(0);
            write_actor(out, actor);
        }
        Target::Actor { actor, link: Some(link) } => {
            out.put_u8(1);
            write_actor(out, actor);
            write_link(out, link);
        }
        Target::Provider { link, provider } => {
            out.put_u8(2);
            write_link(out, link);
            write_text(out, provider.as_str());
        }
    }
}

fn read_target(reader: &mut Reader) -> Result<Target, Malformed> {
    match reader.u8()? {
        0 => Ok(Target::Actor { actor: read_actor(reader)?, link: None }),
        1 => Ok(Target::Actor { actor: read_actor(reader)?, link: Some(read_link(reader)?) }),
        2 => Ok(Target::Provider { link: read_link(reader)?, provider: read_provider(reader)? }),
        _ => Err(Malformed),
    }
}

fn write_link(out: &mut BytesMut, link: &LinkKey) {
    write_actor(out, &link.actor);
    write_text(out, link.contract.as_str());
    write_text(out, link.link_name.as_str());
}

fn read_link(reader: &mut Reader) -> Result<LinkKey, Malformed> {
    let actor = read_actor(reader)?;
    let contract = reader.text8(|text| text.parse().ok())?;
    let link_name = reader.text8(|text| text.parse().ok())?;
    Ok(LinkKey { actor, contract, link_name })
}

fn write_actor(out: &mut BytesMut, actor: &ActorId) {
    out.put_slice(actor.public_key().as_bytes());
}

fn read_actor(reader: &mut Reader) -> Result<ActorId, Malformed> {
    ActorId::try_from(PublicKey::from_bytes(KeyKind::Module, reader.array()?)).map_err(|_| Malformed)
}

fn read_provider(reader: &mut Reader) -> Result<ProviderId, Malformed> {
    reader.text8(|text| text.parse().ok())
}

/// Writes a text after its length in one byte. All are shorter than that by their types; longer ones are cut.
pub(super) fn write_text(out: &mut BytesMut, text: &str) {
    let text = cut(text, u8::MAX.into());
    out.put_u8(u8::try_from(text.len()).unwrap_or_default());
    out.put_slice(text.as_bytes());
}

pub(super) fn write_put(out: &mut BytesMut, put: &Put) {
    out.put_u64(put.upload);
    out.put_u32(millis(put.remaining));
    out.put_u32(put.total);
    out.put_u32(put.offset);
    out.put_slice(&put.bytes);
}

pub(super) fn read_put(fields: Bytes) -> Result<Put, Malformed> {
    let mut reader = Reader::new(fields);
    Ok(Put {
        upload: reader.u64()?,
        remaining: Duration::from_millis(reader.u32()?.into()),
        total: reader.u32()?,
        offset: reader.u32()?,
        bytes: reader.rest(),
    })
}

pub(super) fn write_get(out: &mut BytesMut, get: Get) {
    out.put_u64(get.counter);
    out.put_u32(get.offset);
    out.put_u32(get.len);
}

pub(super) fn read_get(fields: Bytes) -> Result<Get, Malformed> {
    let mut reader = Reader::new(fields);
    let get = Get { counter: reader.u64()?, offset: reader.u32()?, len: reader.u32()? };
    reader.end().map(|()| get)
}

/// Writes how many bytes an answer has that is to be fetched.
pub(super) fn write_held(out: &mut BytesMut, total: u32) {
    out.put_u32(total);
}

pub(super) fn read_held(fields: Bytes) -> Result<u32, Malformed> {
    let mut reader = Reader::new(fields);
    let total = reader.u32()?;
    reader.end().map(|()| total)
}

const KINDS: [ErrorKind; 5] =
    [ErrorKind::Caller, ErrorKind::Denied, ErrorKind::Unavailable, ErrorKind::Guest, ErrorKind::Internal];

pub(super) fn write_refusal(out: &mut BytesMut, refusal: &Refusal) {
    let kind = KINDS.iter().position(|kind| *kind == refusal.kind).unwrap_or_default();
    out.put_u8(refusal.executed.into());
    out.put_u8(u8::try_from(kind).unwrap_or_default());
    write_text(out, cut(&refusal.code, CODE_LEN_MAX));
    out.put_slice(cut(&refusal.message, MESSAGE_LEN_MAX).as_bytes());
}

pub(super) fn read_refusal(fields: Bytes) -> Result<Refusal, Malformed> {
    let mut reader = Reader::new(fields);
    let executed = match reader.u8()? {
        0 => false,
        1 => true,
        _ => return Err(Malformed),
    };
    let kind = KINDS.get(usize::from(reader.u8()?)).copied().ok_or(Malformed)?;
    let code = reader.text8(|text| is_code(text).then(|| text.to_owned()))?;
    let message = String::from_utf8(reader.rest().into()).map_err(|_| Malformed)?;
    Ok(Refusal { code: code.into(), kind, message: cut(&message, MESSAGE_LEN_MAX).to_owned(), executed })
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.len() <= CODE_LEN_MAX && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
