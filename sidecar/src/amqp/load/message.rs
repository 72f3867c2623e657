//! What a message about load is. Pure.

use mesh::LoadReport;

use crate::convert::load_report_from_bytes;

/// The AMQP type of every message; its end counts incompatible forms.
pub(super) const KIND: &str = "load.report.v1";
/// Largest message, in bytes: 512 dynos with the longest instances stay below it.
const MAX_BYTES: usize = 256 << 10;

/// What it says, or why it is none.
pub(super) fn report(kind: Option<&str>, body: &[u8]) -> Result<LoadReport, String> {
    if kind != Some(KIND) {
        return Err(format!(
            "type {:?}, it has to be {KIND}",
            kind.unwrap_or_default()
        ));
    }
    if body.len() > MAX_BYTES {
        return Err(format!("{} bytes, {MAX_BYTES} are allowed", body.len()));
    }
    load_report_from_bytes(body).map_err(|error| error.to_string())
}
