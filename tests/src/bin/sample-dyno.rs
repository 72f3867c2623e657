//! A sample app: one HTTP server process that counts what it is given and, on
//! demand, misbehaves. See `e2e::dyno`.

use std::sync::Arc;

use clap::Parser;
use e2e::dyno::{Dyno, admin, grpc, serve, socket::Listener};
use tokio::net::TcpListener;

/// A sample dyno. GET / says hello; the other paths are for tests.
#[derive(Debug, Parser)]
struct Args {
    /// Where to listen: 127.0.0.1:PORT (0: any free one) or unix:/path
    #[arg(long)]
    listen: Option<String>,
    /// The port on 127.0.0.1, as platforms hand it to an app
    #[arg(long, env = "PORT", default_value_t = 0)]
    port: u16,
    /// Statistics as JSON at GET /stats
    #[arg(long)]
    admin: Option<String>,
    #[arg(long, default_value = "web.1")]
    name: String,
    #[arg(long, default_value = "sample")]
    app: String,
    /// Requests at once before one counts as a double booking
    #[arg(long, default_value_t = 1)]
    limit: u32,
    /// Speak gRPC: every unary call is answered with its own message
    #[arg(long)]
    grpc: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let listen = args
        .listen
        .unwrap_or_else(|| format!("127.0.0.1:{}", args.port));
    let listener = Listener::bind(&listen).await?;
    let dyno = Arc::new(Dyno::new(args.name, args.app, args.limit));
    println!("listening {}", listener.address()?);
    if let Some(address) = args.admin {
        let admin = TcpListener::bind(address).await?;
        println!("admin {}", admin.local_addr()?);
        tokio::spawn(admin::serve(dyno.clone(), admin));
    }
    match args.grpc {
        true => grpc::http2(dyno, listener).await,
        false => serve::http1(dyno, listener).await,
    }
}
