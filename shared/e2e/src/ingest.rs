//! What the benches of ingest-svc share: the service as a process, requests, and who sends them.

pub mod connection;
mod load;
pub mod open;
pub mod requests;
mod world;

pub use self::connection::Connection;
pub use self::load::Load;
pub use self::open::{Answer, Answers, Offer};
pub use self::requests::Requests;
pub use self::world::{ACCOUNT, World};
