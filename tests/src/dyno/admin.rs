//! What a test asks the dyno itself, past the mesh.

use std::{io, sync::Arc};

use tokio::net::{TcpListener, TcpStream};

use super::Dyno;
use crate::wire::{Head, Wire};

/// `GET /stats`, `POST /reset`, `POST /release`, `POST /leave`; each answers with the figures.
pub async fn serve(dyno: Arc<Dyno>, listener: TcpListener) -> io::Result<()> {
    loop {
        let (io, _) = listener.accept().await?;
        tokio::spawn(connection(dyno.clone(), io));
    }
}

async fn connection(dyno: Arc<Dyno>, io: TcpStream) -> io::Result<()> {
    let mut wire = Wire::new(io);
    let Some(bytes) = wire.head().await? else {
        return Ok(());
    };
    let head = Head::parse(&bytes)?;
    let mut status = "200 OK";
    match (head.method(), head.target()) {
        ("GET", "/stats") => {}
        ("POST", "/reset") => dyno.stats.reset(),
        ("POST", "/release") => dyno.release(),
        ("POST", "/leave") => dyno.leave(),
        _ => status = "404 Not Found",
    }
    let body = serde_json::to_string(&dyno.stats.figures())?;
    let answer = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    wire.send(answer.as_bytes()).await
}
