//! Layer 6: what sockets are bound and connected to.
//! Invariant: an IP address, however it is written, is never looked up.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::slice;

use crate::executor::current;
use crate::selector::world::Instead;

/// What can be connected to, and listened on: an address, several of them, or a host's name.
///
/// | written | is |
/// | --- | --- |
/// | `"127.0.0.1:80"`, `"[::1]:80"` | an IP address and a port |
/// | `(ip, port)`, a [`SocketAddr`] | the same; `ip` as [`IpAddr`], as a string, or as `[127, 0, 0, 1]` |
/// | `"example.org:443"`, `("example.org", 443)` | a host's name and a port |
/// | `[SocketAddr]`, `Vec<SocketAddr>` | several addresses of one peer |
///
/// To connect to a host by its name, the name is looked up, with the feature `resolve`. IP
/// addresses need no feature, no lookup and no thread. To listen, only IP addresses will do.
///
/// Implement it for a type of your own that has a host and a port:
///
/// ```
/// use selkie::net::{Addresses, ToAddresses};
///
/// struct Endpoint {
///     host: String,
///     port: u16,
/// }
///
/// impl ToAddresses for Endpoint {
///     fn to_addresses(&self) -> std::io::Result<Addresses> {
///         Addresses::of_host(&self.host, self.port)
///     }
/// }
/// ```
pub trait ToAddresses {
    /// What it stands for. Looks nothing up.
    ///
    /// # Errors
    /// Of kind `InvalidInput` if it cannot be an address or a host's name and a port.
    fn to_addresses(&self) -> io::Result<Addresses>;
}

/// IP addresses with a port, or a host's name with one, which is to be looked up; from
/// [`ToAddresses`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Addresses(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    One(SocketAddr),
    Several(Vec<SocketAddr>),
    Host { name: String, port: u16 },
}

impl Addresses {
    /// Those of a host, which may be given as an IP address, too. An IPv6 address is written
    /// without brackets here.
    ///
    /// # Errors
    /// Of kind `InvalidInput` if the name is empty, or has a zero byte in it.
    pub fn of_host(name: &str, port: u16) -> io::Result<Self> {
        if name.is_empty() {
            return Err(invalid(format_args!(
                "the host's name before port {port} is empty; write one, or an IP address"
            )));
        }
        if name.contains('\0') {
            return Err(invalid(format_args!(
                "the host's name {name:?} has a zero byte in it; a name ends before it"
            )));
        }
        Ok(Self(match name.parse::<IpAddr>() {
            Ok(ip) => Kind::One((ip, port).into()),
            Err(_) => Kind::Host { name: name.to_owned(), port },
        }))
    }

    /// The IP addresses, unless they have to be looked up.
    #[must_use]
    pub fn known(&self) -> Option<&[SocketAddr]> {
        match &self.0 {
            Kind::One(address) => Some(slice::from_ref(address)),
            Kind::Several(addresses) => Some(addresses),
            Kind::Host { .. } => None,
        }
    }

    /// The host's name and the port that have to be looked up, if they have to.
    #[must_use]
    pub fn host(&self) -> Option<(&str, u16)> {
        match &self.0 {
            Kind::Host { name, port } => Some((name, *port)),
            Kind::One(_) | Kind::Several(_) => None,
        }
    }

    /// The addresses to listen on.
    pub(super) fn without_lookup(&self) -> io::Result<&[SocketAddr]> {
        match self.known() {
            Some([]) => {
                Err(invalid(format_args!("the list of addresses is empty; give one at least")))
            }
            Some(addresses) => Ok(addresses),
            None => Err(invalid(format_args!(
                "\"{self}\" is a host's name, and to look it up may take long; use an IP address, \
                 such as 127.0.0.1 or [::]"
            ))),
        }
    }

    /// What `open` makes of the first address that it does not refuse.
    pub(super) fn first<T>(
        &self,
        mut open: impl FnMut(SocketAddr) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut result = Err(io::ErrorKind::InvalidInput.into());
        for address in self.without_lookup()? {
            result = open(*address);
            if result.is_ok() {
                break;
            }
        }
        result
    }
}

