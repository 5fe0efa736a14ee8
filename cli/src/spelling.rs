//! What somebody may have meant who mistyped a name.

/// Returns the name that is nearly what was typed, if there is one.
pub(crate) fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = typed.to_ascii_lowercase();
    let near = names.into_iter().map(|name| (strsim::osa_distance(&lower, &name.to_ascii_lowercase()), name));
    near.filter(|(distance, name)| *distance * 3 <= name.len()).min().map(|(_, name)| name)
}

/// Returns the names that have what was typed in them, or the one that is nearly it.
pub(crate) fn alike<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let names: Vec<_> = names.into_iter().collect();
    let with: Vec<_> = names.iter().copied().filter(|name| typed.len() > 2 && name.contains(typed)).collect();
    if with.is_empty() { nearest(typed, names).into_iter().collect() } else { with }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_put_right_and_a_stranger_is_not() {
        let names = ["wasmcloud:keyvalue", "wasmcloud:httpserver", "Counter"];
        assert_eq!(nearest("wasmcloud:keyvaleu", names), Some("wasmcloud:keyvalue"));
        assert_eq!(nearest("Conter", names), Some("Counter"));
        assert_eq!((nearest("redis", names), nearest("", names)), (None, None));
        assert_eq!(alike("http", names), ["wasmcloud:httpserver"]);
        assert_eq!(alike("conter", names), ["Counter"]);
    }
}
