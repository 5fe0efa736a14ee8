//! A key-value store for tests.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::HostCall;
use crate::{
    FromPayload, IntoPayload, KeyValue,
    keyvalue::{GetResponse, IncrementRequest, ListRangeRequest, ListRequest, SetMemberRequest, SetRequest},
};

/// A store in memory that answers an actor's calls of `wasmcloud:keyvalue` as a provider does. Clones share it.
///
/// Every link name leads to the same store. Expiries are taken and ignored: a test does not wait.
///
/// ```
/// use wattle_actor::{KeyValue, testing::{self, MemoryStore}};
///
/// let store = MemoryStore::new();
/// store.set("visits", "41");
/// let count = testing::with_host(store.host(), || KeyValue::new().increment("visits", 1));
/// assert_eq!(count.unwrap(), 42);
/// assert_eq!(store.get("visits").as_deref(), Some("42"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Rc<RefCell<BTreeMap<String, Value>>>);

/// What a key holds. Lists and sets are never empty.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    List(Vec<String>),
    Set(BTreeSet<String>),
}

impl MemoryStore {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a text at `key`, in place of whatever was there.
    pub fn set(&self, key: impl Into<String>, value: impl Into<String>) {
        self.0.borrow_mut().insert(key.into(), Value::Text(value.into()));
    }

    /// Returns the text at `key`; `None` where there is none, or a list or a set.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<String> {
        match self.0.borrow().get(key) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// Returns the keys that exist, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.0.borrow().keys().cloned().collect()
    }

    /// Returns a host for [`with_host`](super::with_host) that has this store and nothing else.
    pub fn host(&self) -> impl Fn(&HostCall<'_>) -> Result<Vec<u8>, String> + 'static {
        let store = self.clone();
        move |call| store.answer(call)
    }

    /// Answers one call, so that a host may have more than a store.
    ///
    /// # Errors
    /// A text, as an actor gets it: for another contract, an unknown operation, a payload that is not this
    /// operation's, and a key that holds another kind of value.
    pub fn answer(&self, call: &HostCall<'_>) -> Result<Vec<u8>, String> {
        if call.namespace != KeyValue::CONTRACT {
            return Err(format!("this test's host has no {}", call.namespace));
        }
        let payload = call.payload;
        match call.operation {
            "KeyValue.Get" => reply(self.find(&read::<String>(payload)?)?),
            "KeyValue.Set" => {
                let SetRequest { key, value, expires: _ } = read(payload)?;
                self.set(key, value);
                reply(())
            }
            "KeyValue.Increment" => reply(self.increment(read(payload)?)?),
            "KeyValue.Contains" => reply(self.0.borrow().contains_key(&read::<String>(payload)?)),
            "KeyValue.Del" | "KeyValue.ListClear" | "KeyValue.SetClear" => {
                reply(self.0.borrow_mut().remove(&read::<String>(payload)?).is_some())
            }
            "KeyValue.ListAdd" => reply(self.list_add(read(payload)?)?),
            "KeyValue.ListDel" => reply(self.list_del(&read(payload)?)?),
            "KeyValue.ListRange" => reply(self.list_range(&read(payload)?)?),
            "KeyValue.SetAdd" => reply(self.set_add(read(payload)?)?),
            "KeyValue.SetDel" => reply(self.set_del(&read(payload)?)?),
            "KeyValue.SetQuery" => reply(self.members(&read::<String>(payload)?)?.into_iter().collect::<Vec<_>>()),
            "KeyValue.SetUnion" => reply(self.combine(payload, |all, one| &all | &one)?),
            "KeyValue.SetIntersection" => reply(self.combine(payload, |all, one| &all & &one)?),
            other => Err(format!("{} has no operation {other}", KeyValue::CONTRACT)),
        }
    }

    fn find(&self, key: &str) -> Result<GetResponse, String> {
        match self.0.borrow().get(key) {
            None => Ok(GetResponse { value: String::new(), exists: false }),
            Some(Value::Text(text)) => Ok(GetResponse { value: text.clone(), exists: true }),
            Some(_) => Err(wrong(key, "a text")),
        }
    }

    fn increment(&self, request: IncrementRequest) -> Result<i32, String> {
        let found = self.find(&request.key)?;
        let before = if found.exists { found.value.parse::<i64>() } else { Ok(0) };
        let before = before.map_err(|_| format!("{} is not a number", request.key))?;
        let sum = before.checked_add(request.value.into()).ok_or("the sum leaves the range of 64 bits")?;
        self.set(request.key, sum.to_string());
        sum.try_into().map_err(|_| "the sum does not fit 32 bits".into())
    }

    fn list_add(&self, request: ListRequest) -> Result<u32, String> {
        let mut all = self.0.borrow_mut();
        match all.entry(request.list_name.clone()).or_insert_with(|| Value::List(Vec::new())) {
            Value::List(items) => {
                items.push(request.value);
                Ok(count(items.len()))
            }
            _ => Err(wrong(&request.list_name, "a list")),
        }
    }

    fn list_del(&self, request: &ListRequest) -> Result<bool, String> {
        let mut all = self.0.borrow_mut();
        let (removed, is_empty) = match all.get_mut(&request.list_name) {
            None => return Ok(false),
            Some(Value::List(items)) => {
                let before = items.len();
                items.retain(|item| *item != request.value);
                (items.len() < before, items.is_empty())
            }
            Some(_) => return Err(wrong(&request.list_name, "a list")),
        };
        if is_empty {
            all.remove(&request.list_name);
        }
        Ok(removed)
    }

    fn list_range(&self, request: &ListRangeRequest) -> Result<Vec<String>, String> {
        match self.0.borrow().get(&request.list_name) {
            None => Ok(Vec::new()),
            Some(Value::List(items)) => {
                let length = i64::from(count(items.len()));
                // Negative indices count from the end; what lies outside is cut off.
                let at = |index: i32| if index < 0 { length + i64::from(index) } else { index.into() };
                let (start, stop) = (at(request.start).max(0), at(request.stop));
                let place = |index: &(usize, &String)| (start..=stop).contains(&(index.0 as i64));
                Ok(items.iter().enumerate().filter(place).map(|(_, item)| item.clone()).collect())
            }
            Some(_) => Err(wrong(&request.list_name, "a list")),
        }
    }

    fn set_add(&self, request: SetMemberRequest) -> Result<u32, String> {
        let mut all = self.0.borrow_mut();
        match all.entry(request.set_name.clone()).or_insert_with(|| Value::Set(BTreeSet::new())) {
            Value::Set(members) => Ok(members.insert(request.value).into()),
            _ => Err(wrong(&request.set_name, "a set")),
        }
    }

    fn set_del(&self, request: &SetMemberRequest) -> Result<u32, String> {
        let mut all = self.0.borrow_mut();
        let (removed, is_empty) = match all.get_mut(&request.set_name) {
            None => return Ok(0),
            Some(Value::Set(members)) => (members.remove(&request.value), members.is_empty()),
            Some(_) => return Err(wrong(&request.set_name, "a set")),
        };
        if is_empty {
            all.remove(&request.set_name);
        }
        Ok(removed.into())
    }

    fn members(&self, key: &str) -> Result<BTreeSet<String>, String> {
        match self.0.borrow().get(key) {
            None => Ok(BTreeSet::new()),
            Some(Value::Set(members)) => Ok(members.clone()),
            Some(_) => Err(wrong(key, "a set")),
        }
    }

    /// Combines the sets a payload names, from the first on.
    fn combine(
        &self,
        payload: &[u8],
        combine: fn(BTreeSet<String>, BTreeSet<String>) -> BTreeSet<String>,
    ) -> Result<Vec<String>, String> {
        let mut sets = Vec::new();
        for key in read::<Vec<String>>(payload)? {
            sets.push(self.members(&key)?);
        }
        Ok(sets.into_iter().reduce(combine).unwrap_or_default().into_iter().collect())
    }
}

