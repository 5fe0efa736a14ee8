//! The head of every message: what it is, of which session, and which one of it.
//!
//! The first byte is one that no MessagePack has, so that nothing else sent to a host is taken for one of these.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    keys::{Key, TAG_LEN},
    wire::{Malformed, Reader},
};

const MAGIC: u8 = 0xC1;
/// Of this protocol. A host answers others with [`Kind::Declined`].
const VERSION: u8 = 1;
/// Bytes before the fields.
pub(super) const HEAD_LEN: usize = 19;
/// Bytes that a message may have besides its payload: enough for all fields at their longest.
pub(super) const EXTRA_LEN_MAX: usize = 4096;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Asks for a session. Signed.
    Hello = 1,
    /// Grants it. Signed.
    Welcome = 2,
    /// Does not. Proves nothing.
    Declined = 3,
    /// Says that a message's session is not known any more. Signed.
    Gone = 4,
    /// Asks for work.
    Call = 16,
    /// Sends a part of the payload of a call that follows.
    Put = 17,
    /// Asks for a part of the answer to a call.
    Get = 18,
    /// Answers a call.
    Answer = 32,
    /// Says that the answer to a call is to be fetched in parts.
    Held = 33,
    /// Answers with an error.
    Refused = 34,
    /// Answers a `Get`.
    Part = 35,
    /// Answers a `Put`.
    Stored = 36,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Hello,
        Self::Welcome,
        Self::Declined,
        Self::Gone,
        Self::Call,
        Self::Put,
        Self::Get,
        Self::Answer,
        Self::Held,
        Self::Refused,
        Self::Part,
        Self::Stored,
    ];
}

/// The head of a message. A first contact has neither session nor counter: both are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) session: u64,
    pub(super) counter: u64,
}

/// Why a head is not one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHead {
    /// It is something else altogether.
    Foreign,
    /// It is of another version of this protocol.
    Version(u8),
}

impl Head {
    /// Begins a message with room for `len` bytes of fields.
    pub(super) fn begin(self, len: usize) -> BytesMut {
        let mut frame = BytesMut::with_capacity(HEAD_LEN + len + TAG_LEN);
        frame.put_slice(&[MAGIC, VERSION, self.kind as u8]);
        frame.put_u64(self.session);
        frame.put_u64(self.counter);
        frame
    }

    /// Reads the head of a message, and proves nothing of it.
    pub(super) fn read(frame: &Bytes) -> Result<Self, NoHead> {
        let mut reader = Reader::new(frame.clone());
        match (reader.u8(), reader.u8()) {
            (Ok(MAGIC), Ok(VERSION)) => Self::read_fields(&mut reader).map_err(|_| NoHead::Foreign),
            (Ok(MAGIC), Ok(version)) => Err(NoHead::Version(version)),
            _ => Err(NoHead::Foreign),
        }
    }

    fn read_fields(reader: &mut Reader) -> Result<Self, Malformed> {
        let byte = reader.u8()?;
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == byte).ok_or(Malformed)?;
        Ok(Self { kind, session: reader.u64()?, counter: reader.u64()? })
    }
}

/// Returns the fields of a message that ends with its code under `key`.
pub(super) fn open(key: &Key, frame: &Bytes) -> Result<Bytes, Malformed> {
    let mut fields = key.open(frame)?;
    if fields.len() < HEAD_LEN {
        return Err(Malformed);
    }
    Ok(fields.split_off(HEAD_LEN))
}
