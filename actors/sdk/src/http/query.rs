//! Parameters of a query, as forms write them (WHATWG URL, `application/x-www-form-urlencoded`).

/// Returns the first value of `name` in `query`, decoded.
pub(super) fn first(query: &str, name: &str) -> Option<String> {
    query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).find_map(|(known, value)| {
        let is_meant = known == name || decode(known) == name;
        is_meant.then(|| decode(value))
    })
}

/// Decodes `%XX` and `+`. A `%` that begins no byte stands for itself; what is no UTF-8 becomes U+FFFD.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                bytes.push(high * 16 + low);
                rest = after.split_at(2).1;
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_is_found_and_decoded() {
        for (query, name, value) in [
            ("by=2&by=3", "by", Some("2")),
            ("a=1&by=2", "by", Some("2")),
            ("by", "by", Some("")),
            ("by=", "by", Some("")),
            ("by=a=b", "by", Some("a=b")),
            ("q=a+b%20c%2Bd", "q", Some("a b c+d")),
            ("%62y=%C3%A9", "by", Some("\u{e9}")),
            ("q=100%&r=%4", "q", Some("100%")),
            ("q=%zz%4", "q", Some("%zz%4")),
            ("q=%FF", "q", Some("\u{fffd}")),
            ("q=é", "q", Some("é")),
            ("", "by", None),
            ("bye=1", "by", None),
        ] {
            assert_eq!(first(query, name).as_deref(), value, "{name} in {query:?}");
        }
    }
}
