//! First contact: two signed messages from which both sides derive the keys of a session.
//!
//! Each side signs a key made for this session only: whoever learns a cluster key later cannot forge what was said in a
//! session before. The second message names the digest of the first, and the keys hang on both.

use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest, Sha256};
use wattle_types::{
    HostId,
    signed::CLOCKS_APART_MAX_SECS,
    wascap::{KeyKind, PublicKey},
};
use x25519_dalek::{PublicKey as Point, StaticSecret};

use super::{
    Identity, NoRandomness, Surroundings,
    fields::write_text,
    frame::{Head, Kind},
    keys::Keys,
    wire::{Malformed, Reader, cut},
};

const SIGNATURE_LEN: usize = 64;
const KEY_LEN: usize = 32;
/// Bytes of the fields of a first contact at their longest.
const FIELDS_LEN_MAX: usize = 512;
const REASON_LEN_MAX: usize = 256;

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoSession {
    #[error("the first contact cannot be read")]
    Malformed,
    #[error("the first contact is for another host or lattice")]
    Misdirected,
    #[error("its cluster key {0} is not trusted")]
    Untrusted(PublicKey),
    #[error("the signature is not right")]
    Forged,
    #[error("the first contact is not fresh: the hosts' clocks differ by more than {CLOCKS_APART_MAX_SECS} seconds")]
    Stale,
    #[error("the first contact was sent before")]
    Repeated,
    #[error("too many first contacts in a short time")]
    Busy,
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error("the host speaks another version of the protocol")]
    Version,
    #[error("the host refused: {0}")]
    Declined(String),
}

impl From<Malformed> for NoSession {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// A first contact that was sent and not answered yet.
pub(super) struct Hello {
    pub(super) frame: Bytes,
    secret: StaticSecret,
}

/// A session that was granted.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) session: u64,
    /// Which start of the host granted it.
    pub(super) incarnation: u64,
    pub(super) keys: Keys,
}

/// A first contact whose sender is proven.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) from: HostId,
    pub(super) nonce: [u8; 16],
    pub(super) sent_at: u64,
    frame: Bytes,
    ephemeral: [u8; 32],
}

const FIRST: u64 = 0;

const fn head(kind: Kind) -> Head {
    Head { kind, session: FIRST, counter: FIRST }
}

fn secret(surroundings: &dyn Surroundings) -> Result<StaticSecret, NoRandomness> {
    let mut bytes = [0; 32];
    surroundings.fill_random(&mut bytes)?;
    Ok(StaticSecret::from(bytes))
}

/// Signs a message: the key, then the signature over all before it.
fn sign(identity: &Identity, mut frame: BytesMut) -> Bytes {
    frame.put_slice(identity.cluster.public_key().as_bytes());
    let signature = identity.cluster.sign(&frame);
    frame.put_slice(&signature);
    frame.freeze()
}

/// A signed message of which nothing is proven but that it names a key we trust.
struct Signed<'a> {
    /// All that is signed, the key included.
    text: &'a [u8],
    signature: &'a [u8; SIGNATURE_LEN],
    issuer: PublicKey,
}

/// Checks that a message names a trusted key as its signer's. That costs nothing, and lets in nobody.
pub(super) fn check_issuer(identity: &Identity, frame: &Bytes) -> Result<(), NoSession> {
    read_signed(identity, frame).map(drop)
}

fn read_signed<'a>(identity: &Identity, frame: &'a Bytes) -> Result<Signed<'a>, NoSession> {
    let (text, signature) = frame.split_last_chunk::<SIGNATURE_LEN>().ok_or(NoSession::Malformed)?;
    let (_, key) = text.split_last_chunk::<KEY_LEN>().ok_or(NoSession::Malformed)?;
    let issuer = PublicKey::from_bytes(KeyKind::Cluster, *key);
    if !identity.trusts(&issuer) {
        return Err(NoSession::Untrusted(issuer));
    }
    Ok(Signed { text, signature, issuer })
}

