//! Whom apps may have decide about their requests: the operator names them, so that no
//! app chooses an address.

use std::{path::PathBuf, time::Duration};

use tonic::transport::{Certificate, ClientTlsConfig};
use url::Url;

use super::{
    ConfigError, Options,
    resolve::Said,
    tls::{check_certificates, read},
};

/// How many there may be.
const MOST: usize = 16;

/// Where they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorizers {
    /// Their names, and `unix:/PATH`, `http://HOST:PORT` or `https://HOST:PORT`.
    pub places: Vec<(Box<str>, String)>,
    /// The authority that their certificates are from.
    pub ca: Option<PathBuf>,
    /// How long one may take.
    pub within: Duration,
}

impl Authorizers {
    /// Reads the file.
    ///
    /// # Errors
    /// Why it can't be used.
    pub fn load(&self) -> Result<Option<ClientTlsConfig>, ConfigError> {
        let Some(file) = &self.ca else {
            return Ok(None);
        };
        let ca = read(file)?;
        check_certificates(file, &ca)?;
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
        Ok(Some(tls))
    }

    /// It is reached over TLS.
    pub fn is_over_tls(url: &str) -> bool {
        url.starts_with("https:")
    }
}

/// The authorizers, if any are configured.
pub(super) fn authorizers(options: &Options, said: &Said<'_>) -> Result<Authorizers, ConfigError> {
    let key = "authorizers";
    let mut places: Vec<(Box<str>, String)> = Vec::new();
    for text in options.authorizers.iter().flatten() {
        let place = place(text).ok_or_else(|| {
            let wanted = "NAME=unix:/PATH, NAME=http://HOST:PORT or NAME=https://HOST:PORT";
            said.wrong(key, format!("\"{text}\" is not {wanted}"))
        })?;
        if places.iter().any(|(name, _)| *name == place.0) {
            return Err(said.wrong(key, format!("{} is there twice", place.0)));
        }
        places.push(place);
    }
    if places.len() > MOST {
        return Err(said.wrong(key, format!("are {MOST} at most")));
    }
    let over_tls = places.iter().any(|(_, url)| Authorizers::is_over_tls(url));
    match (&options.authorizer_tls_ca, over_tls) {
        (None, true) => {
            let problem = "need the authority of their certificates: set authorizer-tls-ca, too";
            return Err(said.wrong(key, problem));
        }
        (Some(_), false) => {
            let problem = "is of no use without an authorizer at https://";
            return Err(said.wrong("authorizer-tls-ca", problem));
        }
        _ => {}
    }
    Ok(Authorizers {
        places,
        ca: options.authorizer_tls_ca.clone(),
        within: Duration::from_millis(options.authorizer_within_ms.unwrap_or(0)),
    })
}

fn place(text: &str) -> Option<(Box<str>, String)> {
    let (name, url) = text.split_once('=')?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > 128 || !name.bytes().all(plain) {
        return None;
    }
    is_place(url).then(|| (name.into(), url.to_owned()))
}

/// It is `unix:/PATH`, `http://HOST:PORT` or `https://HOST:PORT`.
pub(super) fn is_place(text: &str) -> bool {
    if let Some(path) = text.strip_prefix("unix:") {
        return path.starts_with('/') && !path.contains(['?', '#', '%', ' ']);
    }
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    matches!(url.scheme(), "http" | "https") && url.host().is_some() && bare && nobody
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authorizer_is_a_name_and_a_place() {
        for good in [
            "corp=unix:/run/corp.sock",
            "a-1=http://127.0.0.1:9000",
            "b_2=https://authz.example:443/",
        ] {
            assert!(place(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "corp",
            "=unix:/run/corp.sock",
            "co rp=unix:/run/corp.sock",
            "corp=unix:run/corp.sock",
            "corp=ftp://a.test",
            "corp=http://a.test/x",
            "corp=http://me@a.test",
            "corp=/run/corp.sock",
        ] {
            assert!(place(bad).is_none(), "{bad}");
        }
    }
}
