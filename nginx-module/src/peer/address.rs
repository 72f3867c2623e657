//! Where a dyno is, as Nginx wants to be told.

use std::{mem, net::SocketAddr};

use ngx::ffi::{ngx_palloc, ngx_peer_connection_t, ngx_pool_t, ngx_str_t, sockaddr, socklen_t};
use router::answer::{Dyno, Target};

/// Points the peer to the dyno. Address and name are made anew for each attempt: the
/// states of earlier ones, in the access log, keep theirs.
///
/// Nginx tells the connections that it keeps apart by the bytes of their
/// addresses, and an address may be another process by now, even another app's.
/// So a mark of the instance follows the address, where the kernel does not look.
pub(super) unsafe fn address(
    peer: &mut ngx_peer_connection_t,
    pool: *mut ngx_pool_t,
    dyno: &Dyno,
) -> Option<()> {
    let mark = dyno.mark.to_ne_bytes();
    // SAFETY: the pool is the request's; what is copied fits what was allocated.
    unsafe {
        let (address, length) = match dyno.target.as_ref()? {
            Target::Unix(path) => keep(pool, unix_address(path, mark)?)?,
            Target::Ip(SocketAddr::V4(v4)) => {
                let mut inet: libc::sockaddr_in = mem::zeroed();
                inet.sin_family = libc::AF_INET as libc::sa_family_t;
                inet.sin_port = v4.port().to_be();
                inet.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                keep(pool, Marked(inet, mark))?
            }
            Target::Ip(SocketAddr::V6(v6)) => {
                let mut inet: libc::sockaddr_in6 = mem::zeroed();
                inet.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                inet.sin6_port = v6.port().to_be();
                inet.sin6_addr.s6_addr = v6.ip().octets();
                inet.sin6_scope_id = v6.scope_id();
                keep(pool, Marked(inet, mark))?
            }
        };
        peer.sockaddr = address;
        peer.socklen = length;
        peer.name = name(pool, &dyno.address)?;
        Some(())
    }
}

/// What tells one instance from another.
type Mark = [u8; 8];

/// An address and, behind it, a mark. Linux takes a longer address than it reads.
#[repr(C, packed)]
struct Marked<A>(A, Mark);

/// Here the mark is behind the zero that ends the path. `None`: it is too long,
/// which the sidecar refuses to begin with.
fn unix_address(path: &str, mark: Mark) -> Option<libc::sockaddr_un> {
    // SAFETY: all zeros is a valid one.
    let mut unix: libc::sockaddr_un = unsafe { mem::zeroed() };
    unix.sun_family = libc::AF_UNIX as libc::sa_family_t;
    if path.len() + 1 + mark.len() > unix.sun_path.len() {
        return None;
    }
    let bytes = path.bytes().chain([0]).chain(mark);
    for (to, from) in unix.sun_path.iter_mut().zip(bytes) {
        *to = from as libc::c_char;
    }
    Some(unix)
}

/// Copies an address to the pool.
unsafe fn keep<T>(pool: *mut ngx_pool_t, value: T) -> Option<(*mut sockaddr, socklen_t)> {
    // SAFETY: Nginx's allocations are aligned for any socket address.
    unsafe {
        let place = ngx_palloc(pool, mem::size_of::<T>()).cast::<T>();
        if place.is_null() {
            return None;
        }
        place.write(value);
        Some((place.cast(), mem::size_of::<T>() as socklen_t))
    }
}

/// A string of Nginx's in the pool.
unsafe fn name(pool: *mut ngx_pool_t, text: &str) -> Option<*mut ngx_str_t> {
    // SAFETY: the pool is the caller's.
    unsafe {
        let name = ngx_palloc(pool, mem::size_of::<ngx_str_t>()).cast::<ngx_str_t>();
        if name.is_null() {
            return None;
        }
        *name = ngx_str_t::from_bytes(pool, text.as_bytes())?;
        Some(name)
    }
}
