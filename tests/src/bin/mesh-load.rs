//! Puts load on a server and prints what came of it as JSON. See `e2e::load`.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use e2e::load::{self, Options};

/// A closed loop of keep-alive GET requests; prints a report as JSON.
#[derive(Debug, Parser)]
struct Args {
    /// Address of the server
    address: SocketAddr,
    /// Value of the Host header
    #[arg(long, default_value = "localhost")]
    host: String,
    /// What to ask for; given more than once: in turn
    #[arg(long = "target", default_value = "/")]
    targets: Vec<String>,
    /// One more header, "Name: value"
    #[arg(long = "header")]
    headers: Vec<String>,
    /// Connections at once
    #[arg(long, short, default_value_t = 64)]
    connections: usize,
    /// Seconds of load before anything counts
    #[arg(long, default_value_t = 0.0)]
    warm_up: f64,
    /// Seconds to go on
    #[arg(long, short, default_value_t = 10.0)]
    duration: f64,
    /// Requests to send in all, instead of a duration
    #[arg(long, short = 'n')]
    requests: Option<u64>,
    /// Hang up after a random time of at most this many milliseconds
    #[arg(long)]
    abort_within: Option<u64>,
    /// Seed of the random times
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds that a request may take
    #[arg(long, default_value_t = 30.0)]
    timeout: f64,
}

/// One thread: a load client that takes both cores measures itself.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let duration = Duration::try_from_secs_f64(args.duration)?;
    let report = load::run(Options {
        targets: args.targets,
        headers: args.headers,
        connections: args.connections,
        requests: args.requests,
        warm_up: Duration::try_from_secs_f64(args.warm_up)?,
        duration: args.requests.is_none().then_some(duration),
        abort_within: args.abort_within.map(Duration::from_millis),
        seed: args.seed,
        timeout: Duration::try_from_secs_f64(args.timeout)?,
        ..Options::new(args.address, &args.host)
    })
    .await;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
