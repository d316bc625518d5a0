//! What the tests share: a broker of the test's own, the binaries in processes, the simulator, the topics read back.

pub(crate) mod broker;
pub(crate) mod collector;
pub(crate) mod compose;
pub(crate) mod grpcurl;
pub(crate) mod http;
pub(crate) mod local;
pub(crate) mod process;
pub(crate) mod reader;
pub(crate) mod relay;
pub(crate) mod sim;
pub(crate) mod system;
pub(crate) mod topic;

pub(crate) use runtime::testing::{DEADLINE, until, wait_for};
