//! Where the requests of an HTTP/1.1 connection begin and end, followed only to see one thing that hyper does not tell:
//! a head with both `Content-Length` and `Transfer-Encoding`.
//!
//! hyper takes the second and forgets the first. A proxy before us that took the first would see other requests than we
//! do: whoever sends both smuggles (RFC 9112, 6.1). Nothing is refused here; what cannot be followed counts as unclear.

/// As much of a line as is looked at: every name, and every honest length.
const LINE_BYTES: usize = 80;

/// Follows the bytes of one connection.
#[derive(Debug, Default)]
pub(super) struct Framing {
    state: State,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// Heads that ended.
    heads: u32,
    head: Head,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a request line, where empty lines are skipped.
    #[default]
    Start,
    Head,
    /// Bytes of a body, or of one chunk of it with the line's end behind it.
    Body(u64),
    Chunk(u64),
    ChunkSize,
    Trailers,
    /// Nothing is looked at any more.
    Over,
}

/// What the fields of a head say of its body.
#[derive(Debug, Default)]
struct Head {
    length: Option<u64>,
    has_length: bool,
    is_chunked: bool,
}

impl Framing {
    /// Looks at the next bytes. Returns the number of a head, counted from 1, that is the first unclear one.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Option<u32> {
        while !bytes.is_empty() && self.state != State::Over {
            bytes = match self.state {
                State::Body(left) => self.skip(bytes, left, State::Start, State::Body),
                State::Chunk(left) => self.skip(bytes, left, State::ChunkSize, State::Chunk),
                _ => {
                    let (line, rest) = self.next_line(bytes)?;
                    let unclear = self.line(&line);
                    self.line = line;
                    self.line.clear();
                    if unclear.is_some() {
                        self.state = State::Over;
                        return unclear;
                    }
                    rest
                }
            };
        }
        None
    }

    fn skip<'b>(&mut self, bytes: &'b [u8], left: u64, then: State, more: impl Fn(u64) -> State) -> &'b [u8] {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - count as u64;
        self.state = if left == 0 { then } else { more(left) };
        bytes.get(count..).unwrap_or_default()
    }

    /// Returns the beginning of a line that is whole, and what follows it; or keeps what there is of it.
    fn next_line<'b>(&mut self, bytes: &'b [u8]) -> Option<(Vec<u8>, &'b [u8])> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        let room = LINE_BYTES.saturating_sub(self.line.len()).min(part.len());
        self.line.extend_from_slice(part.get(..room).unwrap_or_default());
        end?;
        Some((std::mem::take(&mut self.line), rest.get(1..).unwrap_or_default()))
    }

    /// Takes a line in; its beginning, if it is long.
    fn line(&mut self, line: &[u8]) -> Option<u32> {
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        match self.state {
            State::Start if text.is_empty() => {}
            // HTTP/2, which has other frames.
            State::Start if text.starts_with(b"PRI * HTTP/2") => self.state = State::Over,
            State::Start => self.state = State::Head,
            State::Head if text.is_empty() => return self.end_head(),
            State::Head => self.head.field(text),
            State::ChunkSize => match chunk_size(text) {
                Some(0) => self.state = State::Trailers,
                Some(size) => self.state = State::Chunk(size.saturating_add(2)),
                None => return Some(self.heads.wrapping_add(1)),
            },
            State::Trailers if text.is_empty() => self.state = State::Start,
            State::Trailers | State::Body(_) | State::Chunk(_) | State::Over => {}
        }
        None
    }

    fn end_head(&mut self) -> Option<u32> {
        self.heads = self.heads.wrapping_add(1);
        let head = std::mem::take(&mut self.head);
        self.state = match (head.is_chunked, head.has_length, head.length) {
            (true, true, _) | (false, true, None) => return Some(self.heads),
            (true, false, _) => State::ChunkSize,
            (false, _, None | Some(0)) => State::Start,
            (false, _, Some(length)) => State::Body(length),
        };
        None
    }
}

impl Head {
    fn field(&mut self, line: &[u8]) {
        // Most fields end here.
        if !matches!(line.first(), Some(b'c' | b'C' | b't' | b'T')) {
            return;
        }
        if let Some(value) = value_of(line, b"content-length:") {
            self.has_length = true;
            self.length = str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
        } else if value_of(line, b"transfer-encoding:").is_some() {
            self.is_chunked = true;
        }
    }
}

fn value_of<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(value)
}

/// Reads a chunk's size. A line that is cut off may have more digits than are seen.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| matches!(byte, b';' | b' ' | b'\t')).next()?;
    if digits.len() >= LINE_BYTES {
        return None;
    }
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads in one piece, and byte by byte.
    #[track_caller]
    fn check(requests: &str, expected: Option<u32>) {
        assert_eq!(Framing::default().read(requests.as_bytes()), expected);
        let mut framing = Framing::default();
        let found = requests.as_bytes().chunks(1).find_map(|byte| framing.read(byte));
        assert_eq!(found, expected);
    }

    const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\ncookie: a\r\ntraceparent: b\r\n\r\n";
    const SIZED: &str = "POST / HTTP/1.1\r\nContent-Length: 30\r\n\r\ntransfer-encoding: x\r\n\r\n123456";
    const CHUNKED: &str = "POST / HTTP/1.1\ntransfer-encoding: chunked\n\r\n\
                           1A;x=y\r\ncontent-length: 5\r\n\r\n12345\r\n0\r\na: b\r\n\r\n";
    const BOTH: &str = "POST / HTTP/1.1\r\ncontent-length: 5\r\nhost: x\r\nTRANSFER-encoding: chunked\r\n\r\n0\r\n\r\n";

    #[test]
    fn bodies_are_no_heads() {
        check(&[GET, SIZED, "\r\n", CHUNKED, SIZED, GET, CHUNKED].concat(), None);
    }

    #[test]
    fn a_head_with_both_is_found_wherever_it_is() {
        for before in ["", GET, SIZED, CHUNKED] {
            check(&format!("{before}{BOTH}"), Some(1 + u32::from(!before.is_empty())));
        }
        check("A / B\r\ntransfer-encoding:chunked\r\ncontent-length:  0\r\n\r\n", Some(1));
        check(&format!("A / B\r\ntransfer-encoding:{}x\r\ncontent-length: 9\r\n\r\n", " ".repeat(200)), Some(1));
    }

    #[test]
    fn what_cannot_be_followed_is_unclear() {
        check("A / B\r\ncontent-length: x\r\n\r\n", Some(1));
        check(&format!("A / B\r\ncontent-length: {}1\r\n\r\n", " ".repeat(200)), Some(1));
        check(&format!("A / B\r\ntransfer-encoding: chunked\r\n\r\n{}1\r\n", "0".repeat(200)), Some(2));
    }

    #[test]
    fn http2_is_left_alone() {
        check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ncontent-length: 1\r\ntransfer-encoding: a\r\n\r\n", None);
    }
}
