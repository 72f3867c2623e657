//! The rules of an app: lines, which are read here only to see whether they are
//! well formed.

use dynomesh_proto::v1::{self, sidecar_message::Kind};
use mesh::Rules;
use rules::RuleSet;

use super::Malformed;

/// Rules that somebody sets. Whether they are well formed depends on them alone, so
/// it is the same on every host.
pub(super) fn rules_from_proto(given: v1::Rules) -> Result<Rules, Malformed> {
    let parsed = RuleSet::parse(&given.lines);
    parsed.map_err(|problem| Malformed::new("put_rules", problem.to_string()))?;
    Ok(Rules::new(given.lines.into_iter().map(Into::into)))
}

pub(super) fn lines(rules: &Rules) -> Vec<String> {
    rules.lines().iter().map(|line| (**line).into()).collect()
}

/// The rules for a name, as a message. No app: it has none.
pub fn app_rules(name: &str, found: Option<(&str, &Rules)>) -> v1::SidecarMessage {
    let (app, rules) = found.unzip();
    let rules = v1::AppRules {
        name: name.into(),
        app: app.unwrap_or_default().into(),
        lines: rules.map(lines).unwrap_or_default(),
    };
    v1::SidecarMessage {
        kind: Some(Kind::Rules(rules)),
    }
}
