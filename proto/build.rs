//! Generates messages, services and their JSON form from `mesh/v1/*.proto`,
//! with a protobuf compiler that is a crate: no `protoc` has to be installed.
use std::{env, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 13] = [
    "mesh/v1/types.proto",
    "mesh/v1/tally.proto",
    "mesh/v1/tap.proto",
    "mesh/v1/trace.proto",
    "mesh/v1/router.proto",
    "mesh/v1/control.proto",
    "mesh/v1/log.proto",
    "mesh/v1/load.proto",
    "mesh/v1/members.proto",
    "mesh/v1/peer.proto",
    "mesh/v1/owner.proto",
    "mesh/v1/authorizer.proto",
    "otlp/trace_service.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let set = protox::compile(FILES, ["."])?;
    let bytes = set.encode_to_vec();
    let out = PathBuf::from(env::var("OUT_DIR")?);

    // Generated always; which halves are compiled in is up to the features.
    tonic_prost_build::configure()
        .build_transport(false)
        .client_mod_attribute("mesh.v1.Control", "#[cfg(feature = \"control\")]")
        .client_mod_attribute("mesh.v1.Peer", "#[cfg(feature = \"peer\")]")
        .client_mod_attribute("mesh.v1.Owner", "#[cfg(feature = \"peer\")]")
        .client_mod_attribute("mesh.v1.Authorizer", "#[cfg(feature = \"peer\")]")
        .client_mod_attribute(
            "opentelemetry.proto.collector.trace.v1.TraceService",
            "#[cfg(feature = \"peer\")]",
        )
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        // They have passwords in them; nothing prints them by mistake.
        .skip_debug([".mesh.v1.Authenticate", ".mesh.v1.ShownHeader"])
        .compile_fds(set)?;
    if env::var_os("CARGO_FEATURE_JSON").is_some() {
        pbjson_build::Builder::new()
            .register_descriptors(&bytes)?
            .out_dir(out)
            .build(&[".mesh.v1"])?;
    }
    Ok(())
}
