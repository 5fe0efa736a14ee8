//! An open loop: requests are due at times that were laid down before, whatever the server does.
//!
//! A thread for each connection takes the next due time, sleeps until then, asks and waits for the answer. When all
//! connections are busy, a request goes out late, and its lateness counts: nothing is omitted.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{
    Target,
    load::{body, micros, request},
};

/// How far apart requests are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrivals {
    /// Always as far.
    Even,
    /// Exponentially distributed, from a fixed seed.
    Random,
}

/// How requests come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) arrivals: Arrivals,
    pub(crate) connections: usize,
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Answers a second.
    pub(crate) rate: f64,
    /// Microseconds from when each request was due to its answer.
    pub(crate) sorted_us: Vec<u32>,
}

/// Longest a server may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Asks for a while.
pub(crate) fn run(target: &Target, pace: Pace, turn: Duration) -> Result<Seen> {
    run_until(target, pace, turn, &AtomicBool::new(false))
}

/// Asks for at most a while, and no longer once `over` is set.
pub(crate) fn run_until(target: &Target, pace: Pace, most: Duration, over: &AtomicBool) -> Result<Seen> {
    let due = due_times(pace.rate, pace.arrivals, most);
    let next = AtomicUsize::new(0);
    // Connections are made before the first request is due.
    let begun = Instant::now() + Duration::from_millis(50);
    let schedule = Schedule { target, due: &due, next: &next, begun, over };
    let seen = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..pace.connections).map(|_| scope.spawn(|| one_connection(&schedule))).collect();
        let joined = threads.into_iter().map(|thread| thread.join().expect("a client must not panic"));
        joined.collect::<Result<Vec<_>>>()
    })?;
    let elapsed = begun.elapsed().as_secs_f64();
    let mut sorted_us = seen.concat();
    sorted_us.sort_unstable();
    Ok(Seen { rate: sorted_us.len() as f64 / elapsed, sorted_us })
}

struct Schedule<'a> {
    target: &'a Target,
    due: &'a [Duration],
    next: &'a AtomicUsize,
    begun: Instant,
    over: &'a AtomicBool,
}

/// Returns when requests are due, from the beginning.
pub(crate) fn due_times(rate: f64, arrivals: Arrivals, turn: Duration) -> Vec<Duration> {
    let mean = 1.0 / rate;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut at = 0.0;
    let mut due = Vec::with_capacity((turn.as_secs_f64() * rate).min(1e6) as usize);
    while at < turn.as_secs_f64() {
        due.push(Duration::from_secs_f64(at));
        at += match arrivals {
            Arrivals::Even => mean,
            Arrivals::Random => -mean * uniform(&mut state).ln(),
        };
    }
    due
}

/// Returns the next of a fixed row of numbers above 0 and up to 1 (xorshift).
fn uniform(state: &mut u64) -> f64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    ((*state >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

fn one_connection(schedule: &Schedule<'_>) -> Result<Vec<u32>> {
    // The kernel's usual slack of 50 us would be in every figure.
    rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
    let request = request(schedule.target);
    let mut stream = TcpStream::connect(schedule.target.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let mut buffer = vec![0; 4096];
    let mut seen = Vec::with_capacity(1024);
    while let Some(due) = schedule.due.get(schedule.next.fetch_add(1, Ordering::Relaxed)) {
        let due = schedule.begun + *due;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if schedule.over.load(Ordering::Relaxed) {
            break;
        }
        stream.write_all(request.as_bytes())?;
        let mut filled = 0;
        loop {
            let read = stream.read(&mut buffer[filled..])?;
            ensure!(read > 0, "the server closed a connection");
            filled += read;
            if let Some(body) = body(&buffer[..filled])? {
                schedule.target.expect.check(body)?;
                break;
            }
        }
        seen.push(micros(due.elapsed()));
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_requests_are_due_as_the_rate_says() {
        let turn = Duration::from_secs(10);
        let count = |arrivals| due_times(1000.0, arrivals, turn).len();
        assert!((9_999..=10_001).contains(&count(Arrivals::Even)));
        assert!((9_600..=10_400).contains(&count(Arrivals::Random)), "{}", count(Arrivals::Random));
    }

    #[test]
    fn a_server_that_stalls_makes_every_due_request_late() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let target =
            Target { address: listener.local_addr().unwrap(), path: "/", expect: super::super::Expect::Body(b"ok") };
        std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut buffer = [0; 1024];
            for turn in 0.. {
                if stream.read(&mut buffer).unwrap() == 0 {
                    return;
                }
                // The first answer comes after 200 ms, all others at once.
                std::thread::sleep(Duration::from_millis(if turn == 0 { 200 } else { 0 }));
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
            }
        });
        let pace = Pace { rate: 100.0, arrivals: Arrivals::Even, connections: 1 };
        let seen = run(&target, pace, Duration::from_millis(400)).unwrap();
        assert_eq!(seen.sorted_us.len(), 40);
        // A closed loop would have seen one slow answer. Here 20 requests were due during the stall.
        let late = seen.sorted_us.iter().filter(|us| **us > 20_000).count();
        assert!((15..=30).contains(&late), "{late}");
    }
}
