//! Nginx's access log, in which every variable of the module is a field.

use std::path::Path;

use serde::Deserialize;

use super::wait;

/// The `log_format` that [`Entry`] reads.
pub(super) const FORMAT: &str = r#"escape=json '{"id":"$http_x_test_id","status":"$status","error":"$mesh_error","app":"$mesh_app","dyno":"$mesh_dyno","lease":"$mesh_lease","queue_wait":"$mesh_queue_wait","queue_depth":"$mesh_queue_depth","dynos_in_use":"$mesh_dynos_in_use","rule":"$mesh_rule","rule_app":"$mesh_rule_app","user":"$mesh_user","upstream":"$upstream_addr","request":"$request","worker":"$pid","ended":"$msec","took":"$request_time"}'"#;

/// One request, as Nginx logged it. A variable without a value is "" or "-".
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// `X-Test-Id`.
    pub id: String,
    /// What the client was sent.
    pub status: String,
    /// `$mesh_error`
    pub error: String,
    /// `$mesh_app`
    pub app: String,
    /// `$mesh_dyno`
    pub dyno: String,
    /// `$mesh_lease`
    pub lease: String,
    /// `$mesh_queue_wait`
    pub queue_wait: String,
    /// `$mesh_queue_depth`
    pub queue_depth: String,
    /// `$mesh_dynos_in_use`
    pub dynos_in_use: String,
    /// `$mesh_rule`
    pub rule: String,
    /// `$mesh_rule_app`
    pub rule_app: String,
    /// `$mesh_user`
    pub user: String,
    /// Every address that was tried.
    pub upstream: String,
    /// The request line.
    pub request: String,
    /// The process of the worker.
    pub worker: String,
    /// When it ended, in seconds.
    pub ended: String,
    /// Since it came, likewise.
    pub took: String,
}

/// Every entry so far.
pub(super) fn entries(log: &Path) -> Vec<Entry> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| {
            serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("access log ({error}): {line}"))
        })
        .collect()
}

/// The entry of the request with this id, which Nginx writes after the answer.
pub(super) async fn entry(log: &Path, id: &str) -> Entry {
    wait::some(
        wait::LIMIT,
        &format!("{id} is in the access log"),
        async || entries(log).into_iter().find(|entry| entry.id == id),
    )
    .await
}
