//! What a valid module says of itself, in sections that are read without compiling it.

const HEADER_BYTES: usize = 8;
const TABLE: u8 = 4;
const START: u8 = 8;

/// Returns whether instantiating the module runs code of it.
pub(crate) fn has_start(wasm: &[u8]) -> bool {
    section(wasm, START).is_some()
}

/// Returns how many elements the largest of its tables has in the beginning.
pub(crate) fn largest_table(wasm: &[u8]) -> u64 {
    section(wasm, TABLE).and_then(first_tables).map_or(0, |sizes| sizes.into_iter().max().unwrap_or(0))
}

/// Finds the content of a section.
fn section(wasm: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = wasm.get(HEADER_BYTES..)?;
    loop {
        let (id, after) = rest.split_first()?;
        let (size, after) = leb128(after)?;
        let (content, after) = after.split_at_checked(usize::try_from(size).ok()?)?;
        if *id == wanted {
            return Some(content);
        }
        rest = after;
    }
}

/// Reads how many elements tables have. What follows on a table that is filled by an expression is not read.
fn first_tables(content: &[u8]) -> Option<Vec<u64>> {
    /// A table's type comes after two bytes, and an expression after the type.
    const FILLED: u8 = 0x40;
    /// A reference's type is one byte, or one of these and what it refers to.
    const LONG_REFERENCES: [u8; 2] = [0x63, 0x64];
    let (count, mut rest) = leb128(content)?;
    let mut sizes = Vec::new();
    for _ in 0..count {
        let is_filled = rest.first() == Some(&FILLED);
        let (reference, after) = if is_filled { rest.get(2..)?.split_first()? } else { rest.split_first()? };
        let after = if LONG_REFERENCES.contains(reference) { leb128(after)?.1 } else { after };
        let (flags, after) = after.split_first()?;
        let (size, after) = leb128(after)?;
        sizes.push(size);
        if is_filled {
            break;
        }
        rest = if flags & 1 == 1 { leb128(after)?.1 } else { after };
    }
    Some(sizes)
}

fn leb128(bytes: &[u8]) -> Option<(u64, &[u8])> {
    const LONGEST: usize = 10;
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(LONGEST) {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(7 * index).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, table: u64, start: bool) {
        let wasm = wat::parse_str(text).unwrap();
        assert_eq!((largest_table(&wasm), has_start(&wasm)), (table, start), "{text}");
    }

    #[test]
    fn tables_and_start_sections_are_found() {
        check("(module)", 0, false);
        check("(module (func $f) (start $f))", 0, true);
        check("(module (memory 1) (table 100000000 funcref))", 100_000_000, false);
        check("(module (table 1 2 funcref) (table 7 externref) (func $f) (start $f))", 7, true);
        check("(module (type $t (func)) (table 5 (ref null $t)) (table 9 funcref))", 9, false);
        check("(module (func $f) (elem declare func $f) (table 300 (ref func) (ref.func $f)))", 300, false);
    }

    #[test]
    fn what_is_no_module_says_nothing() {
        for bytes in
            [&b""[..], b"\0asm", b"\0asm\x01\0\0\0\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", &[0xff; 64]]
        {
            assert_eq!((largest_table(bytes), has_start(bytes)), (0, false));
        }
    }
}
