//! A unix socket on Nginx's event loop, as hyper wants it.

use std::{
    io, mem,
    os::unix::ffi::OsStrExt,
    path::Path,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use ngx::{
    ffi::{
        NGX_AGAIN, NGX_OK, ngx_close_connection, ngx_connection_t, ngx_event_connect_peer,
        ngx_event_get_peer, ngx_event_t, ngx_handle_read_event, ngx_handle_write_event, ngx_int_t,
        ngx_peer_connection_t, ngx_str_t, sockaddr,
    },
    log::ngx_cycle_log,
};

/// A connected stream socket.
pub(crate) struct Socket {
    connection: *mut ngx_connection_t,
    /// Apart from the socket, so that event handlers can reach them.
    wakers: Box<Wakers>,
}

#[derive(Default)]
struct Wakers {
    read: Option<Waker>,
    write: Option<Waker>,
}

impl Socket {
    /// Connects to a unix socket. That never takes time: it works or not.
    pub(crate) fn connect(path: &Path) -> io::Result<Self> {
        // SAFETY: zeroed is a valid sockaddr_un and a valid peer.
        let (mut address, mut peer): (libc::sockaddr_un, ngx_peer_connection_t) =
            unsafe { (mem::zeroed(), mem::zeroed()) };
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        let bytes = path.as_os_str().as_bytes();
        if bytes.len() >= address.sun_path.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "path is too long",
            ));
        }
        for (to, from) in address.sun_path.iter_mut().zip(bytes) {
            *to = *from as libc::c_char;
        }
        let mut name = ngx_str_t {
            len: bytes.len(),
            data: bytes.as_ptr().cast_mut(),
        };
        peer.sockaddr = (&raw mut address).cast::<sockaddr>();
        peer.socklen = mem::size_of::<libc::sockaddr_un>() as _;
        peer.name = &raw mut name;
        peer.get = Some(ngx_event_get_peer);
        // Trouble is logged by the link, once, not by each attempt.
        // SAFETY: a copy of a live log, that writes nothing.
        let mut quiet = unsafe { ngx_cycle_log().read() };
        quiet.log_level = 0;
        peer.log = &raw mut quiet;

        // SAFETY: everything that `peer` points to outlives the call, and Nginx
        // keeps nothing of it but the connection.
        let result = unsafe { ngx_event_connect_peer(&raw mut peer) };
        if result != NGX_OK as ngx_int_t && result != NGX_AGAIN as ngx_int_t {
            let error = io::Error::last_os_error();
            if !peer.connection.is_null() {
                // SAFETY: a failed attempt leaves at most an open connection.
                unsafe { ngx_close_connection(peer.connection) };
            }
            return Err(error);
        }
        let mut wakers = Box::<Wakers>::default();
        let connection = peer.connection;
        // SAFETY: Nginx returned an open connection with both its events; the
        // wakers stay where they are until `drop` closes it.
        unsafe {
            (*connection).data = (&raw mut *wakers).cast();
            (*connection).log = ngx_cycle_log().as_ptr();
            for event in [(*connection).read, (*connection).write] {
                (*event).log = (*connection).log;
            }
            (*(*connection).read).handler = Some(readable);
            (*(*connection).write).handler = Some(writable);
        }
        Ok(Self { connection, wakers })
    }

    /// For poll(2) when the event loop does not turn any more.
    pub(crate) fn fd(&self) -> i32 {
        // SAFETY: open until `drop`.
        unsafe { (*self.connection).fd }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: open until here, and nobody else closes it.
        unsafe { ngx_close_connection(self.connection) };
    }
}

unsafe extern "C" fn readable(event: *mut ngx_event_t) {
    // SAFETY: called by Nginx.
    wake(unsafe { &mut wakers(event).read });
}

unsafe extern "C" fn writable(event: *mut ngx_event_t) {
    // SAFETY: called by Nginx.
    wake(unsafe { &mut wakers(event).write });
}

unsafe fn wakers<'a>(event: *mut ngx_event_t) -> &'a mut Wakers {
    // SAFETY: `connect` set these up for as long as the connection is open.
    unsafe {
        let connection = (*event).data.cast::<ngx_connection_t>();
        &mut *(*connection).data.cast::<Wakers>()
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let connection = self.connection;
        // SAFETY: the connection is open; the buffer is only written to.
        unsafe {
            let event = (*connection).read;
            if (*event).ready() != 0 {
                let space = buf.as_mut();
                let Some(recv) = (*connection).recv else {
                    return Poll::Ready(Ok(()));
                };
                let n = recv(connection, space.as_mut_ptr().cast(), space.len());
                match n {
                    0 => return Poll::Ready(Ok(())),
                    n if n > 0 => {
                        buf.advance(n as usize);
                        return Poll::Ready(Ok(()));
                    }
                    n if n != NGX_AGAIN as isize => return Poll::Ready(Err(broken())),
                    _ => {}
                }
            }
            self.wakers.read = Some(cx.waker().clone());
            if ngx_handle_read_event(event, 0) != NGX_OK as ngx_int_t {
                return Poll::Ready(Err(broken()));
            }
        }
        Poll::Pending
    }
}

impl Write for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let connection = self.connection;
        // SAFETY: the connection is open; Nginx only reads from the buffer.
        unsafe {
            let event = (*connection).write;
            if (*event).ready() != 0 {
                let Some(send) = (*connection).send else {
                    return Poll::Ready(Err(broken()));
                };
                let n = send(connection, buf.as_ptr().cast_mut(), buf.len());
                if n >= 0 {
                    return Poll::Ready(Ok(n as usize));
                }
                if n != NGX_AGAIN as isize {
                    return Poll::Ready(Err(broken()));
                }
            }
            self.wakers.write = Some(cx.waker().clone());
            if ngx_handle_write_event(event, 0) != NGX_OK as ngx_int_t {
                return Poll::Ready(Err(broken()));
            }
        }
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // SAFETY: plain system call on an open descriptor.
        match unsafe { libc::shutdown(self.fd(), libc::SHUT_WR) } {
            0 => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(io::Error::last_os_error())),
        }
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "connection broken")
}
