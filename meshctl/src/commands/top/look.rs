//! One look at the sidecar.

use std::time::Instant;

use super::{sample::Rates, view::View};
use crate::{client::Client, failure::Failure};

/// Busy apps that one look takes in. More than that nobody reads, and a look
/// must not become a load.
const MAX_APPS: usize = 10_000;

pub(super) struct Looker {
    client: Client,
    rates: Rates,
}

impl Looker {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            rates: Rates::default(),
        }
    }

    pub(super) async fn look(&mut self) -> Result<View, Failure> {
        let status = self.client.status().await?;
        let mut apps = Vec::new();
        let mut pages = self.client.pages("", true);
        let mut complete = true;
        while let Some(page) = pages.next().await? {
            apps.extend(page);
            if apps.len() >= MAX_APPS {
                complete = false;
                break;
            }
        }
        let (total, rows) = self.rates.rows(Instant::now(), &status, &apps);
        Ok(View {
            status,
            total,
            apps: rows,
            complete,
        })
    }
}
