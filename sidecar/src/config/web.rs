//! What operators look at over HTTP.

use std::{fs, net::SocketAddr, path::Path};

use super::{ConfigError, Options, Secret, resolve::Said, tls::read};

/// A token, in bytes: not one that can be guessed.
const TOKEN: std::ops::RangeInclusive<usize> = 16..=4_096;

/// Where it is, and who may look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// What is listened to.
    pub address: SocketAddr,
    /// Who has it may look. Never without, but on this very host.
    pub token: Option<Secret>,
    /// Apps with figures of their own.
    pub apps: usize,
}

/// The settings, if there is anything to look at.
pub(super) fn web(options: &Options, said: &Said<'_>) -> Result<Option<Web>, ConfigError> {
    let file = options.web_token_file.as_deref();
    let Some(address) = options.web else {
        return match file {
            Some(_) => Err(said.wrong("web-token-file", "is of no use without web")),
            None => Ok(None),
        };
    };
    if file.is_none() && !address.ip().is_loopback() {
        let problem = format!("{address} can be reached from elsewhere: set web-token-file, too");
        return Err(said.wrong("web", problem));
    }
    let token = file.map(|file| token(file, said)).transpose()?;
    let apps = options.metrics_apps.unwrap_or(0);
    Ok(Some(Web {
        address,
        token,
        apps: usize::try_from(apps).unwrap_or(usize::MAX),
    }))
}

fn token(file: &Path, said: &Said<'_>) -> Result<Secret, ConfigError> {
    let wrong = |problem: String| {
        let problem = format!("{}: {problem}", file.display());
        Err(said.wrong("web-token-file", problem))
    };
    // The end of its line does not count.
    let size = fs::metadata(file).map_or(0, |metadata| metadata.len());
    if size > *TOKEN.end() as u64 + 2 {
        return wrong(format!("is no token: {size} bytes"));
    }
    let text = String::from_utf8(read(file)?).unwrap_or_default();
    let token = text.trim_end_matches(['\r', '\n']);
    let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_plain || !TOKEN.contains(&token.len()) {
        return wrong(format!(
            "is no token: {} to {} printable characters of ASCII without spaces",
            TOKEN.start(),
            TOKEN.end()
        ));
    }
    Ok(token.into())
}
