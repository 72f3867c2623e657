//! A thread of its own for a service: a runtime, and what is served on it.

use std::{future::Future, net::TcpListener as StdListener, sync::Arc};

use anyhow::Context as _;
use tokio::{
    net::{TcpListener, UnixListener},
    runtime::{Builder, Runtime},
    time::timeout,
};
use tonic::transport::{Error, ServerTlsConfig};

use super::{END_WITHIN, sockets::Listeners};
use crate::{
    driver::Driver,
    grpc::{
        ControlService, OwnerService, PeerService, RouterService, serve_control, serve_peers,
        serve_router,
    },
    listen::{self, Pings},
    web::{self, Site},
};

/// One service's runtime.
pub(super) struct Plane {
    runtime: Runtime,
    context: Context,
}

/// What serving needs.
pub(super) struct Context {
    driver: Arc<Driver>,
    pings: Pings,
}

impl Plane {
    pub(super) fn new(driver: &Arc<Driver>, pings: Pings) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("cannot start a runtime")?;
        Ok(Self {
            runtime,
            context: Context {
                driver: driver.clone(),
                pings,
            },
        })
    }

    /// Does something that needs a runtime around it.
    pub(super) fn within<T>(&self, action: impl FnOnce() -> T) -> T {
        let _entered = self.runtime.enter();
        action()
    }

    /// A task beside the service.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Serves until the driver is stopped. If serving fails, everything stops.
    pub(super) fn run(
        &self,
        serve: impl AsyncFnOnce(&Context) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let _stop = StopAtEnd(&self.context.driver);
        self.runtime.block_on(serve(&self.context))
    }
}

/// Stops everything, also when a panic ends this thread.
struct StopAtEnd<'a>(&'a Driver);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Context {
    pub(super) async fn serve_routers(
        &self,
        service: RouterService,
        listeners: Listeners,
    ) -> anyhow::Result<()> {
        let unix = listen::unix(UnixListener::from_std(listeners.unix)?);
        let unix = serve_router(service.clone(), unix, None, self.pings, self.stopped());
        let tcp = async {
            let Some((tcp, tls)) = listeners.tcp else {
                return Ok(());
            };
            let tcp = listen::tcp(TcpListener::from_std(tcp)?);
            Ok(serve_router(service, tcp, Some(tls), self.pings, self.stopped()).await?)
        };
        self.until_ended(unix, tcp).await
    }

    pub(super) async fn serve_operators(
        &self,
        service: ControlService,
        listeners: Listeners,
        others: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let unix = listen::unix(UnixListener::from_std(listeners.unix)?);
        let unix = serve_control(service.clone(), unix, None, self.pings, self.stopped());
        let operators = async {
            let Some((tcp, tls)) = listeners.tcp else {
                return Ok(());
            };
            let tcp = listen::tcp(TcpListener::from_std(tcp)?);
            anyhow::Ok(serve_control(service, tcp, Some(tls), self.pings, self.stopped()).await?)
        };
        let tcp = async { tokio::try_join!(operators, others).map(|_| ()) };
        self.until_ended(unix, tcp).await
    }

    pub(super) async fn serve_peers(
        &self,
        service: PeerService,
        owner: OwnerService<Driver>,
        (tcp, tls): (StdListener, ServerTlsConfig),
    ) -> anyhow::Result<()> {
        let tcp = listen::tcp(TcpListener::from_std(tcp)?);
        let stop = {
            let (owner, stopped) = (owner.clone(), self.stopped());
            async move {
                stopped.await;
                owner.stop();
            }
        };
        let served = serve_peers(service, owner, tcp, tls, self.pings, stop);
        tokio::select! {
            served = served => served.context("cannot serve peers"),
            () = self.late() => Ok(()),
        }
    }

    /// Beside the operators, too.
    pub(super) async fn serve_web(
        &self,
        site: Site,
        listener: Option<StdListener>,
    ) -> anyhow::Result<()> {
        let Some(tcp) = listener else {
            return Ok(());
        };
        let tcp = listen::tcp(TcpListener::from_std(tcp)?);
        tokio::select! {
            () = web::serve(site, tcp) => {}
            () = self.stopped() => {}
        }
        Ok(())
    }

    fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let driver = self.driver.clone();
        async move { driver.stopped().await }
    }

    /// Both end by themselves soon after the stop; whatever does not is dropped.
    async fn until_ended(
        &self,
        unix: impl Future<Output = Result<(), Error>>,
        tcp: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let unix = async { unix.await.context("cannot serve the socket") };
        let both = async { tokio::try_join!(unix, tcp).map(|_| ()) };
        tokio::select! {
            ended = both => ended,
            () = self.late() => Ok(()),
        }
    }

    /// Returns some time after the stop.
    async fn late(&self) {
        self.driver.stopped().await;
        timeout(END_WITHIN, std::future::pending::<()>()).await.ok();
    }
}
