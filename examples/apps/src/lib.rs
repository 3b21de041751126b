//! What the programs have in common: their command lines, and how they tell that they failed.
//!
//! Each program stands in `src/bin`, with the line that runs it; `tests/apps` drives each with a
//! client that was written elsewhere, and `tests/hyper` has the tests of selkie's feature `hyper`.

use std::env;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

/// The address that the program was given, or else `usual`.
///
/// # Errors
/// Of kind `InvalidInput` if what was given is no address with a port.
pub fn address_or(usual: &str) -> io::Result<SocketAddr> {
    address(&env::args().nth(1).unwrap_or_else(|| usual.to_owned()))
}

/// An address with a port.
///
/// # Errors
/// Of kind `InvalidInput` for anything else.
pub fn address(text: &str) -> io::Result<SocketAddr> {
    text.parse().map_err(|_| {
        let error = format!("{text:?} is no address with a port, as 127.0.0.1:9999 is");
        io::Error::new(io::ErrorKind::InvalidInput, error)
    })
}

/// The program's exit code. Tells an error, and how the program is used.
pub fn exit<E: Display>(usage: &str, result: Result<(), E>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("{error}\nusage: {usage}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    #[test]
    fn an_address_without_a_port_is_invalid_input_and_named() {
        for text in ["127.0.0.1", "localhost:80", ":80", "127.0.0.1:65536", ""] {
            let error = super::address(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().starts_with(&format!("{text:?} is no address with a port")));
        }
        super::address("[::1]:0").unwrap();
    }
}

/// Pages of selkie's documentation whose code needs libraries that selkie itself does not have.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../src/hyper/example.md")]
    mod hyper {}

    #[doc = include_str!("../../../src/guide/libraries.md")]
    mod libraries {}
}