/// The addresses of a host by its name, where the runtime's world knows them.
pub(super) fn resolve_in_world(name: &str, port: u16) -> Instead<Vec<SocketAddr>> {
    current::get().and_then(|executor| executor.reactor.world()?.resolve(name, port))
}

fn invalid(text: fmt::Arguments<'_>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text.to_string())
}

/// As it is written in an error.
impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::One(address) => address.fmt(f),
            Kind::Several(addresses) => {
                for (index, address) in addresses.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{address}")?;
                }
                Ok(())
            }
            Kind::Host { name, port } => write!(f, "{name}:{port}"),
        }
    }
}

impl From<SocketAddr> for Addresses {
    fn from(address: SocketAddr) -> Self {
        Self(Kind::One(address))
    }
}

/// Several addresses of one peer, the one to be preferred first.
impl FromIterator<SocketAddr> for Addresses {
    fn from_iter<I: IntoIterator<Item = SocketAddr>>(addresses: I) -> Self {
        Self(Kind::Several(Vec::from_iter(addresses)))
    }
}

/// An address and a port, or a host's name and a port, with a colon between them.
impl ToAddresses for str {
    fn to_addresses(&self) -> io::Result<Addresses> {
        if let Ok(address) = self.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        // Both end in something like a port, `::1` and `[::1]`.
        let is_bare_ipv6 = self.parse::<Ipv6Addr>().is_ok();
        let has_port = !is_bare_ipv6 && !self.ends_with(']');
        let Some((host, port)) = self.rsplit_once(':').filter(|_| has_port) else {
            let example = match self {
                "" => "example.org:80".to_owned(),
                ipv6 if is_bare_ipv6 => format!("[{ipv6}]:80"),
                host => format!("{host}:80"),
            };
            return Err(invalid(format_args!(
                "\"{self}\" has no port; write it behind a colon, as in \"{example}\""
            )));
        };
        let Ok(port) = port.parse() else {
            return Err(invalid(format_args!(
                "\"{port}\" in \"{self}\" is no port; write a number from 0 to 65535"
            )));
        };
        let name = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            // Such as `fe80::1%eth0`, whose end only the system understands.
            Some(ipv6) if ipv6.contains(':') => ipv6,
            None if !host.contains([':', '[', ']']) => host,
            _ => {
                return Err(invalid(format_args!(
                    "\"{host}\" in \"{self}\" is no host; write an IPv6 address in brackets, as in \
                     \"[::1]:{port}\""
                )));
            }
        };
        Addresses::of_host(name, port)
    }
}

impl ToAddresses for String {
    fn to_addresses(&self) -> io::Result<Addresses> {
        self.as_str().to_addresses()
    }
}

impl ToAddresses for (&str, u16) {
    fn to_addresses(&self) -> io::Result<Addresses> {
        Addresses::of_host(self.0, self.1)
    }
}

impl ToAddresses for (String, u16) {
    fn to_addresses(&self) -> io::Result<Addresses> {
        Addresses::of_host(&self.0, self.1)
    }
}

impl ToAddresses for [SocketAddr] {
    fn to_addresses(&self) -> io::Result<Addresses> {
        Ok(self.iter().copied().collect())
    }
}

impl<const N: usize> ToAddresses for [SocketAddr; N] {
    fn to_addresses(&self) -> io::Result<Addresses> {
        self.as_slice().to_addresses()
    }
}

impl ToAddresses for Vec<SocketAddr> {
    fn to_addresses(&self) -> io::Result<Addresses> {
        self.as_slice().to_addresses()
    }
}

impl ToAddresses for Addresses {
    fn to_addresses(&self) -> io::Result<Addresses> {
        Ok(self.clone())
    }
}

impl<A: ToAddresses + ?Sized> ToAddresses for &A {
    fn to_addresses(&self) -> io::Result<Addresses> {
        (**self).to_addresses()
    }
}

macro_rules! is_an_address {
    ($($address:ty),* $(,)?) => {$(
        impl ToAddresses for $address {
            fn to_addresses(&self) -> io::Result<Addresses> {
                Ok(SocketAddr::from(*self).into())
            }
        }
    )*};
}

is_an_address!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16),
    ([u8; 4], u16),
    ([u8; 16], u16),
    ([u16; 8], u16),
);
