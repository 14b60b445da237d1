//! Listening sockets of one worker.
//!
//! Owns the duplicated descriptors and how a connection is taken from them. Binding is the parent's.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with, sockopt};

use crate::connection::Peer;

/// Most connections taken from a listener in one turn; the rest stays in the kernel's queue, where
/// another worker may take it.
pub(crate) const ACCEPTS_PER_TURN: usize = 32;

pub(crate) struct Listener {
    pub(crate) socket: OwnedFd,
}

/// What became of an attempt to accept.
pub(crate) enum Accepted {
    Connection(OwnedFd, Peer),
    /// Nobody waits.
    Nobody,
    /// The descriptors or the memory are used up, as this error number says.
    Exhausted(i32),
}

impl Listener {
    pub(crate) fn accept(&self) -> Accepted {
        loop {
            match acceptfrom_with(&self.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok((socket, address)) => {
                    let peer = Peer::from(address);
                    if matches!(peer, Peer::Internet(_)) {
                        // An answer in two writes must not wait for the first one's acknowledgement.
                        let _unsupported = sockopt::set_tcp_nodelay(&socket, true);
                    }
                    return Accepted::Connection(socket, peer);
                }
                // The peer left while it waited, or a signal came: the next one, please.
                Err(Errno::CONNABORTED | Errno::INTR | Errno::PROTO | Errno::PERM) => {}
                Err(Errno::AGAIN) => return Accepted::Nobody,
                Err(error) => return Accepted::Exhausted(error.raw_os_error()),
            }
        }
    }

    /// Whether somebody waits to be accepted.
    pub(crate) fn is_waited_at(&self) -> bool {
        let mut descriptors = [PollFd::new(&self.socket, PollFlags::IN)];
        poll(&mut descriptors, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}
