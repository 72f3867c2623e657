//! A load that somebody measured, and what one queue would make of it.

use std::{cmp::Reverse, collections::BinaryHeap};

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Requests a minute.
const RATE: f64 = 9_000.0;

/// When it comes, and how long it takes, in seconds.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) at: f64,
    pub(super) service: f64,
}

/// The load that somebody measured in February 2013 and that one queue serves well:
/// Poisson, service times of a Weibull distribution with shape 0.46 and median 50 ms,
/// from 10 ms to 30 s.
pub(super) fn arrivals(seconds: f64, seed: u64) -> Vec<Arrival> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut uniform = move || 1.0 - rng.random::<f64>();
    let scale = 0.050 / 2_f64.ln().powf(1.0 / 0.46);
    let mut all = Vec::new();
    let mut at = 0.0;
    loop {
        at -= uniform().ln() * 60.0 / RATE;
        if at > seconds {
            return all;
        }
        let service = scale * (-uniform().ln()).powf(1.0 / 0.46);
        // A dyno sleeps for whole milliseconds.
        let service = (service.clamp(0.010, 30.0) * 1e3).round() / 1e3;
        all.push(Arrival { at, service });
    }
}

/// How long each waits in one queue for so many dynos, computed.
pub(super) fn ideal(arrivals: &[Arrival], dynos: usize) -> Vec<f64> {
    let mut free: BinaryHeap<Reverse<u64>> = (0..dynos).map(|_| Reverse(0)).collect();
    let micros = |seconds: f64| (seconds * 1e6) as u64;
    let wait = |it: &Arrival| {
        let Reverse(first) = free.pop().unwrap();
        let begins = first.max(micros(it.at));
        free.push(Reverse(begins + micros(it.service)));
        (begins - micros(it.at)) as f64 / 1e3
    };
    arrivals.iter().map(wait).collect()
}

/// Of a load, waits in milliseconds.
pub(super) struct Figures {
    pub(super) queued: f64,
    pub(super) mean: f64,
    pub(super) p99: f64,
}

impl Figures {
    pub(super) fn of(mut waits: Vec<f64>, queued: usize) -> Self {
        waits.sort_by(f64::total_cmp);
        Self {
            queued: queued as f64 / waits.len() as f64 * 100.0,
            mean: waits.iter().sum::<f64>() / waits.len() as f64,
            p99: waits[waits.len() * 99 / 100],
        }
    }
}
