//! Which of several hosts takes a call.

use wattle_types::HostId;

/// Chooses the less busy of two candidates that `turn` picks; those to `avoid` only if there are no others.
///
/// Two random choices come close to the least busy of all without everybody rushing to the same host. The result
/// follows from the arguments alone: count `turn` up for each call.
pub fn choose(
    candidates: &[HostId],
    avoid: impl Fn(&HostId) -> bool,
    outstanding: impl Fn(&HostId) -> usize,
    turn: u64,
) -> Option<HostId> {
    let fit = candidates.iter().filter(|host| !avoid(host)).count();
    let count = if fit == 0 { candidates.len() } else { fit };
    let nth = |index: usize| candidates.iter().filter(|host| fit == 0 || !avoid(host)).nth(index).copied();
    let (first, second) = two_of(count, turn)?;
    let (first, second) = (nth(first)?, nth(second)?);
    Some(if outstanding(&second) < outstanding(&first) { second } else { first })
}

/// Returns two indexes below `count`, different ones if there are two.
fn two_of(count: usize, turn: u64) -> Option<(usize, usize)> {
    let count = u64::try_from(count).ok().filter(|count| *count > 0)?;
    let mixed = mix(turn);
    let first = mixed % count;
    let second = if count == 1 { first } else { (first + 1 + (mixed >> 32) % (count - 1)) % count };
    Some((usize::try_from(first).ok()?, usize::try_from(second).ok()?))
}

/// Spreads a counter over all 64 bits (the finalizer of `SplitMix64`).
pub(crate) const fn mix(turn: u64) -> u64 {
    let mut z = turn.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
