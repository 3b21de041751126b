//! How a host is called.

use std::net::{IpAddr, Ipv4Addr};

/// An address, a name, or both: what [`Sim::host`](crate::Sim::host) takes.
///
/// A string is an IP address or a name. A host that has a name and no address is given one, from
/// 10.0.0.1 on.
pub trait Place {
    /// The name and the address, as far as they are told.
    fn name_and_address(self) -> (Option<String>, Option<IpAddr>);
}

impl Place for &str {
    fn name_and_address(self) -> (Option<String>, Option<IpAddr>) {
        match self.parse() {
            Ok(ip) => (None, Some(ip)),
            Err(_) => (Some(self.to_owned()), None),
        }
    }
}

impl Place for IpAddr {
    fn name_and_address(self) -> (Option<String>, Option<IpAddr>) {
        (None, Some(self))
    }
}

impl Place for [u8; 4] {
    fn name_and_address(self) -> (Option<String>, Option<IpAddr>) {
        (None, Some(Ipv4Addr::from(self).into()))
    }
}

impl<A: Into<IpAddr>> Place for (&str, A) {
    fn name_and_address(self) -> (Option<String>, Option<IpAddr>) {
        (Some(self.0.to_owned()), Some(self.1.into()))
    }
}

/// The address of a host without one, of those that there are `count` of.
pub(crate) fn given(count: usize) -> IpAddr {
    // 10.0.0.0/8 has room for 16 million.
    Ipv4Addr::from(0x0a00_0001 + count as u32).into()
}

/// What a host's main function may return: nothing, or a result whose error fails the run.
pub trait HostResult {
    /// The text of the error.
    ///
    /// # Errors
    /// If there is one.
    fn into_result(self) -> Result<(), String>;
}

impl HostResult for () {
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}

impl<T, E: std::fmt::Display> HostResult for Result<T, E> {
    fn into_result(self) -> Result<(), String> {
        self.map(|_| ()).map_err(|error| error.to_string())
    }
}

impl HostResult for std::process::ExitCode {
    /// A code cannot be looked at: it is taken for a success, whatever it says.
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}
