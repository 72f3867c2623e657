//! One load on one queue, and the dynos' books of it.

use std::{net::SocketAddr, time::Duration};

use super::{
    Failure,
    dynos::{Done, Dynos},
    order::Start,
    shot::{Shot, WARM_UP, shoot},
};

/// What came of it.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) shot: Shot,
    pub(super) double_bookings: u64,
    /// The part of the time that the dynos were at work, in percent.
    pub(super) busy: f64,
    /// What they worked for a request, ms: more than they were told to, where the kernel
    /// wakes them late.
    pub(super) work: f64,
    /// The number of the first of `starts`.
    pub(super) first: usize,
    pub(super) starts: Vec<Start>,
}

impl Trial {
    pub(super) async fn run(
        address: SocketAddr,
        host: &str,
        clients: usize,
        duration: Duration,
        dynos: &Dynos,
    ) -> Result<Self, Failure> {
        let before = dynos.done();
        let shot = shoot(address, host, clients, duration).await?;
        let after = dynos.done();
        let seconds = |done: &Done| done.worked.as_secs_f64();
        let worked = seconds(&after) - seconds(&before);
        Ok(Self {
            double_bookings: after.double_bookings - before.double_bookings,
            busy: worked / dynos.paths.len() as f64 / (shot.seconds + WARM_UP.as_secs_f64())
                * 100.0,
            work: worked * 1e3 / (after.starts - before.starts).max(1) as f64,
            first: before.starts,
            starts: dynos.starts_since(&before),
            shot,
        })
    }
}