/// Returns what was signed, without head and key, if the key is trusted and the signature is its.
fn check_signed(identity: &Identity, frame: &Bytes) -> Result<Reader, NoSession> {
    let Signed { text, signature, issuer } = read_signed(identity, frame)?;
    if !issuer.verify(text, signature).unwrap_or(false) {
        return Err(NoSession::Forged);
    }
    let mut fields = Reader::new(frame.slice(..text.len() - KEY_LEN));
    let _head: [u8; super::frame::HEAD_LEN] = fields.array()?;
    Ok(fields)
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn derive(secret: &StaticSecret, theirs: [u8; 32], hello: &[u8], welcome: &[u8]) -> Result<Keys, NoSession> {
    let shared = secret.diffie_hellman(&Point::from(theirs));
    if !shared.was_contributory() {
        return Err(NoSession::Forged);
    }
    Keys::derive(shared.as_bytes(), &digest(&[hello, welcome])).ok_or(NoSession::Malformed)
}

impl Hello {
    /// Writes the first contact to `to`.
    pub(super) fn new(identity: &Identity, to: &HostId, surroundings: &dyn Surroundings) -> Result<Self, NoSession> {
        let secret = secret(surroundings)?;
        let mut nonce = [0; 16];
        surroundings.fill_random(&mut nonce)?;
        let mut frame = head(Kind::Hello).begin(FIELDS_LEN_MAX);
        write_text(&mut frame, identity.lattice.as_str());
        frame.put_slice(identity.host.public_key().as_bytes());
        frame.put_slice(to.public_key().as_bytes());
        frame.put_slice(Point::from(&secret).as_bytes());
        frame.put_slice(&nonce);
        frame.put_u64(surroundings.unix_now());
        Ok(Self { frame: sign(identity, frame), secret })
    }

    /// Reads the answer.
    pub(super) fn finish(&self, identity: &Identity, answer: &Bytes) -> Result<Granted, NoSession> {
        match Head::read(answer).map_err(|_| NoSession::Version)?.kind {
            Kind::Welcome => {}
            Kind::Declined => return Err(read_declined(answer)),
            _ => return Err(NoSession::Malformed),
        }
        let mut fields = check_signed(identity, answer)?;
        let (session, incarnation) = (fields.u64()?, fields.u64()?);
        if fields.array()? != digest(&[&self.frame]) {
            return Err(NoSession::Repeated);
        }
        let ephemeral = fields.array()?;
        fields.end()?;
        let keys = derive(&self.secret, ephemeral, &self.frame, answer)?;
        Ok(Granted { session, incarnation, keys })
    }
}

impl Proven {
    /// Reads a first contact and proves who sent it. Whether it was sent before is not known here.
    pub(super) fn read(identity: &Identity, frame: &Bytes, now: u64) -> Result<Self, NoSession> {
        let mut fields = check_signed(identity, frame)?;
        let is_ours = fields.text8(|lattice| Some(lattice == identity.lattice.as_str()))?;
        let from = read_host(&mut fields)?;
        let to = read_host(&mut fields)?;
        let (ephemeral, nonce, sent_at) = (fields.array()?, fields.array()?, fields.u64()?);
        fields.end()?;
        if !is_ours || to != identity.host {
            return Err(NoSession::Misdirected);
        }
        if sent_at.abs_diff(now) > CLOCKS_APART_MAX_SECS {
            return Err(NoSession::Stale);
        }
        Ok(Self { from, nonce, sent_at, frame: frame.clone(), ephemeral })
    }

    /// Grants the session this number: returns what to answer, and the keys.
    pub(super) fn welcome(
        &self,
        identity: &Identity,
        incarnation: u64,
        session: u64,
        surroundings: &dyn Surroundings,
    ) -> Result<(Bytes, Keys), NoSession> {
        let secret = secret(surroundings)?;
        let mut frame = head(Kind::Welcome).begin(FIELDS_LEN_MAX);
        frame.put_u64(session);
        frame.put_u64(incarnation);
        frame.put_slice(&digest(&[&self.frame]));
        frame.put_slice(Point::from(&secret).as_bytes());
        let welcome = sign(identity, frame);
        let keys = derive(&secret, self.ephemeral, &self.frame, &welcome)?;
        Ok((welcome, keys))
    }
}

fn read_host(fields: &mut Reader) -> Result<HostId, Malformed> {
    HostId::try_from(PublicKey::from_bytes(KeyKind::Host, fields.array()?)).map_err(|_| Malformed)
}

/// Writes why a first contact is declined. Not signed: who gets it makes no call, whether it is true or not.
pub(super) fn declined(why: &NoSession) -> Bytes {
    let mut frame = head(Kind::Declined).begin(FIELDS_LEN_MAX);
    frame.put_slice(cut(&why.to_string(), REASON_LEN_MAX).as_bytes());
    frame.freeze()
}

fn read_declined(frame: &Bytes) -> NoSession {
    let reason = frame.get(super::frame::HEAD_LEN..).unwrap_or_default();
    let printable = String::from_utf8_lossy(reason).chars().filter(|c| !c.is_control()).collect::<String>();
    NoSession::Declined(cut(&printable, REASON_LEN_MAX).to_owned())
}

/// Writes that the session of `request` is not known to this start of the host. Signed, and for this one message: it
/// lets the sender send the same call again.
pub(super) fn gone(identity: &Identity, incarnation: u64, request: &Bytes) -> Bytes {
    let mut frame = head(Kind::Gone).begin(FIELDS_LEN_MAX);
    frame.put_slice(identity.host.public_key().as_bytes());
    frame.put_slice(&digest(&[request]));
    frame.put_u64(incarnation);
    sign(identity, frame)
}

/// Returns which start of `host` says that it does not know the session of `request`, if `answer` is what [`gone`]
/// writes.
pub(super) fn read_gone(identity: &Identity, host: &HostId, request: &Bytes, answer: &Bytes) -> Option<u64> {
    let mut fields = check_signed(identity, answer).ok()?;
    let (from, named) = (read_host(&mut fields).ok()?, fields.array().ok()?);
    let incarnation = fields.u64().ok()?;
    fields.end().ok()?;
    (from == *host && named == digest(&[request])).then_some(incarnation)
}
