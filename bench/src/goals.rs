//! What is to be reached, and what was: the ratios Wattle is known for, from one run.

use std::fmt;

use crate::{
    calls,
    calls::threads,
    cold, compute, fairness, first_start, http, idle, many, mesh,
    quantiles::Spread,
    record::Record,
    report::{figure, spread},
    routing,
};

/// One line of the table.
struct Goal {
    row: &'static str,
    what: &'static str,
    /// What must be reached, and what is wanted; nothing is promised of a line without.
    wanted: Option<Wanted>,
    seen: fn(&Record) -> Option<Vec<f64>>,
}

struct Wanted {
    floor: f64,
    goal: f64,
    better: Better,
    unit: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Better {
    Lower,
    Higher,
}

const fn at_most(floor: f64, goal: f64, unit: &'static str) -> Option<Wanted> {
    Some(Wanted { floor, goal, better: Better::Lower, unit })
}

const fn at_least(floor: f64, goal: f64, unit: &'static str) -> Option<Wanted> {
    Some(Wanted { floor, goal, better: Better::Higher, unit })
}

const GOALS: [Goal; 27] = [
    Goal {
        row: "1",
        what: "isolated echo call, 1 KiB, against bare wasmtime's tuned pool",
        wanted: at_most(0.6, 0.25, "x"),
        seen: |run| ratio(call_time(run, calls::OURS)?, call_time(run, calls::BARE)?),
    },
    Goal {
        row: "2",
        what: "the same, 2 threads against 1",
        wanted: at_least(1.7, 1.9, "x"),
        seen: |run| samples(run, "threads", calls::OURS, &threads::under(2), threads::SCALING),
    },
    Goal {
        row: "3",
        what: "row 1 against wapc + wasmtime-provider reusing one instance",
        wanted: at_most(12.0, 5.0, "x"),
        seen: |run| ratio(call_time(run, calls::OURS)?, call_time(run, calls::WAPC_REUSED)?),
    },
    Goal {
        row: "4",
        what: "HTTP hello, 64 connections, against bare axum",
        wanted: at_least(0.35, 0.6, "x"),
        seen: |run| ratio(http_rate(run, "http", http::OURS)?, http_rate(run, "http", http::AXUM)?),
    },
    Goal {
        row: "5",
        what: "the same against wasmtime serve (--peers)",
        wanted: at_least(3.0, 6.0, "x"),
        seen: |run| ratio(http_rate(run, "http", http::OURS)?, http_rate(run, "http", http::WASMTIME)?),
    },
    Goal {
        row: "6",
        what: "HTTP, actor, key-value increment, against hello",
        wanted: at_least(0.6, 0.8, "x"),
        seen: |run| ratio(http_rate(run, "http_kv", http::OURS_KV)?, http_rate(run, "http_kv", http::OURS)?),
    },
    Goal {
        row: "7",
        what: "p99 / p50 of hello at half of its peak, sent evenly",
        wanted: at_most(6.0, 3.0, "x"),
        seen: |run| samples(run, "latency", http::OURS, http::EVEN, http::TAIL),
    },
    Goal {
        row: "7",
        what: "the same, sent at random",
        wanted: None,
        seen: |run| samples(run, "latency", http::OURS, http::RANDOM, http::TAIL),
    },
    Goal { row: "8", what: "cold start, 24 KB", wanted: at_most(1.0, 0.3, "ms"), seen: |run| cold(run, 0) },
    Goal { row: "8", what: "cold start, 2.4 MB", wanted: at_most(1.0, 0.3, "ms"), seen: |run| cold(run, 1) },
    Goal { row: "8", what: "cold start, 8.5 MB", wanted: at_most(1.0, 0.3, "ms"), seen: |run| cold(run, 2) },
    Goal {
        row: "9",
        what: "other actors' p99 while 2.4 MB are compiled, against before",
        wanted: at_most(2.0, 1.2, "x"),
        seen: |run| samples(run, "first_start", http::OURS, first_start::MEANWHILE, first_start::TIMES),
    },
    Goal {
        row: "10",
        what: "memory of a further idle actor, 150 KB modules",
        wanted: at_most(150.0, 20.0, "KiB"),
        seen: |run| samples(run, "idle", idle::FROM_CACHE, idle::ACTOR, idle::RESIDENT),
    },
    Goal {
        row: "10",
        what: "the same, without what is shared with files (code)",
        wanted: at_most(150.0, 20.0, "KiB"),
        seen: |run| samples(run, "idle", idle::FROM_CACHE, idle::ACTOR, idle::OWN),
    },
    Goal {
        row: "10",
        what: "memory of a call in flight",
        wanted: at_most(256.0, 64.0, "KiB"),
        seen: |run| samples(run, "idle", idle::FROM_CACHE, idle::CALL, idle::RESIDENT),
    },
    Goal {
        row: "10",
        what: "the same, a page that many calls share counted once",
        wanted: at_most(256.0, 64.0, "KiB"),
        seen: |run| samples(run, "idle", idle::FROM_CACHE, idle::CALL, idle::ONCE),
    },
    Goal {
        row: "11",
        what: "memory of a host with 10 000 actors",
        wanted: at_most(2048.0, 400.0, "MiB"),
        seen: |run| samples(run, "many", many::OURS, &many::under(10_000), many::MEMORY),
    },
    Goal {
        row: "11",
        what: "until they all run again",
        wanted: at_most(60.0, 5.0, "s"),
        seen: |run| samples(run, "many", many::OURS, &many::under(10_000), many::START),
    },
    Goal {
        row: "11",
        what: "p99 of the 10 busy ones, in us",
        wanted: None,
        seen: |run| samples(run, "many", many::OURS, &many::under(10_000), many::P99),
    },
    Goal {
        row: "11",
        what: "the same, against 10 actors alone",
        wanted: None,
        seen: |run| samples(run, "many", many::OURS, &many::under(10_000), many::TIMES),
    },
    Goal {
        row: "12",
        what: "call to another host, 128 B, p50 against bare NATS",
        wanted: at_most(1.4, 1.1, "x"),
        seen: |run| samples(run, "mesh", mesh::OURS, &mesh::under("128 B", 1), mesh::TIMES),
    },
    Goal {
        row: "13",
        what: "finding a link among 10 000 actors, 50 000 links",
        wanted: at_most(1000.0, 100.0, "ns"),
        seen: |run| samples(run, "routing", routing::OURS, &routing::under(10_000), routing::LINK),
    },
    Goal {
        row: "13",
        what: "finding an actor by its id among 10 000",
        wanted: at_most(1000.0, 100.0, "ns"),
        seen: |run| samples(run, "routing", routing::OURS, &routing::under(10_000), routing::ACTOR),
    },
    Goal {
        row: "14",
        what: "SHA-256 of 1 MiB, speed against a reused instance",
        wanted: at_least(0.8, 0.95, "x"),
        seen: |run| samples(run, "compute", calls::OURS, compute::SHA256, compute::SPEED),
    },
    Goal {
        row: "14",
        what: "JSON parse, speed against a reused instance",
        wanted: at_least(0.8, 0.95, "x"),
        seen: |run| samples(run, "compute", calls::OURS, compute::JSON, compute::SPEED),
    },
    Goal {
        row: "15",
        what: "a good actor's p99 over HTTP beside 2 spinning guests",
        wanted: at_most(5000.0, 2000.0, "us"),
        seen: |run| samples(run, "fairness", http::OURS, fairness::TWO, fairness::HTTP_P99),
    },
    Goal {
        row: "15",
        what: "the same, its answers a second against alone",
        wanted: at_least(0.3, 0.5, "x"),
        seen: |run| samples(run, "fairness", http::OURS, fairness::TWO, fairness::SHARE),
    },
];

/// The goals beside what a run showed.
pub(crate) struct Goals<'a>(pub(crate) &'a Record);

