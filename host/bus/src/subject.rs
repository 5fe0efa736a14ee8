//! What a subject is and which patterns match it, as NATS has it.

use crate::BusError;

/// Longest subject, in bytes. NATS bounds the whole control line to 4096.
const SUBJECT_LEN_MAX: usize = 2048;

/// Checks a subject to publish to: tokens separated by dots, none empty, no wildcards.
pub(crate) fn check_literal(subject: &str) -> Result<(), BusError> {
    check(subject, |token, _| !matches!(token, "*" | ">"))
}

/// Checks one word of a subject, as a part of one to publish to.
pub(crate) fn check_token(token: &str) -> Result<(), BusError> {
    check(token, |token, is_last| is_last && !token.contains(['*', '>']))
}

/// Checks a subject to subscribe to: `*` may stand for one token, a last `>` for one or more.
pub(crate) fn check_pattern(subject: &str) -> Result<(), BusError> {
    check(subject, |token, is_last| token != ">" || is_last)
}

/// Checks the name of a queue group.
pub(crate) fn check_queue(queue: &str) -> Result<(), BusError> {
    check(queue, |_, _| true)
}

fn check(subject: &str, allowed: impl Fn(&str, bool) -> bool) -> Result<(), BusError> {
    let mut tokens = subject.split('.').peekable();
    let mut is_good = subject.len() <= SUBJECT_LEN_MAX && !subject.contains(|c: char| c.is_whitespace() || c == '\0');
    while let Some(token) = tokens.next() {
        is_good &= !token.is_empty() && allowed(token, tokens.peek().is_none());
    }
    if is_good { Ok(()) } else { Err(BusError::BadSubject(subject.chars().take(80).collect())) }
}

/// What inboxes begin with. Users of NATS may have inboxes of their own below another beginning (`_INBOX_NAME`).
const INBOX: &str = "_INBOX";
/// What NATS itself puts before a reply subject on its way to another cluster, with two more words.
const GATEWAY: &str = "_GR_.";
/// What NATS itself puts in place of a reply subject of another account.
const OTHER_ACCOUNT: &str = "_R_.";

/// Returns whether answers go to `subject`, which nobody listens to but who asked. What NATS itself puts there counts:
/// it lets no client name it.
#[must_use]
pub fn is_inbox(subject: &str) -> bool {
    let behind_gateway = subject.strip_prefix(GATEWAY).and_then(|rest| rest.splitn(3, '.').nth(2));
    behind_gateway.unwrap_or(subject).starts_with(INBOX) || subject.starts_with(OTHER_ACCOUNT)
}

/// Returns whether a message to `subject` goes to a subscription on `pattern`.
pub(crate) fn matches(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in pattern.split('.') {
        match (wanted, tokens.next()) {
            (_, None) => return false,
            (">", Some(_)) => return true,
            (wanted, Some(token)) if wanted != "*" && wanted != token => return false,
            _ => {}
        }
    }
    tokens.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_is_one_behind_a_gateway_too() {
        for inbox in ["_INBOX.a.b", "_INBOX_NAME.a", "_GR_.c1.s1._INBOX.a", "_R_.xyz"] {
            assert!(is_inbox(inbox), "{inbox}");
        }
        for other in
            ["$KV.LATTICEDATA_default.X", "wasmbus.ctl.v1.default.host.ping", "_GR_.c1.s1.$KV.X", "_GR_.c1.s1", ""]
        {
            assert!(!is_inbox(other), "{other}");
        }
    }

    #[test]
    fn a_pattern_matches_token_by_token() {
        let cases = [
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
            ("a.b.c", "a.b", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*.c", "a.b.c", true),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            (">", "a", true),
            ("a*", "ab", false),
        ];
        for (pattern, subject, expected) in cases {
            assert_eq!(matches(pattern, subject), expected, "{pattern} {subject}");
        }
    }

    #[test]
    fn only_patterns_have_wildcards_and_only_the_last_token_is_open() {
        for good in ["a", "a.b-c_d:1", "a.b*"] {
            assert!(check_literal(good).is_ok() && check_pattern(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a\r\nb", &"x".repeat(3000)] {
            assert!(check_literal(bad).is_err() && check_pattern(bad).is_err(), "{bad:?}");
        }
        assert!(check_token("hub-1").is_ok());
        for bad in ["", "a.b", "*", "a*", ">", "a b"] {
            assert!(check_token(bad).is_err(), "{bad:?}");
        }
        assert!(check_literal("a.*").is_err() && check_literal("a.>").is_err());
        assert!(check_pattern("*.a.>").is_ok() && check_pattern(">.a").is_err());
    }
}
