//! An app as bytes.

use dynomesh_proto::v1;
use mesh::AppSpec;
use prost::Message as _;

use crate::convert::{app_from_spec, spec_from_app};

pub(super) fn encode(spec: &AppSpec) -> Vec<u8> {
    app_from_spec(spec).encode_to_vec()
}

/// What can't be read says why.
pub(super) fn decode(name: &str, bytes: &[u8]) -> Result<AppSpec, String> {
    let app = v1::App::decode(bytes).map_err(|error| error.to_string())?;
    let spec = spec_from_app(app).map_err(|error| error.to_string())?;
    match *spec.name == *name {
        true => Ok(spec),
        false => Err(format!("it is called \"{}\" inside", spec.name)),
    }
}
