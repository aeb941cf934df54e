//! The doors that anybody can knock at, `/callbacks/{token}` and `/hooks/{token}`: whatever is not to be taken gets the right
//! answer, leaves no trace anywhere, and is counted under labels that nobody outside can choose.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helpers panic as its tests do")]

#[expect(dead_code, reason = "the journeys need more of the stage than these tests")]
mod support;

#[path = "doors/garbage.rs"]
mod garbage;
#[path = "doors/house.rs"]
mod house;
#[path = "doors/refused.rs"]
mod refused;
#[path = "doors/taken.rs"]
mod taken;
