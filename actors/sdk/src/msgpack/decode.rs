//! Reading: any form a peer may choose.

use std::fmt;

/// Reads one value that takes up all of `bytes`.
///
/// # Errors
/// When `bytes` hold another kind of value, end too soon or too late.
pub fn from_bytes<T: Decode>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut input = Reader { rest: bytes, len: bytes.len() };
    let value = T::decode(&mut input)?;
    if input.rest.is_empty() { Ok(value) } else { Err(input.expected("the end")) }
}

/// What can be read.
pub trait Decode: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// When something else, or nothing, is there.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Returns a struct's field, or what stands for it when it was left out.
    ///
    /// # Errors
    /// When nothing stands for it.
    fn or_missing(found: Option<Self>, field: &'static str) -> Result<Self, DecodeError> {
        found.ok_or(DecodeError::MissingField(field))
    }
}

/// Why bytes cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Something else was found.
    Expected {
        /// What the type takes.
        what: &'static str,
        /// Where, in bytes from the start.
        at: usize,
    },
    /// A field without which the struct means nothing was left out.
    MissingField(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expected { what, at } => write!(f, "not a valid payload: expected {what} at byte {at}"),
            Self::MissingField(field) => write!(f, "not a valid payload: the field {field} is missing"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Bytes being read.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Reader<'a> {
    /// Reads the head of a map, and returns how many pairs follow.
    ///
    /// # Errors
    /// When something else is there, or fewer bytes than pairs follow.
    pub fn map(&mut self) -> Result<usize, DecodeError> {
        self.head("a map", |mark| match mark {
            0x80..=0x8f => Some(Head::Len(usize::from(mark & 0x0f))),
            0xde => Some(Head::Bytes(2)),
            0xdf => Some(Head::Bytes(4)),
            _ => None,
        })
    }

    /// Reads the head of an array, and returns how many values follow.
    ///
    /// # Errors
    /// When something else is there, or fewer bytes than values follow.
    pub fn array(&mut self) -> Result<usize, DecodeError> {
        self.head("an array", |mark| match mark {
            0x90..=0x9f => Some(Head::Len(usize::from(mark & 0x0f))),
            0xdc => Some(Head::Bytes(2)),
            0xdd => Some(Head::Bytes(4)),
            _ => None,
        })
    }

    /// Reads a text.
    ///
    /// # Errors
    /// When something else is there, or it is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let len = self.head("a text", |mark| match mark {
            0xa0..=0xbf => Some(Head::Len(usize::from(mark & 0x1f))),
            0xd9..=0xdb => Some(Head::Bytes(1 << (mark - 0xd9))),
            _ => None,
        })?;
        let bytes = self.take(len)?;
        str::from_utf8(bytes).map_err(|_| self.expected("UTF-8 text before"))
    }

    /// Reads a byte string; an array of numbers, as some peers write bytes, will do.
    ///
    /// # Errors
    /// When something else is there.
    pub fn bytes(&mut self) -> Result<Vec<u8>, DecodeError> {
        if matches!(self.rest.first(), Some(0x90..=0x9f | 0xdc | 0xdd)) {
            let len = self.array()?;
            return (0..len).map(|_| self.number()).collect();
        }
        let len = self.head("a byte string", |mark| match mark {
            0xc4..=0xc6 => Some(Head::Bytes(1 << (mark - 0xc4))),
            _ => None,
        })?;
        Ok(self.take(len)?.to_vec())
    }

    /// Reads a number of any width.
    ///
    /// # Errors
    /// When something else is there, or it does not fit the type.
    pub fn number<T: TryFrom<i64>>(&mut self) -> Result<T, DecodeError> {
        let expected = self.expected("a number in range");
        let number = match self.byte()? {
            mark @ 0x00..=0x7f => i64::from(mark),
            mark @ 0xe0..=0xff => i64::from(mark as i8),
            mark @ 0xcc..=0xcf => i64::try_from(self.unsigned(1 << (mark - 0xcc))?).map_err(|_| expected)?,
            mark @ 0xd0..=0xd3 => {
                let width = 1 << (mark - 0xd0);
                let unused_bits = 64 - 8 * width as u32;
                (self.unsigned(width)? << unused_bits) as i64 >> unused_bits
            }
            _ => return Err(expected),
        };
        T::try_from(number).map_err(|_| expected)
    }

    /// Reads over one value of any kind, however deep it nests.
    ///
    /// # Errors
    /// When the bytes end before the value does.
    pub fn skip(&mut self) -> Result<(), DecodeError> {
        let mut values = 1_u64;
        while values > 0 {
            values = values - 1 + self.skip_shallow()?;
        }
        Ok(())
    }

    /// Reads over one value without its parts, and returns how many parts follow.
    fn skip_shallow(&mut self) -> Result<u64, DecodeError> {
        let mark = self.byte()?;
        let (len, parts) = match mark {
            0x80..=0x8f => (0, 2 * u64::from(mark & 0x0f)),
            0x90..=0x9f => (0, u64::from(mark & 0x0f)),
            0xa0..=0xbf => (u64::from(mark & 0x1f), 0),
            0xc4..=0xc6 => (self.unsigned(1 << (mark - 0xc4))?, 0),
            0xc7..=0xc9 => (self.unsigned(1 << (mark - 0xc7))? + 1, 0),
            0xca => (4, 0),
            0xcb => (8, 0),
            0xcc..=0xcf => (1 << (mark - 0xcc), 0),
            0xd0..=0xd3 => (1 << (mark - 0xd0), 0),
            0xd4..=0xd8 => ((1 << (mark - 0xd4)) + 1, 0),
            0xd9..=0xdb => (self.unsigned(1 << (mark - 0xd9))?, 0),
            0xdc | 0xdd => (0, self.unsigned(2 << (mark - 0xdc))?),
            0xde | 0xdf => (0, 2 * self.unsigned(2 << (mark - 0xde))?),
            _ => (0, 0),
        };
        self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
        Ok(parts)
    }

    /// Reads a length, and checks that so many bytes can follow at all.
    fn head(&mut self, what: &'static str, read: impl Fn(u8) -> Option<Head>) -> Result<usize, DecodeError> {
        let expected = self.expected(what);
        let len = match self.rest.first().and_then(|mark| read(*mark)).ok_or(expected)? {
            Head::Len(len) => self.byte().map(|_| len as u64)?,
            Head::Bytes(width) => self.byte().and_then(|_| self.unsigned(width))?,
        };
        usize::try_from(len).ok().filter(|len| *len <= self.rest.len()).ok_or(expected)
    }

    fn unsigned(&mut self, width: usize) -> Result<u64, DecodeError> {
        Ok(self.take(width)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| self.expected("more bytes"))?;
        self.rest = rest;
        Ok(*first)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(|| self.expected("more bytes"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn nil(&mut self) -> bool {
        let nil = self.rest.first() == Some(&0xc0);
        if nil {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        nil
    }

    const fn expected(&self, what: &'static str) -> DecodeError {
        DecodeError::Expected { what, at: self.len - self.rest.len() }
    }
}

/// Where a length is: in the mark itself, or in that many bytes after it.
enum Head {
    Len(usize),
    Bytes(usize),
}

impl Decode for bool {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let expected = input.expected("true or false");
        match input.byte()? {
            0xc2 => Ok(false),
            0xc3 => Ok(true),
            _ => Err(expected),
        }
    }
}

impl Decode for String {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.text().map(Into::into)
    }
}

impl Decode for Vec<u8> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.bytes()
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = input.array()?;
        (0..len).map(|_| T::decode(input)).collect()
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.nil() { Ok(None) } else { T::decode(input).map(Some) }
    }

    fn or_missing(found: Option<Self>, _: &'static str) -> Result<Self, DecodeError> {
        Ok(found.flatten())
    }
}

macro_rules! integers {
    ($($type:ty),+) => {$(
        impl Decode for $type {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                input.number()
            }
        }
    )+};
}

integers!(u16, u32, i32, i64);
