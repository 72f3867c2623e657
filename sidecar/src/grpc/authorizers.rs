//! The client of authorizers: one connection to each, made when it is needed.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use dynomesh_proto::v1::{CheckResponse, authorizer_client::AuthorizerClient};
use tokio::{runtime::Handle, sync::Semaphore, time::timeout};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use super::fetch::words;
use crate::{
    convert,
    verify::{Authorizers, Check, Ruling},
};

/// Requests that one is asked about at once.
const AT_ONCE: usize = 256;
/// Largest answer, in bytes.
const MOST: usize = 262_144;

/// See the module's documentation.
#[derive(Debug)]
pub struct AuthorizerClients {
    runtime: Handle,
    within: Duration,
    all: HashMap<Box<str>, Arc<One>>,
}

#[derive(Debug)]
struct One {
    name: Box<str>,
    client: AuthorizerClient<Channel>,
    turns: Arc<Semaphore>,
    away: AtomicBool,
}

impl AuthorizerClients {
    /// Asks on this runtime, and waits so long for each answer.
    ///
    /// # Errors
    /// Which of them can't be asked.
    pub fn new(
        runtime: Handle,
        within: Duration,
        places: impl IntoIterator<Item = (Box<str>, String, Option<ClientTlsConfig>)>,
    ) -> Result<Self, String> {
        let entered = runtime.enter();
        let mut all = HashMap::new();
        for (name, url, tls) in places {
            let endpoint = Endpoint::from_shared(url).and_then(|to| match tls {
                Some(tls) => to.tls_config(tls),
                None => Ok(to),
            });
            let endpoint = endpoint.map_err(|error| format!("{name}: {}", words(&error)))?;
            let channel = endpoint.connect_timeout(within).connect_lazy();
            let one = One {
                name: name.clone(),
                client: AuthorizerClient::new(channel).max_decoding_message_size(MOST),
                turns: Arc::new(Semaphore::new(AT_ONCE)),
                away: AtomicBool::new(false),
            };
            all.insert(name, Arc::new(one));
        }
        drop(entered);
        Ok(Self {
            runtime,
            within,
            all,
        })
    }
}

impl Authorizers for AuthorizerClients {
    fn ask(&self, name: &str, check: Check, reply: Box<dyn FnOnce(Ruling) + Send>) {
        let Some(one) = self.all.get(name).cloned() else {
            let app = &*check.app;
            tracing::warn!(app, name, "no authorizer has this name here");
            return reply(Ruling::Away);
        };
        let Ok(turn) = one.turns.clone().try_acquire_owned() else {
            return reply(Ruling::Busy);
        };
        let within = self.within;
        self.runtime.spawn(async move {
            let asked = one.client.clone();
            let ruling = one.ask(asked, check, within).await;
            drop(turn);
            reply(ruling);
        });
    }
}

impl One {
    async fn ask(
        &self,
        mut client: AuthorizerClient<Channel>,
        check: Check,
        within: Duration,
    ) -> Ruling {
        let request = convert::check_request(check);
        let answer = timeout(within, client.check(request)).await;
        let answer: Result<CheckResponse, String> = match answer {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            // What it says may have in it what it was shown.
            Ok(Err(status)) => Err(format!("{:?}", status.code())),
            Err(_) => Err(format!("no answer within {within:?}")),
        };
        let ruling = answer.and_then(|answer| {
            convert::ruling(answer).ok_or_else(|| "an answer of no known kind".to_owned())
        });
        match ruling {
            Ok(ruling) => {
                if self.away.swap(false, Relaxed) {
                    tracing::info!(name = &*self.name, "the authorizer answers again");
                }
                ruling
            }
            Err(why) => {
                if !self.away.swap(true, Relaxed) {
                    tracing::warn!(name = &*self.name, "the authorizer does not answer: {why}");
                }
                Ruling::Away
            }
        }
    }
}
