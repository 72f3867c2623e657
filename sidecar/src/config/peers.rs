//! Other sidecars, whose table this one may begin with.

use tonic::transport::ClientTlsConfig;
use url::Url;

use super::{ConfigError, Options, resolve::Said, tls::TlsFiles};

/// They are asked one after the other at the start.
const MOST: usize = 16;

/// Where they are, and as whom to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers {
    /// `https://HOST:PORT`, in the order in which they are asked.
    pub urls: Vec<String>,
    /// Never without.
    pub tls: TlsFiles,
}

impl Peers {
    /// Reads the files.
    ///
    /// # Errors
    /// Which one can't be used, and why.
    pub fn load(&self) -> Result<ClientTlsConfig, ConfigError> {
        self.tls.load_client()
    }
}

/// The peers, if any are configured.
pub(super) fn peers(options: &Options, said: &Said<'_>) -> Result<Option<Peers>, ConfigError> {
    let urls = options.peers.clone().unwrap_or_default();
    if urls.is_empty() {
        return Ok(None);
    }
    if options.broker_url.is_none() {
        return Err(said.wrong("peers", "is of no use without broker-url"));
    }
    if urls.len() > MOST {
        return Err(said.wrong("peers", format!("are {MOST} at most")));
    }
    if let Some(url) = urls.iter().find(|url| !is_place(url)) {
        let problem = format!("\"{url}\" is not https://HOST:PORT");
        return Err(said.wrong("peers", problem));
    }
    let files = (&options.tls_cert, &options.tls_key, &options.peer_tls_ca);
    let (Some(cert), Some(key), Some(ca)) = files else {
        let problem = "need mutual TLS: set tls-cert, tls-key and peer-tls-ca, too";
        return Err(said.wrong("peers", problem));
    };
    let tls = TlsFiles {
        cert: cert.clone(),
        key: key.clone(),
        client_ca: ca.clone(),
    };
    Ok(Some(Peers { urls, tls }))
}

fn is_place(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    url.scheme() == "https" && url.host().is_some() && bare && nobody
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_host_over_tls_and_nothing_else() {
        for good in [
            "https://a.test:7443",
            "https://[::1]:7443/",
            "https://10.0.0.2:1",
        ] {
            assert!(is_place(good), "{good}");
        }
        for bad in [
            "",
            "a.test:7443",
            "http://a.test:7443",
            "https://a.test:7443/x",
            "https://me@a.test:7443",
            "https://a.test:7443?x",
        ] {
            assert!(!is_place(bad), "{bad}");
        }
    }
}
