//! Dynos that answer as fast as anything can: one Nginx, many addresses.

use std::{net::SocketAddr, path::Path};

use super::{Failure, conf, nginx::Nginx};

/// Dynos of one app.
pub(super) const DYNOS: usize = 8;

/// It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Backend(Nginx);

impl Backend {
    /// Starts dynos for so many apps (an address is of one app only).
    pub(super) async fn start(dir: &Path, apps: usize) -> Result<Self, Failure> {
        let conf = |addresses: &[SocketAddr]| conf::backend(dir, addresses);
        Ok(Self(Nginx::start(dir, apps * DYNOS, conf).await?))
    }

    /// The dynos of one app.
    pub(super) fn dynos(&self, app: usize) -> &[SocketAddr] {
        &self.0.addresses[app * DYNOS..][..DYNOS]
    }
}
