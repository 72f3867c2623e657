//! The protocol of the mesh, `mesh.v1`, generated from the `.proto` files beside
//! this crate. Those files are its documentation.
//!
//! Features: `control` (client of Control), `peer` (clients of Peer, Owner, Authorizer and OTLP), `server` (all servers,
//! and OTLP), `json` (serde: proto3's JSON mapping). A router uses none of them.

pub mod place;
mod secret;

/// Version 1 of the protocol.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, unreachable_pub)]
pub mod v1 {
    tonic::include_proto!("mesh.v1");
    #[cfg(feature = "json")]
    include!(concat!(env!("OUT_DIR"), "/mesh.v1.serde.rs"));
}

/// The part of OpenTelemetry's protocol (OTLP) that traces need.
#[cfg(feature = "server")]
#[allow(missing_docs, clippy::all, clippy::unwrap_used, unreachable_pub)]
pub mod otlp {
    tonic::include_proto!("opentelemetry.proto.collector.trace.v1");
}

/// The version that a [`v1::Hello`] carries.
pub const PROTOCOL: u32 = 1;

/// Largest message that either side accepts, in bytes. A hello with 65,536
/// leases, the most that one worker can hold, stays below it.
pub const MAX_MESSAGE: usize = 8 << 20;

/// What a [`v1::Spread`] is counted by: the longest time, in milliseconds, of each of
/// its numbers but the last.
pub const BOUNDS_MS: [u32; 13] = [
    1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000,
];

/// Whether a tap that wants so many of a million requests (0: all) wants the one of this
/// ask. All who are asked say the same.
pub fn is_sampled(ask: u64, sample: u32) -> bool {
    // The end of splitmix64: asks are counted, and this tells them apart.
    let mut mixed = ask.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    sample == 0 || mixed % 1_000_000 < u64::from(sample)
}
