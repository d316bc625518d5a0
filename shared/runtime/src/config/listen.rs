use serde::{Deserialize, Deserializer};

use super::Fault;

/// A section that says where a port is and what it bears: `grpc` and `admin` of every service. `PORT` is the default.
#[derive(Debug, Clone)]
pub struct Listen<const PORT: u16> {
    /// `host:port`; port 0 lets the system choose. Default: the service's own port on all addresses.
    pub listen: String,
    /// Open connections; a further one waits in the kernel's backlog until another closes. Default 1,024.
    pub connections_max: usize,
}

impl<const PORT: u16> Default for Listen<PORT> {
    fn default() -> Self {
        Self {
            listen: format!("0.0.0.0:{PORT}"),
            connections_max: 1_024,
        }
    }
}

impl<const PORT: u16> Listen<PORT> {
    /// Appends what is wrong; `section` is what the section is called.
    pub fn faults(&self, section: &str, out: &mut Vec<Fault>) {
        out.extend(Fault::unless_address(&format!("{section}.listen"), &self.listen));
        if !(1..=u32::MAX as usize).contains(&self.connections_max) {
            let problem = "must be from 1 to 4294967295";
            out.push(Fault::new(format!("{section}.connections_max"), problem));
        }
    }
}

/// By hand, because serde derives nothing for const generics.
impl<'de, const PORT: u16> Deserialize<'de> for Listen<PORT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Given {
            listen: Option<String>,
            connections_max: Option<usize>,
        }
        let (given, default) = (Given::deserialize(deserializer)?, Self::default());
        Ok(Self {
            listen: given.listen.unwrap_or(default.listen),
            connections_max: given.connections_max.unwrap_or(default.connections_max),
        })
    }
}
