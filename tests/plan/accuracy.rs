//! The plan against what happens: forecasts made before the start and halfway, and the end as it comes about in simulated time. They
//! must agree within a tenth (SPEC 8).
//!
//! Two hundred thousand messages are played with the engine's own pace and turns and the rules of the hour, but without a database
//! or a provider ([`world`]); five thousand through the whole engine, over HTTP ([`stage`]).

#[path = "stage.rs"]
mod stage;
#[path = "world.rs"]
mod world;

use crate::domain::time::Timestamp;

/// How far a forecast may be off, of the whole time that it is about.
const TOLERANCE: f64 = 0.10;

/// Holds a forecast against the end; what it was off by, in percent.
fn hold(what: &str, made_at: Timestamp, foretold: Option<Timestamp>, ended: Timestamp) -> f64 {
    let foretold = foretold.unwrap().since(made_at).as_secs_f64();
    let took = ended.since(made_at).as_secs_f64();
    let off = (foretold - took) / took;
    println!("{what}: {foretold:.1} s foretold, {took:.1} s taken, {:+.2} %", off * 100.0);
    assert!(off.abs() <= TOLERANCE, "{what}: {foretold} s were foretold, {took} s it took");
    off * 100.0
}