impl fmt::Display for Goals<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<3} {:<60} {:>12} {:>12} {:>28}  which", "#", "measure", "floor", "goal", "seen")?;
        for goal in &GOALS {
            let seen = (goal.seen)(self.0).map(|samples| Spread::of(&samples));
            let [floor, wanted] = match &goal.wanted {
                Some(wanted) => [wanted.floor, wanted.goal].map(|value| wanted.say(value)),
                None => ["-", "-"].map(str::to_owned),
            };
            let (said, which) = match &seen {
                Some(seen) => (spread(seen), goal.wanted.as_ref().map_or("-", |wanted| wanted.which(seen.median))),
                None => (String::new(), "not measured"),
            };
            writeln!(f, "{:<3} {:<60} {floor:>12} {wanted:>12} {said:>28}  {which}", goal.row, goal.what)?;
        }
        Ok(())
    }
}

impl Wanted {
    fn say(&self, value: f64) -> String {
        let sign = if self.better == Better::Lower { "<=" } else { ">=" };
        format!("{sign} {} {}", figure(value), self.unit)
    }

    fn which(&self, seen: f64) -> &'static str {
        let reaches = |wanted: f64| match self.better {
            Better::Lower => seen <= wanted,
            Better::Higher => seen >= wanted,
        };
        match (reaches(self.goal), reaches(self.floor)) {
            (true, _) => "goal",
            (false, true) => "floor",
            (false, false) => "MISSED",
        }
    }
}

fn samples(run: &Record, scenario: &str, contestant: &str, under: &str, measure: &str) -> Option<Vec<f64>> {
    run.scenario(scenario)?.samples(contestant, under, measure).map(<[f64]>::to_vec)
}

/// Divides round by round.
fn ratio(own: Vec<f64>, other: Vec<f64>) -> Option<Vec<f64>> {
    Some(own.iter().zip(&other).map(|(own, other)| own / other).collect())
}

fn call_time(run: &Record, contestant: &str) -> Option<Vec<f64>> {
    samples(run, "calls", contestant, "1 KiB", calls::TIME)
}

fn http_rate(run: &Record, scenario: &str, contestant: &str) -> Option<Vec<f64>> {
    samples(run, scenario, contestant, &format!("{} connections", http::CONNECTIONS), http::RATE)
}

fn cold(run: &Record, size: usize) -> Option<Vec<f64>> {
    samples(run, "cold", cold::OURS, cold::SIZES[size], cold::FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_reaches_the_goal_the_floor_or_nothing() {
        let lower = at_most(0.6, 0.25, "x").unwrap();
        assert_eq!([0.25, 0.3, 0.7].map(|seen| lower.which(seen)), ["goal", "floor", "MISSED"]);
        let higher = at_least(1.7, 1.9, "x").unwrap();
        assert_eq!([1.9, 1.8, 1.0].map(|seen| higher.which(seen)), ["goal", "floor", "MISSED"]);
    }
}
