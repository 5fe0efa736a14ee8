//! Small: says what it is told.

use wattle_actor::Raw;

#[wattle_actor::handler("ping")]
fn ping(payload: Raw) -> Raw {
    payload
}
