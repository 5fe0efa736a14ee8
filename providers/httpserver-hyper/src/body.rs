//! Request bodies, read whole and no longer than allowed.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::budget::{Exhausted, Share};

/// Why there is no body.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It is longer than allowed.
    TooLarge,
    /// All bodies of the server together are larger than allowed.
    NoRoom(Exhausted),
    /// The client broke off, or broke the protocol.
    Broken(hyper::Error),
}

/// Reads a body of at most `limit` bytes. One that arrives in one piece is not copied, and one that announces more is
/// refused unread. `share` grows with what has arrived.
///
/// # Errors
/// [`BodyError`].
pub(crate) async fn read(mut body: Incoming, limit: usize, share: &mut Share) -> Result<Bytes, BodyError> {
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(BodyError::TooLarge);
    }
    let Some(first) = next(&mut body, limit, share).await? else { return Ok(Bytes::new()) };
    let Some(second) = next(&mut body, limit - first.len(), share).await? else { return Ok(first) };
    // What is announced is not yet there: memory follows the bytes.
    let mut whole = BytesMut::with_capacity((first.len() + second.len()) * 2);
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    drop((first, second));
    while let Some(piece) = next(&mut body, limit - whole.len(), share).await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// Returns the next bytes, at most `room` of them, once `share` has them; trailers are skipped.
async fn next(body: &mut Incoming, room: usize, share: &mut Share) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame.map_err(BodyError::Broken)?.into_data()
            && !bytes.is_empty()
        {
            if bytes.len() > room {
                return Err(BodyError::TooLarge);
            }
            share.take(bytes.len()).map_err(BodyError::NoRoom)?;
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}
