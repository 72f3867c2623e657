//! Connections to a unix socket.

use std::{
    os::{fd::AsFd as _, unix::net},
    path::Path,
    sync::{Arc, Mutex},
};

use dynomesh_proto::{MAX_MESSAGE, v1::control_client::ControlClient};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Error, Uri};

/// A connection, and the socket under it: to break it off.
pub(crate) async fn channel(path: &Path) -> Result<(Channel, net::UnixStream), Error> {
    let path = path.to_owned();
    let below = Arc::new(Mutex::new(None));
    let kept = below.clone();
    let connector = tower::service_fn(move |_: Uri| {
        let (path, kept) = (path.clone(), kept.clone());
        async move {
            let stream = UnixStream::connect(path).await?;
            let same = stream.as_fd().try_clone_to_owned()?;
            *kept.lock().expect("no panic") = Some(net::UnixStream::from(same));
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(connector).await?;
    let below = below.lock().expect("no panic").take();
    Ok((channel, below.expect("it connected")))
}

pub(crate) async fn control(path: &Path) -> Result<ControlClient<Channel>, Error> {
    let (channel, _) = channel(path).await?;
    Ok(ControlClient::new(channel).max_decoding_message_size(MAX_MESSAGE))
}
