//! Sidecars that are members, so that each decides for its share of the apps.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use mesh::{SHARDS, Shard};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::time::sleep;

use super::{Failure, sidecar::Sidecar};

/// How often they are asked, and how many times.
const STEP: Duration = Duration::from_millis(5);
const PATIENCE: u32 = 2_000;

/// Where one of them is.
pub(super) fn directory(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("r{number}"))
}

/// So many, called `r0` and on, each in a directory of that name.
pub(super) async fn start(dir: &Path, url: &str, count: usize) -> Result<Vec<Sidecar>, Failure> {
    let mut authority = CertificateParams::default();
    authority
        .distinguished_name
        .push(DnType::CommonName, "ours");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let mut sidecars = Vec::new();
    for number in 0..count {
        let (name, at) = (format!("r{number}"), directory(dir, number));
        fs::create_dir_all(&at)?;
        let key = KeyPair::generate()?;
        let own = CertificateParams::new(["localhost".to_owned()])?;
        let chain = own.signed_by(&key, &authority)?;
        let mut arguments: Vec<String> = Vec::new();
        for (flag, text) in [
            ("--peer-tls-ca", authority.pem()),
            ("--tls-cert", chain.pem()),
            ("--tls-key", key.serialize_pem()),
        ] {
            let file = at.join(flag.trim_start_matches('-'));
            fs::write(&file, text)?;
            arguments.extend([flag.to_owned(), file.display().to_string()]);
        }
        let more = [
            "--broker-url",
            url,
            "--node",
            &name,
            "--peer-tcp",
            "127.0.0.1:0",
        ];
        let more = more.iter().chain(&["--peer-address", "localhost:0"]);
        arguments.extend(more.map(ToString::to_string));
        sidecars.push(Sidecar::start_with(&at, arguments).await?);
    }
    Ok(sidecars)
}

/// For each the name of an app that it owns, once they have agreed.
pub(super) async fn owned(sidecars: &[Sidecar]) -> Result<Vec<String>, Failure> {
    for _ in 0..PATIENCE {
        let mut own = Vec::new();
        for sidecar in sidecars {
            let bits = sidecar.nodes().await?.may_grant;
            let has = move |shard: Shard| {
                let at = shard.index();
                bits.get(at / 8)
                    .is_some_and(|bits| bits >> (at % 8) & 1 == 1)
            };
            own.push(has);
        }
        let counts = own
            .iter()
            .map(|own| Shard::all().filter(|shard| own(*shard)).count());
        let counts: Vec<_> = counts.collect();
        if !counts.contains(&0) && counts.iter().sum::<usize>() == SHARDS {
            let mut names = (0..).map(|number| format!("exact-{number}"));
            let of = own
                .iter()
                .map(|own| names.find(|name| own(Shard::of(name))));
            return Ok(of.flatten().collect());
        }
        sleep(STEP).await;
    }
    Err("the sidecars don't agree who decides".into())
}

/// Waits until a sidecar has so many apps.
pub(super) async fn until_known(sidecar: &Sidecar, apps: u64) -> Result<(), Failure> {
    for _ in 0..PATIENCE {
        if u64::from(sidecar.status().await?.apps) >= apps {
            return Ok(());
        }
        sleep(STEP).await;
    }
    Err("the other sidecar does not know the apps".into())
}
