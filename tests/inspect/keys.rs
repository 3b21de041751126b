//! What a selector watches.

use std::io::Write;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use selkie::inspect::FileKind;
use selkie::selector::BackendKind;
use selkie::{DefaultSelector, Events, Interest, Mode};

#[test]
fn a_selector_tells_what_it_watches_for_what_and_how_on_every_back_end() {
    for kind in BackendKind::ALL {
        let mut selector = DefaultSelector::<OwnedFd, &str>::with_backend(kind.open().unwrap());
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        let numbers = [listener.as_raw_fd(), near.as_raw_fd()];
        let key = selector.register(listener.into(), Interest::READ, "listener").unwrap();
        let both = Interest::READ | Interest::WRITE;
        let once = selector.register_with_mode(near.into(), both, Mode::Oneshot, "near").unwrap();

        let keys = selector.keys();
        assert_eq!((keys.backend, keys.data_type), (kind.name(), "&str"));
        assert!(keys.keys.is_sorted_by_key(|key| key.fd), "{keys}");
        // Other tests close descriptors meanwhile, so the second one may have a lower number.
        let of = |key| keys.keys.iter().find(|known| known.key == key).expect("it is there");
        let (one, other) = (of(key), of(once));
        assert_eq!([one.fd, other.fd], numbers);
        assert_eq!(keys.keys.len(), 2);
        assert_eq!((one.interest, one.mode, one.is_armed), (Interest::READ, Mode::Level, true));
        assert_eq!((other.interest, other.mode, other.is_armed), (both, Mode::Oneshot, true));
        assert_eq!(one.file.kind, FileKind::TcpListener);
        let text = keys.to_string();
        assert!(text.starts_with(&format!("2 keys on {}: sources ", kind.name())), "{text}");
        assert!(!text.contains("STATE"), "{text}");
        let line = format!("{} READ level TCP listener {address}", numbers[0]);
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.lines().any(|is| words(is) == line), "{line}\n{text}");

        far.write_all(&[0]).unwrap();
        let mut events = Events::new();
        let found = selector.select(&mut events, Some(Duration::ZERO)).unwrap().count();
        assert_eq!(found, 1);
        let keys = selector.keys();
        let is_armed = |key| keys.keys.iter().any(|known| known.key == key && known.is_armed);
        assert_eq!([key, once].map(is_armed), [true, false]);
        assert!(keys.to_string().contains("oneshot  has fired  Unix stream"), "{keys}");
    }
}
