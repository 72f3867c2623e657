//! AMQP to the byte: what no client library sends.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
};

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// Publishes a message whose routing key is no text; returns when the broker
/// has it.
pub fn publish_unreadable(port: u16, exchange: &str) -> io::Result<()> {
    let mut wire = Wire(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?);
    wire.0.write_all(b"AMQP\0\0\x09\x01")?;
    wire.read()?;
    let no_properties = [0; 4];
    let login = b"\0guest\0guest";
    let length = (login.len() as u32).to_be_bytes();
    let start = [
        &no_properties[..],
        b"\x05PLAIN",
        &length,
        login,
        b"\x05en_US",
    ]
    .concat();
    wire.method(0, [10, 11], &start)?;
    // What the broker proposes, but no heartbeats.
    let mut tune = wire.read()?.split_off(4);
    tune.truncate(6);
    tune.extend([0, 0]);
    wire.method(0, [10, 31], &tune)?;
    wire.method(0, [10, 40], b"\x01/\0\0")?;
    wire.read()?;
    wire.method(1, [20, 10], b"\0")?;
    wire.read()?;
    let name = [&[exchange.len() as u8], exchange.as_bytes()].concat();
    wire.method(1, [60, 40], &[b"\0\0", &name[..], b"\x01\xff\0"].concat())?;
    wire.send(HEADER, 1, b"\0\x3c\0\0\0\0\0\0\0\0\0\x01\0\0")?;
    wire.send(BODY, 1, b"x")?;
    // Answered after everything before it.
    wire.method(1, [20, 40], b"\0\xc8\0\0\0\0\0")?;
    wire.read()?;
    Ok(())
}

struct Wire(TcpStream);

impl Wire {
    fn send(&mut self, kind: u8, channel: u16, payload: &[u8]) -> io::Result<()> {
        let size = (payload.len() as u32).to_be_bytes();
        let head = [&[kind][..], &channel.to_be_bytes(), &size].concat();
        self.0.write_all(&[&head, payload, b"\xce"].concat())
    }

    fn method(&mut self, channel: u16, [class, method]: [u8; 2], args: &[u8]) -> io::Result<()> {
        let payload = [&[0, class, 0, method], args].concat();
        self.send(METHOD, channel, &payload)
    }

    /// The next frame's payload.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut head = [0; 7];
        self.0.read_exact(&mut head)?;
        let [_, _, _, size @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes(size) as usize + 1];
        self.0.read_exact(&mut payload)?;
        payload.pop();
        Ok(payload)
    }
}
