//! What can go wrong around a plugin: writers, servers and clocks that misbehave as told.

mod clock;
mod flaky;
mod server;

pub use clock::Clock;
pub use flaky::Flaky;
pub use server::{GARBAGE, Refusing, Server, Step};
