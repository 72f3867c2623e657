//! Load, as sidecars tell each other.

use dynomesh_proto::v1;
use mesh::{Extent, LoadReport, NodeId, NodeView};
use prost::Message as _;

use super::{Malformed, millis};
use crate::driver::LoadView;

/// Most dynos in one message.
pub const MAX_LOADS: usize = 512;
/// Longest name of a node or an instance, in bytes, as in the rest of the mesh.
const MAX_NAME: usize = 256;

/// A report from its bytes.
///
/// # Errors
/// What is wrong with them.
pub fn load_report_from_bytes(bytes: &[u8]) -> Result<LoadReport, Malformed> {
    let report = v1::LoadReport::decode(bytes);
    let report = report.map_err(|error| Malformed::new("report", error.to_string()))?;
    if report.name.len() > MAX_NAME {
        return Err(Malformed::new("name", "is too long"));
    }
    if report.dynos.len() > MAX_LOADS {
        let problem = format!("{} dynos, {MAX_LOADS} are allowed", report.dynos.len());
        return Err(Malformed::new("dynos", problem));
    }
    let extent = match (report.part, report.parts) {
        (0, 0) => Extent::Changes,
        (part, parts) if (1..=parts).contains(&part) => Extent::Part {
            first: part == 1,
            last: part == parts,
        },
        (part, parts) => {
            return Err(Malformed::new("part", format!("{part} of {parts}")));
        }
    };
    let loads =
        report
            .dynos
            .into_iter()
            .map(|dyno| match (1..=MAX_NAME).contains(&dyno.instance.len()) {
                true => Ok((dyno.instance.into(), dyno.in_flight)),
                false => Err(Malformed::new("dynos", "an instance is empty or too long")),
            });
    Ok(LoadReport {
        node: NodeId(report.node),
        name: report.name.into(),
        epoch: report.epoch,
        seq: report.seq,
        extent,
        loads: loads.collect::<Result<_, _>>()?,
    })
}

/// A report as protobuf; of a report of everything, `part` says which part of how
/// many it is.
pub fn load_report_to_bytes(report: LoadReport, (part, parts): (u32, u32)) -> Vec<u8> {
    let dynos = report.loads.into_iter();
    let dynos = dynos.map(|(instance, in_flight)| v1::DynoRequests {
        instance: instance.into(),
        in_flight,
    });
    let report = v1::LoadReport {
        node: report.node.0,
        name: report.name.into(),
        epoch: report.epoch,
        seq: report.seq,
        part,
        parts,
        dynos: dynos.collect(),
    };
    report.encode_to_vec()
}

/// What is known of others, as a message.
pub fn load_status(view: LoadView) -> v1::LoadStatus {
    v1::LoadStatus {
        problem: view.problem.as_deref().unwrap_or_default().into(),
        nodes: view.nodes.into_iter().map(node_status).collect(),
        interval_ms: millis(view.interval),
        sent: view.sent,
        taken: view.taken,
        out_of_step: view.out_of_step,
        ignored: view.ignored,
        skipped: view.skipped,
    }
}

fn node_status(node: NodeView) -> v1::NodeStatus {
    v1::NodeStatus {
        id: format!("{:016x}", node.node.0),
        name: node.name.into(),
        age_ms: millis(node.age),
        in_step: node.in_step,
        dynos: u32::try_from(node.dynos).unwrap_or(u32::MAX),
    }
}
