//! Where traces of requests go, and of how many.

use std::{fs, path::Path, path::PathBuf};

use tonic::{
    metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap},
    transport::{Certificate, ClientTlsConfig},
};

use super::{
    ConfigError, Options,
    authorizers::{Authorizers, is_place},
    resolve::Said,
    tls::{check_certificates, read},
};

/// What a share is counted in.
const WHOLE: f64 = 1_000_000.0;
/// The share, unless it is said.
const SHARE: f64 = 0.01;
/// Bytes of the file with headers, and headers in it.
const MOST_BYTES: u64 = 16_384;
const MOST: usize = 16;

/// See the options.
#[derive(Clone, Debug)]
pub struct Traces {
    /// `unix:/PATH`, `http://HOST:PORT` or `https://HOST:PORT`.
    pub url: String,
    /// An authority instead of the system's.
    pub ca: Option<PathBuf>,
    /// So many of a million requests begin a trace.
    pub sample: u32,
    /// At most so many a second are traced.
    pub per_second: u32,
    /// What the collector is told besides; nothing shows what they say.
    pub headers: MetadataMap,
}

impl Traces {
    /// How to come to it.
    ///
    /// # Errors
    /// Why a file can't be used.
    pub fn load(&self) -> Result<Option<ClientTlsConfig>, ConfigError> {
        if !Authorizers::is_over_tls(&self.url) {
            return Ok(None);
        }
        let tls = ClientTlsConfig::new();
        let Some(file) = &self.ca else {
            return Ok(Some(tls.with_native_roots()));
        };
        let ca = read(file)?;
        check_certificates(file, &ca)?;
        Ok(Some(tls.ca_certificate(Certificate::from_pem(ca))))
    }
}

/// The settings, if there is a collector.
pub(super) fn traces(options: &Options, said: &Said<'_>) -> Result<Option<Traces>, ConfigError> {
    let key = "otlp-endpoint";
    let Some(url) = &options.otlp_endpoint else {
        let others = [
            ("otlp-sample", options.otlp_sample.is_some()),
            ("otlp-headers-file", options.otlp_headers_file.is_some()),
            ("otlp-tls-ca", options.otlp_tls_ca.is_some()),
        ];
        return match others.iter().find(|(_, given)| *given) {
            Some((key, _)) => Err(said.wrong(key, "is of no use without otlp-endpoint")),
            None => Ok(None),
        };
    };
    if !is_place(url) {
        let problem = format!("\"{url}\" is not http://HOST:PORT, https://HOST:PORT or unix:/PATH");
        return Err(said.wrong(key, problem));
    }
    if options.otlp_tls_ca.is_some() && !Authorizers::is_over_tls(url) {
        return Err(said.wrong("otlp-tls-ca", "needs an otlp-endpoint with https://"));
    }
    let share = options.otlp_sample.unwrap_or(SHARE);
    if !(0.0..=1.0).contains(&share) {
        let problem = format!("{share} is not in 0 to 1, which is all");
        return Err(said.wrong("otlp-sample", problem));
    }
    let headers = options.otlp_headers_file.as_deref();
    let headers = headers.map(|file| headers_of(file, said)).transpose()?;
    Ok(Some(Traces {
        url: url.clone(),
        ca: options.otlp_tls_ca.clone(),
        sample: (share * WHOLE).round() as u32,
        per_second: options
            .otlp_rate
            .and_then(|rate| u32::try_from(rate).ok())
            .unwrap_or(1),
        headers: headers.unwrap_or_default(),
    }))
}

/// A header on each line: `name: value`.
fn headers_of(file: &Path, said: &Said<'_>) -> Result<MetadataMap, ConfigError> {
    let wrong = |problem: String| {
        let problem = format!("{}: {problem}", file.display());
        said.wrong("otlp-headers-file", problem)
    };
    let size = fs::metadata(file).map_or(0, |metadata| metadata.len());
    if size > MOST_BYTES {
        return Err(wrong(format!("has more than {MOST_BYTES} bytes")));
    }
    let text = String::from_utf8(read(file)?).unwrap_or_default();
    let mut headers = MetadataMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // What a line says may be secret.
        let (name, value) =
            header(line).ok_or_else(|| wrong(format!("line {number} is not \"name: value\"")))?;
        headers.append(name, value);
    }
    match headers.len() <= MOST {
        true => Ok(headers),
        false => Err(wrong(format!("has more than {MOST} headers"))),
    }
}

fn header(line: &str) -> Option<(AsciiMetadataKey, AsciiMetadataValue)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim_end().to_ascii_lowercase();
    if name.starts_with("grpc-") || matches!(&*name, "te" | "content-type" | "host") {
        return None;
    }
    let mut value: AsciiMetadataValue = value.trim_start().parse().ok()?;
    value.set_sensitive(true);
    Some((name.parse().ok()?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let (name, value) = header("X-Team: a:b c").expect("it is good");
        assert_eq!(
            (name.as_str(), value.to_str().ok()),
            ("x-team", Some("a:b c"))
        );
        assert!(!format!("{value:?}").contains("a:b"), "nothing shows it");
        for bad in [
            "",
            "x",
            ": y",
            "x y: z",
            "grpc-x: 1",
            "Content-Type: a",
            "a-bin: b",
            "x: \u{1}",
        ] {
            assert!(header(bad).is_none(), "{bad}");
        }
    }
}
