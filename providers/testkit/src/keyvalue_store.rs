//! The key-value contract, as its trait states it.

use std::{future::Future, time::Duration};

use wattle_provider_sdk::KeyValue;

/// A store to be tested, with nothing in it, and its clock.
pub trait StoreSubject: Send + Sync {
    /// The store.
    type Store: KeyValue;

    /// Returns the store.
    fn store(&self) -> &Self::Store;

    /// Lets time pass for the store, by its fake clock if it has one.
    fn pass(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// Makes a test of every case of the contract. `$set_up` is an async function without arguments that returns a
/// [`StoreSubject`]; `$attribute` is what makes a test, such as `tokio::test(start_paused = true)`.
#[macro_export]
macro_rules! keyvalue_store_suite {
    ($set_up:path, $attribute:meta) => {
        $crate::keyvalue_store_suite! { $set_up, $attribute,
            a_text_is_read_as_it_was_written
            a_text_replaces_whatever_was_there
            a_missing_key_is_none_and_does_not_exist
            deleting_says_whether_there_was_something
            counters_start_at_zero_and_go_both_ways
            a_counter_is_a_text
            what_is_no_number_is_not_counted
            an_overflow_changes_nothing
            contended_counters_lose_nothing
            a_text_expires
            a_new_text_forgets_the_expiry
            a_counter_keeps_its_expiry
            lists_keep_order_and_duplicates
            list_ranges_count_from_both_ends
            removing_from_a_list_takes_every_equal_item
            sets_hold_each_item_once
            sets_combine
            a_set_combined_with_itself_is_itself
            a_set_named_often_is_read_once
            nothing_is_left_of_an_emptied_list_or_set
            operations_refuse_other_kinds
            odd_keys_are_keys
            big_values_come_back_whole
            an_answer_longer_than_a_message_is_refused
            long_lists_stay_exact
            contended_lists_and_sets_lose_nothing
        }
    };
    ($set_up:path, $attribute:meta, $($case:ident)*) => {
        $(
            #[$attribute]
            async fn $case() {
                $crate::keyvalue_store_cases::$case(&$set_up().await).await;
            }
        )*
    };
}

/// The cases; each takes a fresh store.
#[expect(clippy::missing_panics_doc, reason = "every case panics when its claim does not hold")]
#[expect(missing_docs, reason = "a case's name is its claim")]
pub mod cases {
    use std::time::Duration;

    use wattle_provider_sdk::{KeyValue, KeyValueError, ValueKind};

    use super::StoreSubject;

    fn texts(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    fn sorted(mut items: Vec<String>) -> Vec<String> {
        items.sort();
        items
    }

    async fn push_all<S: KeyValue>(store: &S, key: &str, items: &[&str]) {
        for item in items {
            store.list_push(key, (*item).into()).await.unwrap();
        }
    }

    async fn add_all<S: KeyValue>(store: &S, key: &str, items: &[&str]) {
        for item in items {
            store.set_add(key, (*item).into()).await.unwrap();
        }
    }

    pub async fn a_text_is_read_as_it_was_written<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        for text in ["", "hello", "één 🦀", "line\nbreak\r\n\0nul", " spaces "] {
            store.set("key", text.into(), None).await.unwrap();
            assert_eq!(store.get("key").await.unwrap().as_deref(), Some(text));
            assert!(store.contains("key").await.unwrap(), "an empty text exists");
        }
    }

    pub async fn a_text_replaces_whatever_was_there<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        push_all(store, "list", &["a", "b"]).await;
        add_all(store, "set", &["a", "b"]).await;
        for key in ["list", "set"] {
            store.set(key, "text".into(), None).await.unwrap();
            assert_eq!(store.get(key).await.unwrap().as_deref(), Some("text"));
            assert!(store.delete(key).await.unwrap());
        }
        assert_eq!(store.list_push("list", "c".into()).await.unwrap(), 1);
        assert!(store.set_add("set", "a".into()).await.unwrap(), "nothing of the old set is left");
    }

    pub async fn a_missing_key_is_none_and_does_not_exist<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        assert_eq!(store.get("key").await.unwrap(), None);
        assert!(!store.contains("key").await.unwrap());
        assert_eq!(store.list_range("key", 0, -1).await.unwrap(), texts(&[]));
        assert_eq!(store.set_members("key").await.unwrap(), texts(&[]));
        assert_eq!(store.list_remove("key", "item").await.unwrap(), 0);
        assert!(!store.set_remove("key", "item").await.unwrap());
        store.ping().await.unwrap();
    }

