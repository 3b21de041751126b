//! Unix streams: paths that are each host's own, and connections within one host.
//!
//! A connection is a socket pair of the kernel, between two ends of one program: nothing is between
//! them that the simulation would have to move.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, send, socket_with, socketpair};
use selkie::world::Whose;

use crate::rng::hash_bytes;
use crate::socket::{Bell, Handed, Inode, SEND};
use crate::state::{Index, Known, State};
use crate::trace::Act;

/// A path that was bound: its place in the list.
pub(crate) type PathId = usize;

struct Listening {
    host: Index,
    path: PathId,
    /// The servers' ends, and the clients'.
    queue: VecDeque<(OwnedFd, Handed)>,
    bell: Bell,
    handed: Handed,
    watchers: u32,
}

#[derive(Default)]
pub(crate) struct UnixSockets {
    listening: BTreeMap<u64, Listening>,
    paths: Vec<PathBuf>,
    /// What stands in the folders of each host.
    ids: HashMap<(Index, PathBuf), PathId>,
    last: u64,
}

impl Listening {
    /// Resets those who wait, as the kernel does: it tells the peer of a socket that is closed with
    /// something unread in it.
    fn close(self) {
        for (end, client) in self.queue {
            client.with(|client| send(client, &[0], SEND));
            drop(end);
        }
    }
}

/// Connections that may wait to be accepted, as for the standard library's listener on Linux.
const BACKLOG: usize = 4096;

fn hash_of(path: &Path) -> u64 {
    hash_bytes(path.as_os_str().as_encoded_bytes())
}

impl UnixSockets {
    fn at(&mut self, host: Index, path: &Path) -> Option<&mut Listening> {
        let id = *self.ids.get(&(host, path.to_owned()))?;
        self.listening.values_mut().find(|listening| listening.path == id)
    }

    pub(crate) fn bell(&self, id: u64) -> Option<io::Result<OwnedFd>> {
        Some(self.listening.get(&id)?.bell.descriptor())
    }

    pub(crate) fn watchers(&mut self, id: u64) -> Option<&mut u32> {
        Some(&mut self.listening.get_mut(&id)?.watchers)
    }

    /// Takes a path out of a host's folders. False if there is none.
    pub(crate) fn unlink(&mut self, host: Index, path: &Path) -> bool {
        self.ids.remove(&(host, path.to_owned())).is_some()
    }

    /// The program is gone; its paths stay.
    pub(crate) fn forget(&mut self, host: Index) {
        self.listening.retain(|_, listening| listening.host != host);
    }
}

impl State {
    pub(crate) fn listen_unix(&mut self, host: Index, path: &Path) -> io::Result<UnixListener> {
        self.has_network(host)?;
        // A path that is too long, or of no use.
        SocketAddr::from_pathname(path)?;
        self.look_for_closed_sockets(host);
        if self.unix.at(host, path).is_some() {
            return Err(Errno::ADDRINUSE.into());
        }
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let made = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let socket = self.needed(made.map_err(io::Error::from))?;
        let handed = Handed { fd: socket.as_raw_fd(), inode: Inode::of(&socket)? };
        let counted = self.census.add(&socket, handed.inode);
        self.needed(counted)?;
        let bell = self.needed(Bell::new())?;
        let (path_id, queue) = (self.unix.paths.len(), VecDeque::new());
        self.unix.paths.push(path.to_owned());
        self.unix.ids.insert((host, path.to_owned()), path_id);
        self.unix.last += 1;
        let id = self.unix.last;
        let listening = Listening { host, path: path_id, queue, bell, handed, watchers: 0 };
        self.unix.listening.insert(id, listening);
        self.know(host, handed.inode, Known::UnixListener { id, path: path_id });
        let hash = hash_of(path);
        self.record(host, Act::Listens, [hash], || path.display().to_string());
        Ok(socket.into())
    }

    /// True if the host has bound the path. What it has not may be a file of the system.
    pub(crate) fn has_path(&self, host: Index, path: &Path) -> bool {
        self.unix.ids.contains_key(&(host, path.to_owned()))
    }

    pub(crate) fn connect_unix(&mut self, host: Index, path: &Path) -> io::Result<UnixStream> {
        self.has_network(host)?;
        self.look_for_closed_sockets(host);
        let listening = self.unix.at(host, path).ok_or(Errno::CONNREFUSED)?;
        if listening.queue.len() > BACKLOG {
            return Err(Errno::AGAIN.into());
        }
        let path_id = listening.path;
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let made = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let (ours, theirs) = self.needed(made.map_err(io::Error::from))?;
        let handed =
            |end: &OwnedFd| io::Result::Ok(Handed { fd: end.as_raw_fd(), inode: Inode::of(end)? });
        let (client, server) = (handed(&ours)?, handed(&theirs)?);
        for (handed, own, peer) in [(client, None, Some(path_id)), (server, Some(path_id), None)] {
            self.know(host, handed.inode, Known::UnixStream { own, peer, handed });
        }
        if let Some(listening) = self.unix.at(host, path) {
            listening.queue.push_back((theirs, client));
            listening.bell.ring();
        }
        let hash = hash_of(path);
        self.record(host, Act::Connects, [hash], || format!("to {}", path.display()));
        Ok(ours.into())
    }

    pub(crate) fn accept_unix(
        &mut self,
        host: Index,
        id: u64,
    ) -> io::Result<(UnixStream, SocketAddr)> {
        let listening = self.unix.listening.get_mut(&id).ok_or(Errno::INVAL)?;
        if listening.queue.is_empty() {
            return Err(Errno::AGAIN.into());
        }
        if let Some(error) = self.hosts[host].accept_errors.pop_front() {
            return Err(error.into());
        }
        let listening = self.unix.listening.get_mut(&id).ok_or(Errno::INVAL)?;
        let (stream, _) = listening.queue.pop_front().ok_or(Errno::AGAIN)?;
        if listening.queue.is_empty() {
            listening.bell.silence();
        }
        let path = listening.path;
        let path = &self.unix.paths[path];
        let hash = hash_of(path);
        let text = path.display().to_string();
        self.record(host, Act::Accepts, [hash], || format!("at {text}"));
        Ok((stream.into(), SocketAddr::from_pathname("")?))
    }

    pub(crate) fn unix_addr(&self, known: Known, whose: Whose) -> Option<io::Result<SocketAddr>> {
        let path = match (known, whose) {
            (Known::UnixListener { path, .. }, Whose::Own) => Some(path),
            (Known::UnixListener { .. }, Whose::Peers) => return Some(Err(Errno::NOTCONN.into())),
            (Known::UnixStream { own, .. }, Whose::Own) => own,
            (Known::UnixStream { peer, .. }, Whose::Peers) => peer,
            _ => return None,
        };
        // Without a path, a socket has no name.
        let path = path.map_or(Path::new(""), |id| &self.unix.paths[id]);
        Some(SocketAddr::from_pathname(path))
    }

    /// Forgets the listeners that a host has closed. Their paths stay.
    pub(crate) fn look_for_closed_listeners(&mut self, host: Index) {
        let is_closed = |listening: &Listening| {
            let is_unwatched = listening.host == host && listening.watchers == 0;
            is_unwatched && !self.census.is_open(listening.handed)
        };
        let all = self.unix.listening.iter();
        let closed = all.filter(|(_, listening)| is_closed(listening)).map(|(id, _)| *id);
        for id in closed.collect::<Vec<_>>() {
            if let Some(listening) = self.unix.listening.remove(&id) {
                self.known.remove(&listening.handed.inode);
                listening.close();
            }
        }
    }
}
