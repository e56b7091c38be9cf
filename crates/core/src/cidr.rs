use alloc::string::String;
use core::{fmt, net::IpAddr};
use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An address or a CIDR block, v4 or v6, in one canonical form: v4-mapped v6 blocks become v4 ones.
///
/// ```
/// use keyward_core::Network;
/// let net = Network::parse("10.0.0.0/8").unwrap();
/// assert!(net.contains("10.9.8.7".parse().unwrap()));
/// assert!(net.contains("::ffff:10.9.8.7".parse().unwrap()));
/// assert!(!net.contains("11.0.0.1".parse().unwrap()));
/// assert_eq!(Network::parse("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
/// assert!(Network::parse("10.0.0.1/8").is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(IpNet);

/// Why a text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither an address nor a CIDR block.
    #[error("not an IP address or CIDR block")]
    Syntax,
    /// Bits are set beyond the prefix, as in `10.0.0.1/8`: it would be a guess what is meant.
    #[error("has bits set beyond its prefix length")]
    HostBits,
}

/// The address that a caller has: a v4-mapped v6 address is its v4 address (RFC 4291 section 2.5.5.2).
pub fn canonical_address(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

impl Network {
    /// Reads an address or a CIDR block.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        // The standard library reads the address: unlike ipnet it refuses `010.0.0.0`, which some take for octal.
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Syntax)?;
        let Some(len) = len else { return Ok(Self(IpNet::from(address.to_canonical()))) };
        if len.len() > 1 && len.starts_with('0') || !len.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NetworkError::Syntax);
        }
        let net = len.parse().ok().and_then(|len| IpNet::new(address, len).ok()).ok_or(NetworkError::Syntax)?;
        if net.trunc() != net {
            return Err(NetworkError::HostBits);
        }
        Ok(Self(Self::unmap(net)))
    }

    fn unmap(net: IpNet) -> IpNet {
        let IpNet::V6(six) = net else { return net };
        match (six.addr().to_ipv4_mapped(), six.prefix_len().checked_sub(96)) {
            (Some(four), Some(len)) => Ipv4Net::new(four, len).map_or(net, IpNet::V4),
            _ => net,
        }
    }

    /// Whether the block holds an address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether the block holds all of another.
    pub fn covers(&self, other: &Self) -> bool {
        self.0.contains(&other.0)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network({})", self.0)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