    pub async fn deleting_says_whether_there_was_something<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        store.set("text", "t".into(), None).await.unwrap();
        push_all(store, "list", &["a"]).await;
        add_all(store, "set", &["a"]).await;
        for key in ["text", "list", "set"] {
            assert!(store.contains(key).await.unwrap(), "{key}");
            assert!(store.delete(key).await.unwrap(), "{key}");
            assert!(!store.delete(key).await.unwrap(), "{key}");
            assert!(!store.contains(key).await.unwrap(), "{key}");
        }
    }

    pub async fn counters_start_at_zero_and_go_both_ways<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        assert_eq!(store.increment("n", 5).await.unwrap(), 5);
        assert_eq!(store.increment("n", -7).await.unwrap(), -2);
        assert_eq!(store.increment("n", 0).await.unwrap(), -2);
        assert_eq!(store.increment("other", 0).await.unwrap(), 0);
        assert!(store.contains("other").await.unwrap());
    }

    pub async fn a_counter_is_a_text<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        store.set("n", "41".into(), None).await.unwrap();
        assert_eq!(store.increment("n", 1).await.unwrap(), 42);
        assert_eq!(store.get("n").await.unwrap().as_deref(), Some("42"));
    }

    pub async fn what_is_no_number_is_not_counted<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        for text in ["", "x", "1.5", "99999999999999999999", "+5", "007", "-0", " 5", "5 "] {
            store.set("n", text.into(), None).await.unwrap();
            assert_eq!(store.increment("n", 1).await, Err(KeyValueError::NotANumber), "{text:?}");
            assert_eq!(store.get("n").await.unwrap().as_deref(), Some(text));
        }
    }

    pub async fn an_overflow_changes_nothing<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        for (edge, by) in [(i64::MAX, 1), (i64::MIN, -1)] {
            store.set("n", edge.to_string(), None).await.unwrap();
            assert_eq!(store.increment("n", by).await, Err(KeyValueError::Overflow));
            assert_eq!(store.get("n").await.unwrap(), Some(edge.to_string()));
        }
    }

    /// Runs `tasks` futures at the same time and returns their results.
    async fn together<F: Future>(tasks: impl IntoIterator<Item = F>) -> Vec<F::Output> {
        let mut tasks: Vec<_> = tasks.into_iter().map(|task| (Box::pin(task), None)).collect();
        std::future::poll_fn(|context| {
            for (task, result) in tasks.iter_mut().filter(|(_, result)| result.is_none()) {
                if let std::task::Poll::Ready(value) = task.as_mut().poll(context) {
                    *result = Some(value);
                }
            }
            match tasks.iter().all(|(_, result)| result.is_some()) {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
        tasks.into_iter().filter_map(|(_, result)| result).collect()
    }

    pub async fn contended_counters_lose_nothing<T: StoreSubject>(subject: &T) {
        const TASKS: i64 = 64;
        const ROUNDS: i64 = 25;
        let store = subject.store();
        let seen = together((0..TASKS).map(|_| async {
            let mut seen = Vec::new();
            for _ in 0..ROUNDS {
                seen.push(store.increment("n", 1).await.unwrap());
            }
            assert!(seen.is_sorted(), "one caller sees its counter grow");
            seen
        }))
        .await;
        let mut seen: Vec<i64> = seen.into_iter().flatten().collect();
        seen.sort_unstable();
        assert_eq!(seen, (1..=TASKS * ROUNDS).collect::<Vec<_>>(), "each sum was seen by exactly one caller");
        assert_eq!(store.get("n").await.unwrap(), Some((TASKS * ROUNDS).to_string()));
    }

    const SECOND: Duration = Duration::from_secs(1);

    pub async fn a_text_expires<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        store.set("short", "s".into(), Some(SECOND)).await.unwrap();
        store.set("long", "l".into(), Some(SECOND * 3600)).await.unwrap();
        store.set("endless", "e".into(), Some(Duration::from_secs(u32::MAX.into()))).await.unwrap();
        assert_eq!(store.get("short").await.unwrap().as_deref(), Some("s"));
        subject.pass(SECOND + SECOND / 4).await;
        assert_eq!(store.get("short").await.unwrap(), None);
        assert!(!store.contains("short").await.unwrap());
        assert!(!store.delete("short").await.unwrap());
        assert_eq!(store.list_push("short", "item".into()).await.unwrap(), 1, "the key is free for another kind");
        assert_eq!(store.get("long").await.unwrap().as_deref(), Some("l"));
        assert_eq!(store.get("endless").await.unwrap().as_deref(), Some("e"));
    }

    pub async fn a_new_text_forgets_the_expiry<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        store.set("key", "old".into(), Some(SECOND)).await.unwrap();
        store.set("key", "new".into(), None).await.unwrap();
        store.set("deleted", "old".into(), Some(SECOND)).await.unwrap();
        store.delete("deleted").await.unwrap();
        store.increment("deleted", 1).await.unwrap();
        subject.pass(SECOND + SECOND / 4).await;
        assert_eq!(store.get("key").await.unwrap().as_deref(), Some("new"));
        assert_eq!(store.get("deleted").await.unwrap().as_deref(), Some("1"));
    }

    pub async fn a_counter_keeps_its_expiry<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        store.set("n", "1".into(), Some(SECOND)).await.unwrap();
        assert_eq!(store.increment("n", 1).await.unwrap(), 2);
        subject.pass(SECOND + SECOND / 4).await;
        assert_eq!(store.increment("n", 1).await.unwrap(), 1);
    }

    pub async fn lists_keep_order_and_duplicates<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        assert_eq!(store.list_push("list", "b".into()).await.unwrap(), 1);
        assert_eq!(store.list_push("list", "a".into()).await.unwrap(), 2);
        assert_eq!(store.list_push("list", "b".into()).await.unwrap(), 3);
        assert_eq!(store.list_push("list", String::new()).await.unwrap(), 4);
        assert_eq!(store.list_range("list", 0, -1).await.unwrap(), texts(&["b", "a", "b", ""]));
        assert!(store.contains("list").await.unwrap());
    }

    pub async fn list_ranges_count_from_both_ends<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        push_all(store, "list", &["a", "b", "c", "d"]).await;
        for (start, stop, expected) in [
            (0, 0, &["a"][..]),
            (1, 2, &["b", "c"]),
            (-2, -1, &["c", "d"]),
            (-1, -2, &[]),
            (2, 99, &["c", "d"]),
            (-99, 1, &["a", "b"]),
            (4, 9, &[]),
            (0, -99, &[]),
            (i64::from(i32::MIN), i64::from(i32::MAX), &["a", "b", "c", "d"]),
        ] {
            assert_eq!(store.list_range("list", start, stop).await.unwrap(), texts(expected), "{start}..={stop}");
        }
    }

    pub async fn removing_from_a_list_takes_every_equal_item<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        push_all(store, "list", &["x", "a", "x", "b", "x"]).await;
        assert_eq!(store.list_remove("list", "none").await.unwrap(), 0);
        assert_eq!(store.list_remove("list", "x").await.unwrap(), 3);
        assert_eq!(store.list_range("list", 0, -1).await.unwrap(), texts(&["a", "b"]));
        assert_eq!(store.list_push("list", "c".into()).await.unwrap(), 3);
        assert_eq!(store.list_range("list", -2, -1).await.unwrap(), texts(&["b", "c"]));
    }

    pub async fn sets_hold_each_item_once<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        assert!(store.set_add("set", "a".into()).await.unwrap());
        assert!(!store.set_add("set", "a".into()).await.unwrap());
        assert!(store.set_add("set", String::new()).await.unwrap());
        assert_eq!(sorted(store.set_members("set").await.unwrap()), texts(&["", "a"]));
        assert!(store.set_remove("set", "a").await.unwrap());
        assert!(!store.set_remove("set", "a").await.unwrap());
        assert_eq!(store.set_members("set").await.unwrap(), texts(&[""]));
    }

    pub async fn sets_combine<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        add_all(store, "ab", &["a", "b"]).await;
        add_all(store, "bc", &["b", "c"]).await;
        let union = |keys: &[&str]| {
            let keys = texts(keys);
            async move { sorted(store.set_union(&keys).await.unwrap()) }
        };
        let intersection = |keys: &[&str]| {
            let keys = texts(keys);
            async move { sorted(store.set_intersection(&keys).await.unwrap()) }
        };
        assert_eq!(union(&["ab", "bc"]).await, texts(&["a", "b", "c"]));
        assert_eq!(union(&["none", "bc"]).await, texts(&["b", "c"]));
        assert_eq!(union(&["none"]).await, texts(&[]));
        assert_eq!(union(&[]).await, texts(&[]));
        assert_eq!(intersection(&["ab", "bc"]).await, texts(&["b"]));
        assert_eq!(intersection(&["ab"]).await, texts(&["a", "b"]));
        assert_eq!(intersection(&["ab", "none"]).await, texts(&[]));
        assert_eq!(intersection(&["none", "ab"]).await, texts(&[]));
        assert_eq!(intersection(&[]).await, texts(&[]));
    }

    pub async fn a_set_combined_with_itself_is_itself<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        add_all(store, "set", &["a", "b"]).await;
        let twice = texts(&["set", "set"]);
        assert_eq!(sorted(store.set_union(&twice).await.unwrap()), texts(&["a", "b"]));
        assert_eq!(sorted(store.set_intersection(&twice).await.unwrap()), texts(&["a", "b"]));
    }

    /// With a look at the set for each name, this would take minutes.
    pub async fn a_set_named_often_is_read_once<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        let items: Vec<String> = (1000..2000).map(|n| n.to_string()).collect();
        together(items.iter().map(|item| async { store.set_add("set", item.clone()).await.unwrap() })).await;
        let often = vec!["set".to_owned(); 1_000_000];
        assert_eq!(sorted(store.set_union(&often).await.unwrap()), items);
        assert_eq!(sorted(store.set_intersection(&often).await.unwrap()), items);
    }

    pub async fn nothing_is_left_of_an_emptied_list_or_set<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        push_all(store, "list", &["a", "a"]).await;
        add_all(store, "set", &["a"]).await;
        assert_eq!(store.list_remove("list", "a").await.unwrap(), 2);
        assert!(store.set_remove("set", "a").await.unwrap());
        for key in ["list", "set"] {
            assert!(!store.contains(key).await.unwrap(), "{key}");
            assert!(!store.delete(key).await.unwrap(), "{key}");
            assert_eq!(store.increment(key, 1).await.unwrap(), 1, "{key} is free for another kind");
        }
    }

    pub async fn operations_refuse_other_kinds<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        store.set("text", "1".into(), None).await.unwrap();
        push_all(store, "list", &["a"]).await;
        add_all(store, "set", &["a"]).await;
        let wrong = |expected| KeyValueError::WrongKind { expected };
        for key in ["list", "set"] {
            assert_eq!(store.get(key).await.unwrap_err(), wrong(ValueKind::Text), "{key}");
            assert_eq!(store.increment(key, 1).await.unwrap_err(), wrong(ValueKind::Text), "{key}");
        }
        for key in ["text", "set"] {
            assert_eq!(store.list_push(key, "b".into()).await.unwrap_err(), wrong(ValueKind::List), "{key}");
            assert_eq!(store.list_remove(key, "a").await.unwrap_err(), wrong(ValueKind::List), "{key}");
            assert_eq!(store.list_range(key, 0, -1).await.unwrap_err(), wrong(ValueKind::List), "{key}");
        }
        for key in ["text", "list"] {
            let keys = texts(&["set", key]);
            assert_eq!(store.set_add(key, "b".into()).await.unwrap_err(), wrong(ValueKind::Set), "{key}");
            assert_eq!(store.set_remove(key, "a").await.unwrap_err(), wrong(ValueKind::Set), "{key}");
            assert_eq!(store.set_members(key).await.unwrap_err(), wrong(ValueKind::Set), "{key}");
            assert_eq!(store.set_union(&keys).await.unwrap_err(), wrong(ValueKind::Set), "{key}");
            assert_eq!(store.set_intersection(&keys).await.unwrap_err(), wrong(ValueKind::Set), "{key}");
        }
        assert_eq!(store.get("text").await.unwrap().as_deref(), Some("1"), "nothing was changed");
        assert_eq!(store.list_range("list", 0, -1).await.unwrap(), texts(&["a"]));
        assert_eq!(store.set_members("set").await.unwrap(), texts(&["a"]));
    }

    pub async fn odd_keys_are_keys<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        let long = "k".repeat(1000);
        let keys = ["", " ", "a b\r\nc", "a\0b", "a\0", "a", "ключ 🦀", "*", "a:b:{c}", "../../x", &long];
        for (n, key) in keys.iter().enumerate() {
            store.set(key, n.to_string(), None).await.unwrap();
        }
        for (n, key) in keys.iter().enumerate() {
            assert_eq!(store.get(key).await.unwrap(), Some(n.to_string()), "{key:?}");
            assert!(store.delete(key).await.unwrap(), "{key:?}");
            add_all(store, key, &["x", key]).await;
        }
        for key in keys {
            assert!(store.set_remove(key, "x").await.unwrap(), "{key:?}");
            assert_eq!(store.set_members(key).await.unwrap(), texts(&[key]), "{key:?}");
        }
    }

    pub async fn big_values_come_back_whole<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        let big: String = ('a'..='z').cycle().take(3 << 20).collect();
        store.set("text", big.clone(), None).await.unwrap();
        store.list_push("list", big.clone()).await.unwrap();
        store.set_add("set", big.clone()).await.unwrap();
        assert!(store.get("text").await.unwrap() == Some(big.clone()));
        assert!(store.list_range("list", 0, -1).await.unwrap() == [big.clone()]);
        assert!(store.set_members("set").await.unwrap() == [big.clone()]);
        assert!(store.set_remove("set", &big).await.unwrap());
    }

    pub async fn an_answer_longer_than_a_message_is_refused<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        let half = |digit: char| digit.to_string().repeat(9 << 20);
        for digit in ['1', '2'] {
            store.list_push("list", half(digit)).await.unwrap();
            store.set_add("set", half(digit)).await.unwrap();
            store.set_add(&digit.to_string(), half(digit)).await.unwrap();
        }
        for refused in [
            store.list_range("list", 0, -1).await,
            store.set_members("set").await,
            store.set_union(&texts(&["1", "2"])).await,
            store.set_intersection(&texts(&["set"])).await,
        ] {
            assert_eq!(refused.unwrap_err().code(), "value_too_large");
        }
        assert_eq!(store.list_range("list", 1, 1).await.unwrap(), [half('2')]);
        assert_eq!(store.set_union(&texts(&["1"])).await.unwrap(), [half('1')]);
        let common = store.set_intersection(&texts(&["set", "2"])).await.unwrap();
        assert_eq!(common, [half('2')], "only an answer is too long, no set");
    }

    pub async fn long_lists_stay_exact<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        for n in 0..300_u64 {
            assert_eq!(store.list_push("list", (n % 7).to_string()).await.unwrap(), n + 1);
        }
        assert_eq!(store.list_remove("list", "3").await.unwrap(), 43);
        let expected: Vec<String> = (0..300).map(|n| n % 7).filter(|n| *n != 3).map(|n| n.to_string()).collect();
        assert_eq!(store.list_range("list", 0, -1).await.unwrap(), expected);
        assert_eq!(store.list_range("list", 100, 109).await.unwrap(), expected[100..110]);
        assert_eq!(store.list_push("list", "end".into()).await.unwrap(), 258);
        assert!(store.delete("list").await.unwrap());
        assert_eq!(store.list_range("list", 0, -1).await.unwrap(), texts(&[]));
    }

    pub async fn contended_lists_and_sets_lose_nothing<T: StoreSubject>(subject: &T) {
        let store = subject.store();
        let answers = together((0..64).map(|n: u64| async move {
            let length = store.list_push("list", n.to_string()).await.unwrap();
            (length, store.set_add("set", (n / 2).to_string()).await.unwrap())
        }))
        .await;
        let mut lengths: Vec<u64> = answers.iter().map(|(length, _)| *length).collect();
        lengths.sort_unstable();
        assert_eq!(lengths, (1..=64).collect::<Vec<_>>());
        assert_eq!(answers.iter().filter(|(_, new)| *new).count(), 32, "one of two adds the item");
        assert_eq!(store.set_members("set").await.unwrap().len(), 32);
    }
}
