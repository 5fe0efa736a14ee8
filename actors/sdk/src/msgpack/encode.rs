//! Writing: always the shortest form.

/// Writes `value` as MessagePack.
#[must_use]
pub fn to_bytes(value: &(impl Encode + ?Sized)) -> Vec<u8> {
    let mut output = Writer(Vec::new());
    value.encode(&mut output);
    output.0
}

/// What can be written. A byte string is `Vec<u8>`; bytes as numbers do not exist here.
pub trait Encode {
    /// Appends the value.
    fn encode(&self, output: &mut Writer);

    /// Returns whether a struct writes this field at all.
    fn is_present(&self) -> bool {
        true
    }
}

/// Bytes being written.
#[derive(Debug)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Appends the head of a map; twice `len` values must follow.
    pub fn map(&mut self, len: usize) {
        match len {
            0..16 => self.0.push(0x80 | len as u8),
            _ => self.head(len, [0, 0xde, 0xdf]),
        }
    }

    /// Appends the head of an array; `len` values must follow.
    pub fn array(&mut self, len: usize) {
        match len {
            0..16 => self.0.push(0x90 | len as u8),
            _ => self.head(len, [0, 0xdc, 0xdd]),
        }
    }

    /// Appends a text.
    pub fn text(&mut self, text: &str) {
        match text.len() {
            len @ 0..32 => self.0.push(0xa0 | len as u8),
            len => self.head(len, [0xd9, 0xda, 0xdb]),
        }
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Appends a byte string.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.head(bytes.len(), [0xc4, 0xc5, 0xc6]);
        self.0.extend_from_slice(bytes);
    }

    /// Appends a number.
    pub fn integer(&mut self, number: i64) {
        match number {
            -32..128 => self.0.push(number as u8),
            128..256 => self.0.extend([0xcc, number as u8]),
            256..0x1_0000 => self.tagged(0xcd, &(number as u16).to_be_bytes()),
            0x1_0000..0x1_0000_0000 => self.tagged(0xce, &(number as u32).to_be_bytes()),
            0x1_0000_0000.. => self.tagged(0xcf, &number.to_be_bytes()),
            -128.. => self.0.extend([0xd0, number as u8]),
            -0x8000.. => self.tagged(0xd1, &(number as i16).to_be_bytes()),
            -0x8000_0000.. => self.tagged(0xd2, &(number as i32).to_be_bytes()),
            _ => self.tagged(0xd3, &number.to_be_bytes()),
        }
    }

    /// Appends a field's name and value, or nothing when it is not present.
    pub fn field(&mut self, key: &str, value: &impl Encode) {
        if value.is_present() {
            self.text(key);
            value.encode(self);
        }
    }

    /// Appends the head of what has a length, by the marks for 8, 16 and 32 bits (0: no such mark).
    fn head(&mut self, len: usize, [mark8, mark16, mark32]: [u8; 3]) {
        match len {
            0..256 if mark8 != 0 => self.0.extend([mark8, len as u8]),
            0..0x1_0000 => self.tagged(mark16, &(len as u16).to_be_bytes()),
            _ => self.tagged(mark32, &(len as u32).to_be_bytes()),
        }
    }

    fn tagged(&mut self, mark: u8, bytes: &[u8]) {
        self.0.push(mark);
        self.0.extend_from_slice(bytes);
    }
}

impl Encode for bool {
    fn encode(&self, output: &mut Writer) {
        output.0.push(if *self { 0xc3 } else { 0xc2 });
    }
}

impl Encode for str {
    fn encode(&self, output: &mut Writer) {
        output.text(self);
    }
}

impl Encode for String {
    fn encode(&self, output: &mut Writer) {
        output.text(self);
    }
}

impl Encode for Vec<u8> {
    fn encode(&self, output: &mut Writer) {
        output.bytes(self);
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, output: &mut Writer) {
        output.array(self.len());
        self.iter().for_each(|value| value.encode(output));
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, output: &mut Writer) {
        self.as_slice().encode(output);
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, output: &mut Writer) {
        (**self).encode(output);
    }

    fn is_present(&self) -> bool {
        (**self).is_present()
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, output: &mut Writer) {
        match self {
            Some(value) => value.encode(output),
            None => output.0.push(0xc0),
        }
    }

    fn is_present(&self) -> bool {
        self.is_some()
    }
}

macro_rules! integers {
    ($($type:ty),+) => {$(
        impl Encode for $type {
            fn encode(&self, output: &mut Writer) {
                output.integer(i64::from(*self));
            }
        }
    )+};
}

integers!(u16, u32, i32, i64);