fn read<T: FromPayload>(payload: &[u8]) -> Result<T, String> {
    T::from_payload(payload.to_vec()).map_err(|error| error.to_string())
}

fn reply(value: impl IntoPayload) -> Result<Vec<u8>, String> {
    Ok(value.into_payload())
}

fn wrong(key: &str, expected: &str) -> String {
    format!("{key} does not hold {expected}")
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Result, testing::with_host};

    fn with<T>(body: impl FnOnce(KeyValue<'_>) -> Result<T>) -> Result<T> {
        with_host(MemoryStore::new().host(), || body(KeyValue::new()))
    }

    #[test]
    fn keys_hold_texts_and_numbers() {
        with(|kv| {
            assert_eq!(kv.get("k")?, None);
            kv.set("k", "v", 60)?;
            assert_eq!((kv.get("k")?.as_deref(), kv.contains("k")?), (Some("v"), true));
            assert!(kv.increment("k", 1).unwrap_err().to_string().contains("not a number"));
            assert_eq!((kv.increment("n", 40)?, kv.increment("n", 2)?), (40, 42));
            assert_eq!((kv.del("k")?, kv.del("k")?, kv.contains("k")?), (true, false, false));
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn lists_keep_their_order() {
        with(|kv| {
            for (length, item) in (1..).zip(["a", "b", "a", "c"]) {
                assert_eq!(kv.list_add("l", item)?, length);
            }
            assert_eq!(kv.list_range("l", 0, -1)?, ["a", "b", "a", "c"]);
            assert_eq!((kv.list_range("l", -2, 9)?, kv.list_range("l", 2, 1)?), (vec!["a".into(), "c".into()], vec![]));
            assert_eq!((kv.list_del("l", "a")?, kv.list_del("l", "z")?), (true, false));
            assert_eq!(kv.list_range("l", 0, -1)?, ["b", "c"]);
            kv.list_del("l", "b")?;
            kv.list_del("l", "c")?;
            assert!(!kv.contains("l")?, "an empty list does not exist");
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn sets_combine() {
        with(|kv| {
            assert_eq!((kv.set_add("s", "a")?, kv.set_add("s", "a")?, kv.set_add("s", "b")?), (1, 0, 1));
            kv.set_add("t", "b")?;
            let both = ["s".to_owned(), "t".to_owned()];
            assert_eq!(
                (kv.set_union(&both)?, kv.set_intersection(&both)?),
                (vec!["a".into(), "b".into()], vec!["b".into()])
            );
            assert_eq!(kv.set_intersection(&["s".to_owned(), "none".to_owned()])?, [""; 0]);
            assert_eq!((kv.set_del("t", "b")?, kv.set_del("t", "b")?, kv.contains("t")?), (1, 0, false));
            assert!(kv.set_clear("s")? && !kv.set_clear("s")?);
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn another_kind_of_value_and_another_contract_are_refused() {
        let store = MemoryStore::new();
        with_host(store.host(), || {
            let kv = KeyValue::new();
            kv.set_add("s", "a").unwrap();
            for error in
                [kv.get("s").unwrap_err(), kv.list_add("s", "a").unwrap_err(), kv.increment("s", 1).unwrap_err()]
            {
                assert!(error.to_string().contains("s does not hold"), "{error}");
            }
            assert!(crate::numbergen::guid().unwrap_err().to_string().contains("no wasmcloud:builtin:numbergen"));
        });
        assert_eq!((store.keys(), store.get("s")), (vec!["s".to_owned()], None));
    }
}
