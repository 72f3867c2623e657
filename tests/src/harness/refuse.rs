//! Addresses where nobody answers.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

/// An address that refuses connections.
#[derive(Debug)]
pub struct ClosedPort {
    _socket: Socket,
    /// `127.0.0.1:PORT`
    pub address: String,
}

/// Takes a port but does not listen: connections are refused, and nobody else
/// can get the port and listen there meanwhile.
#[must_use]
pub fn closed_port() -> ClosedPort {
    let (socket, address) = bound().expect("a port is free");
    ClosedPort {
        _socket: socket,
        address: address.to_string(),
    }
}

/// An address where connecting takes for ever.
#[derive(Debug)]
pub struct BlackHole {
    _socket: Socket,
    _queued: Vec<TcpStream>,
    /// `127.0.0.1:PORT`
    pub address: String,
}

/// Listens with a queue that is full and that nobody empties: Linux then drops
/// every further attempt to connect.
#[must_use]
pub fn black_hole() -> BlackHole {
    let (socket, address) = bound().expect("a port is free");
    socket.listen(0).expect("a bound socket can listen");
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queued.push(stream);
        assert!(queued.len() < 16, "the queue of a listener never fills");
    }
    BlackHole {
        _socket: socket,
        _queued: queued,
        address: address.to_string(),
    }
}

fn bound() -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let address = socket.local_addr()?.as_socket();
    let address = address.ok_or_else(|| io::Error::other("not an IP socket"))?;
    Ok((socket, address))
}
