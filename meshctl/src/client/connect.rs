//! From an address to a channel.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};

use crate::{
    args::{Address, Connection},
    failure::{Failure, root_cause, unreachable_socket},
};

/// A silent network is noticed in this time and `ALIVE_WITHIN`.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const ALIVE_WITHIN: Duration = Duration::from_secs(10);

pub(super) async fn channel(connection: &Connection) -> Result<Channel, Failure> {
    match &connection.socket {
        Address::Unix(path) => unix(path.clone()).await,
        Address::Https(uri) => https(uri, connection).await,
    }
}

async fn unix(path: PathBuf) -> Result<Channel, Failure> {
    let socket = path.clone();
    let connector = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    // The name is only for HTTP's form: nothing is looked up.
    Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .map_err(|error| Failure::Unreachable(unreachable_socket(&path, &error)))
}

async fn https(uri: &Uri, connection: &Connection) -> Result<Channel, Failure> {
    let tls = tls(connection)?;
    let endpoint = Endpoint::from(uri.clone())
        .tls_config(tls)
        .map_err(|error| {
            Failure::Usage(format!(
                "the certificates cannot be used: {}; they must be PEM files that fit together",
                root_cause(&error)
            ))
        })?
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(ALIVE_WITHIN);
    endpoint.connect().await.map_err(|error| {
        Failure::Unreachable(format!("cannot connect to {uri}: {}", root_cause(&error)))
    })
}

fn tls(connection: &Connection) -> Result<ClientTlsConfig, Failure> {
    let ca = pem("--ca", "DYNOMESH_TLS_CA", connection.ca.as_deref())?;
    let cert = pem("--cert", "DYNOMESH_TLS_CERT", connection.cert.as_deref())?;
    let key = pem("--key", "DYNOMESH_TLS_KEY", connection.key.as_deref())?;
    Ok(ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(ca))
        .identity(Identity::from_pem(cert, key)))
}

/// Both sides show a certificate, so none of the files can be left out.
fn pem(flag: &str, variable: &str, path: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let path = path.ok_or_else(|| {
        Failure::Usage(format!(
            "https needs --ca, --cert and --key: give {flag} or set {variable}"
        ))
    })?;
    fs::read(path)
        .map_err(|error| Failure::Usage(format!("cannot read {flag} {}: {error}", path.display())))
}
