//! A descriptor that is watched for reading, and for nothing else.
//!
//! The runtime's own sockets are watched for writing too. A unix socket becomes
//! writable whenever the other side has read, and would take its place among the
//! sockets that are ready then, not when a request comes.

use std::{io, os::fd::OwnedFd};

use futures_util::future::FutureExt as _;
use tokio::io::{Interest, unix::AsyncFd};

#[derive(Debug)]
pub(crate) struct Readable(AsyncFd<OwnedFd>);

impl Readable {
    /// The descriptor does not block.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: the descriptor is owned by what is made here, which neither
        // closes nor replaces it before it goes.
        Ok(Self(unsafe {
            AsyncFd::register_with_interest(fd, Interest::READABLE)?
        }))
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        self.0.get_ref()
    }

    /// What is there now. `None`: nothing, and when there is something it is an
    /// event of its own, even if it comes before [`Readable::read`] is called: what is
    /// known of earlier events is forgotten before the look.
    pub(crate) fn look(&self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        if let Some(ready) = self.0.readable().now_or_never() {
            ready?.clear_ready();
        }
        self.try_read(bytes)
    }

    fn try_read(&self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::io::read(self.fd(), bytes) {
            Ok(read) => Ok(Some(read)),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until there is something.
    pub(crate) async fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            match self.try_read(bytes)? {
                Some(read) => return Ok(read),
                None => ready.clear_ready(),
            }
        }
    }

    /// Writes what is so short that it always fits.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match rustix::io::write(self.fd(), bytes)? == bytes.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}
