//! The sections of a WebAssembly binary, as far as signing needs them: modules, and components with what they nest.
//!
//! Every length is checked. Nothing inside a section is looked at but the names of custom sections, and in components
//! the nested modules and components.

use crate::ClaimsError;

/// Sections that hold a token: today's name, and that of wascap before 0.9.
const TOKEN_SECTIONS: [&[u8]; 2] = [b"wasmcloud_jwt", b"jwt"];

/// Deepest nesting of components followed. Real ones nest twice or thrice.
const MAX_DEPTH: u8 = 32;

const CUSTOM: u8 = 0;
const NESTED_MODULE: u8 = 1;
const NESTED_COMPONENT: u8 = 4;

/// The tokens met on a walk.
#[derive(Debug, Default)]
pub(crate) struct Tokens<'a> {
    first: Option<&'a [u8]>,
    more: bool,
}

impl<'a> Tokens<'a> {
    /// Returns the one token at the top level.
    ///
    /// # Errors
    /// [`ClaimsError::Missing`], or [`ClaimsError::Ambiguous`] if there are others anywhere: neither signature nor hash
    /// covers those.
    pub(crate) fn only(&self) -> Result<&'a str, ClaimsError> {
        match (self.first, self.more) {
            (_, true) => Err(ClaimsError::Ambiguous),
            (None, false) => Err(ClaimsError::Missing),
            (Some(token), false) => {
                std::str::from_utf8(token).map_err(|_| ClaimsError::TokenMalformed("it is not text"))
            }
        }
    }
}

/// Walks over `bytes` and hands all of it but the token sections to `sink`, section lengths written minimally.
///
/// What `sink` gets is what the module hash is taken of.
pub(crate) fn walk<'a>(bytes: &'a [u8], sink: &mut dyn FnMut(&[u8])) -> Result<Tokens<'a>, ClaimsError> {
    let mut tokens = Tokens::default();
    let (encoding, sections) = Encoding::of(bytes)?;
    walk_sections(encoding, sections, 0, sink, &mut tokens)?;
    Ok(tokens)
}

/// Returns whether a header is a component's.
pub(crate) fn is_component(bytes: &[u8]) -> bool {
    Encoding::of(bytes).is_ok_and(|(encoding, _)| encoding == Encoding::Component)
}

/// Appends a custom section to a module or component.
pub(crate) fn append_custom(module: &mut Vec<u8>, name: &str, payload: &[u8]) {
    let mut body = leb(name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(payload);
    write_section(CUSTOM, &body, &mut |bytes| module.extend_from_slice(bytes));
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Module,
    Component,
}

impl Encoding {
    fn of(bytes: &[u8]) -> Result<(Self, Sections<'_>), ClaimsError> {
        let (header, rest) = bytes
            .split_first_chunk::<8>()
            .ok_or(ClaimsError::WasmMalformed { what: "too short", offset: bytes.len() })?;
        let encoding = match header {
            b"\0asm\x01\0\0\0" => Self::Module,
            [0, b'a', b's', b'm', _, _, 1, 0] => Self::Component,
            [0, b'a', b's', b'm', ..] => return Err(ClaimsError::WasmMalformed { what: "unknown version", offset: 4 }),
            _ => return Err(ClaimsError::WasmMalformed { what: "no wasm header", offset: 0 }),
        };
        Ok((encoding, Sections { header: *header, rest, offset: 8 }))
    }

    /// Returns what a section of this id nests.
    const fn nested(self, id: u8) -> Option<Self> {
        match (self, id) {
            (Self::Component, NESTED_MODULE) => Some(Self::Module),
            (Self::Component, NESTED_COMPONENT) => Some(Self::Component),
            _ => None,
        }
    }
}

fn walk_sections<'a>(
    encoding: Encoding,
    sections: Sections<'a>,
    depth: u8,
    sink: &mut dyn FnMut(&[u8]),
    tokens: &mut Tokens<'a>,
) -> Result<(), ClaimsError> {
    sink(&sections.header);
    for section in sections {
        let Section { id, body, offset } = section?;
        if let Some(nested) = encoding.nested(id) {
            write_section(id, &normal(nested, body, offset, depth, tokens)?, sink);
        } else if id == CUSTOM
            && let Some(token) = token_payload(body, offset)?
        {
            tokens.more |= depth > 0 || tokens.first.is_some();
            tokens.first = tokens.first.or((depth == 0).then_some(token));
        } else {
            write_section(id, body, sink);
        }
    }
    Ok(())
}

/// Returns the bytes of a nested module or component without tokens. Each level copies once, so depth is bounded.
fn normal<'a>(
    expected: Encoding,
    body: &'a [u8],
    offset: usize,
    depth: u8,
    tokens: &mut Tokens<'a>,
) -> Result<Vec<u8>, ClaimsError> {
    let (encoding, sections) = Encoding::of(body)?;
    if encoding != expected || depth >= MAX_DEPTH {
        let what = if encoding == expected { "nested too deeply" } else { "a nested module of the wrong kind" };
        return Err(ClaimsError::WasmMalformed { what, offset });
    }
    let mut out = Vec::new();
    walk_sections(encoding, sections, depth + 1, &mut |bytes| out.extend_from_slice(bytes), tokens)?;
    Ok(out)
}

/// Returns the payload if this custom section is a token's.
fn token_payload(body: &[u8], offset: usize) -> Result<Option<&[u8]>, ClaimsError> {
    let malformed = ClaimsError::WasmMalformed { what: "a custom section without a name", offset };
    let (len, rest) = read_leb(body).ok_or_else(|| malformed.clone())?;
    let (name, payload) = rest.split_at_checked(len).ok_or(malformed)?;
    Ok(TOKEN_SECTIONS.contains(&name).then_some(payload))
}

struct Section<'a> {
    id: u8,
    body: &'a [u8],
    offset: usize,
}

struct Sections<'a> {
    header: [u8; 8],
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Sections<'a> {
    type Item = Result<Section<'a>, ClaimsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (id, rest) = self.rest.split_first()?;
        let offset = self.offset;
        let parts = read_leb(rest).and_then(|(len, rest)| rest.split_at_checked(len));
        let Some((body, rest)) = parts else {
            self.rest = &[];
            return Some(Err(ClaimsError::WasmMalformed { what: "a section longer than the file", offset }));
        };
        self.offset += self.rest.len() - rest.len();
        self.rest = rest;
        Some(Ok(Section { id: *id, body, offset }))
    }
}

fn write_section(id: u8, body: &[u8], sink: &mut dyn FnMut(&[u8])) {
    sink(&[id]);
    sink(&leb(body.len()));
    sink(body);
}

/// Reads an unsigned LEB128 number of at most 32 bits, as wasm allows them: five bytes, padded or not.
fn read_leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (i, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).ok()?;
            return Some((usize::try_from(value).ok()?, bytes.get(i + 1..)?));
        }
    }
    None
}

/// Writes an unsigned LEB128 number in as few bytes as it takes.
fn leb(mut value: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(5);
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

#[cfg(test)]
mod tests;
