//! The contract `wasmcloud:keyvalue`.

use crate::{FromPayload, IntoPayload, Link, Result};

crate::message! {
    pub(crate) struct GetResponse {
        pub(crate) value: String = "value",
        pub(crate) exists: bool = "exists",
    }
}

crate::message! {
    pub(crate) struct SetRequest {
        pub(crate) key: String = "key",
        pub(crate) value: String = "value",
        pub(crate) expires: u32 = "expires",
    }
}

crate::message! {
    pub(crate) struct IncrementRequest {
        pub(crate) key: String = "key",
        pub(crate) value: i32 = "value",
    }
}

crate::message! {
    pub(crate) struct ListRequest {
        pub(crate) list_name: String = "listName",
        pub(crate) value: String = "value",
    }
}

crate::message! {
    pub(crate) struct ListRangeRequest {
        pub(crate) list_name: String = "listName",
        pub(crate) start: i32 = "start",
        pub(crate) stop: i32 = "stop",
    }
}

crate::message! {
    pub(crate) struct SetMemberRequest {
        pub(crate) set_name: String = "setName",
        pub(crate) value: String = "value",
    }
}

/// A key-value store behind a link. Every method is one call to the host.
#[derive(Debug, Clone, Copy)]
pub struct KeyValue<'a>(Link<'a>);

impl KeyValue<'static> {
    /// The contract's id, to be claimed when signing.
    pub const CONTRACT: &'static str = "wasmcloud:keyvalue";

    /// Names the store behind the link `default`.
    #[must_use]
    pub const fn new() -> Self {
        Self(Link::new(Self::CONTRACT, "default"))
    }
}

impl Default for KeyValue<'static> {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::missing_errors_doc, reason = "all fail alike: the host refuses or the provider fails, in its words")]
impl<'a> KeyValue<'a> {
    /// Names the store behind the link `name`.
    #[must_use]
    pub const fn linked(name: &'a str) -> Self {
        Self(Link::new(KeyValue::CONTRACT, name))
    }

    /// Returns the value of `key`.
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        let found: GetResponse = self.call("KeyValue.Get", key)?;
        Ok(found.exists.then_some(found.value))
    }

    /// Sets `key`. It goes away after `expires` seconds, or never when that is 0.
    pub fn set(&self, key: &str, value: impl Into<String>, expires: u32) -> Result {
        self.call("KeyValue.Set", SetRequest { key: key.into(), value: value.into(), expires })
    }

    /// Adds `value` to the number at `key` (0 when there is none), atomically, and returns the sum.
    pub fn increment(&self, key: &str, value: i32) -> Result<i32> {
        self.call("KeyValue.Increment", IncrementRequest { key: key.into(), value })
    }

    /// Removes `key`, and returns whether it was there.
    pub fn del(&self, key: &str) -> Result<bool> {
        self.call("KeyValue.Del", key)
    }

    /// Returns whether `key` is there.
    pub fn contains(&self, key: &str) -> Result<bool> {
        self.call("KeyValue.Contains", key)
    }

    /// Appends to a list, and returns its new length.
    pub fn list_add(&self, list: &str, value: impl Into<String>) -> Result<u32> {
        self.call("KeyValue.ListAdd", ListRequest { list_name: list.into(), value: value.into() })
    }

    /// Removes a value from a list, and returns whether it was there.
    pub fn list_del(&self, list: &str, value: impl Into<String>) -> Result<bool> {
        self.call("KeyValue.ListDel", ListRequest { list_name: list.into(), value: value.into() })
    }

    /// Removes a whole list, and returns whether it was there.
    pub fn list_clear(&self, list: &str) -> Result<bool> {
        self.call("KeyValue.ListClear", list)
    }

    /// Returns the values from index `start` to `stop`, both included; negative ones count from the end.
    pub fn list_range(&self, list: &str, start: i32, stop: i32) -> Result<Vec<String>> {
        self.call("KeyValue.ListRange", ListRangeRequest { list_name: list.into(), start, stop })
    }

    /// Adds to a set, and returns how many values were new.
    pub fn set_add(&self, set: &str, value: impl Into<String>) -> Result<u32> {
        self.call("KeyValue.SetAdd", SetMemberRequest { set_name: set.into(), value: value.into() })
    }

    /// Removes from a set, and returns how many values went.
    pub fn set_del(&self, set: &str, value: impl Into<String>) -> Result<u32> {
        self.call("KeyValue.SetDel", SetMemberRequest { set_name: set.into(), value: value.into() })
    }

    /// Returns the values of a set.
    pub fn set_query(&self, set: &str) -> Result<Vec<String>> {
        self.call("KeyValue.SetQuery", set)
    }

    /// Returns the values that are in any of the sets.
    pub fn set_union(&self, sets: &[String]) -> Result<Vec<String>> {
        self.call("KeyValue.SetUnion", sets)
    }

    /// Returns the values that are in all of the sets.
    pub fn set_intersection(&self, sets: &[String]) -> Result<Vec<String>> {
        self.call("KeyValue.SetIntersection", sets)
    }

    /// Removes a whole set, and returns whether it was there.
    pub fn set_clear(&self, set: &str) -> Result<bool> {
        self.call("KeyValue.SetClear", set)
    }

    fn call<O: FromPayload>(&self, operation: &str, payload: impl IntoPayload) -> Result<O> {
        self.0.call(operation, payload)
    }
}

#[cfg(test)]
mod tests;
