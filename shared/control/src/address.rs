//! Where requests come from, and from where an API token may be used.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use http::HeaderMap;
use ipnet::IpNet;
use serde::Deserialize;

mod braze;

/// The header that proxies add the address to that they were called from, behind what stands there already.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// A network, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(IpNet);

/// Not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseNetworkError {
    /// Something else.
    #[error("must be an address such as 203.0.113.7, or a network such as 10.1.0.0/16 or 2001:db8::/32")]
    Form,
    /// `10.1.2.3/16`: one address, or the network?
    #[error("has more digits than its prefix has bits: write {address}, or the network {network}")]
    HostBits {
        /// The address alone.
        address: IpAddr,
        /// The network that it is in.
        network: IpNet,
    },
}

impl Network {
    /// Whether the address is in it.
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            // The address of a request is never one of IPv4 in the guise of IPv6.
            return Ok(Self(address.to_canonical().into()));
        }
        let net: IpNet = text.parse().map_err(|_| ParseNetworkError::Form)?;
        if matches!(net.addr(), IpAddr::V6(address) if address.to_ipv4_mapped().is_some()) {
            return Err(ParseNetworkError::Form);
        }
        let network = net.trunc();
        if network != net {
            let address = net.addr();
            return Err(ParseNetworkError::HostBits { address, network });
        }
        Ok(Self(net))
    }
}

impl TryFrom<String> for Network {
    type Error = ParseNetworkError;

    fn try_from(text: String) -> Result<Self, ParseNetworkError> {
        text.parse()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

/// From where a token may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowedSource {
    /// These addresses.
    Network(Network),
    /// All that an instance of Braze calls from: `braze:US-03`.
    Braze {
        /// The instance, as Braze spells it.
        instance: &'static str,
        /// Its addresses.
        addresses: &'static [Ipv4Addr],
    },
}

/// Not something that a token may be used from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseSourceError {
    /// Neither address nor network.
    #[error("{0}, or braze:US-03 for all addresses of that Braze instance")]
    Network(#[from] ParseNetworkError),
    /// An instance without a list.
    #[error("the addresses of that Braze instance are not known; known: {}. Give those of others themselves", braze::names().join(", "))]
    Instance,
}

impl AllowedSource {
    /// Whether the address is one of these.
    pub fn contains(self, address: IpAddr) -> bool {
        match self {
            Self::Network(network) => network.contains(address),
            Self::Braze { addresses, .. } => matches!(address, IpAddr::V4(address) if addresses.contains(&address)),
        }
    }
}

impl FromStr for AllowedSource {
    type Err = ParseSourceError;

    fn from_str(text: &str) -> Result<Self, ParseSourceError> {
        let Some(instance) = text.strip_prefix("braze:") else {
            return Ok(Self::Network(text.parse()?));
        };
        let (instance, addresses) = braze::find(instance).ok_or(ParseSourceError::Instance)?;
        Ok(Self::Braze { instance, addresses })
    }
}

impl fmt::Display for AllowedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Braze { instance, .. } => write!(f, "braze:{instance}"),
        }
    }
}

/// The address that a request comes from: that of the connection, or, if that is a proxy that we trust, the one which the proxy was
/// called from, and so on. What a stranger writes into the header is never reached. `None` if a proxy does not tell.
pub(crate) fn origin(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> Option<IpAddr> {
    let mut address = peer.to_canonical();
    if proxies.is_empty() {
        return Some(address);
    }
    let told = headers.get_all(FORWARDED_FOR).iter().rev();
    let mut told = told.flat_map(|header| header.to_str().unwrap_or_default().rsplit(','));
    while proxies.iter().any(|proxy| proxy.contains(address)) {
        let Some(hop) = told.next() else { break };
        address = parse_hop(hop.trim())?;
    }
    Some(address)
}

/// Some proxies add the port.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let address = hop.parse::<IpAddr>();
    let address = address.or_else(|_| hop.parse::<SocketAddr>().map(|socket| socket.ip()));
    Some(address.ok()?.to_canonical())
}

#[cfg(test)]
mod tests;
