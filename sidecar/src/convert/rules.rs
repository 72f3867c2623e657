//! The rules of an app: lines, which are read here only to see whether they are
//! well formed.

use dynomesh_proto::v1::{self, sidecar_message::Kind};
use mesh::{Handling, Rules, Terms};
use rules::RuleSet;

use super::{Malformed, auth::app_auth, millis};

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

/// What routers go by for a name, as a message. No app: it has none.
pub fn app_rules(name: &str, found: Option<&Terms>) -> v1::SidecarMessage {
    let mut message = v1::AppRules {
        name: name.into(),
        ..v1::AppRules::default()
    };
    if let Some(terms) = found {
        message.app = (*terms.app).into();
        message.lines = lines(&terms.rules);
        let handling = terms.handling;
        message.handling = (!handling.is_none()).then(|| handling_from_core(handling));
        message.auth = app_auth(&terms.auth);
        message.sticky = (*terms.sticky).into();
    }
    v1::SidecarMessage {
        kind: Some(Kind::Rules(message)),
    }
}

fn handling_from_core(handling: Handling) -> v1::Handling {
    v1::Handling {
        max_body_bytes: handling.max_body.unwrap_or(0),
        max_time_ms: handling.max_time.map_or(0, millis),
        by_client: handling.by_client,
    }
}
