//! All that an app's manager has to say.

use std::time::Duration;

use dynomesh_proto::v1;
use mesh::Manage;

use super::{
    Malformed,
    app::{dyno_from_proto, dyno_from_spec},
    millis, non_zero,
};

pub(super) fn manage_from_proto(manage: v1::Manage) -> Result<Manage, Malformed> {
    let span = |ms: u32| non_zero(ms).map(|ms| Duration::from_millis(ms.into()));
    let dynos = manage.dynos.into_iter().enumerate();
    let dynos = dynos.map(|(i, dyno)| {
        let dyno = dyno_from_proto(dyno);
        dyno.map_err(|error| error.within(&format!("dynos[{i}]")))
    });
    Ok(Manage {
        wake: manage.wake,
        dyno_limit: manage.dyno_limit.map(non_zero),
        boot_timeout: manage.boot_timeout_ms.map(span),
        idle_timeout: manage.idle_timeout_ms.map(span),
        scale_wait: manage.scale_wait_ms.map(span),
        domains: manage.domains.into_iter().map(Into::into).collect(),
        dyno_prefix: manage.dyno_prefix.into(),
        dynos: dynos.collect::<Result<_, _>>()?,
    })
}

pub(super) fn manage_from_core(manage: &Manage) -> v1::Manage {
    let span = |span: Option<Duration>| span.map_or(0, millis);
    v1::Manage {
        wake: manage.wake,
        dyno_limit: manage.dyno_limit.map(Option::unwrap_or_default),
        boot_timeout_ms: manage.boot_timeout.map(span),
        idle_timeout_ms: manage.idle_timeout.map(span),
        scale_wait_ms: manage.scale_wait.map(span),
        domains: manage
            .domains
            .iter()
            .map(|domain| (**domain).into())
            .collect(),
        dyno_prefix: (*manage.dyno_prefix).into(),
        dynos: manage.dynos.iter().map(dyno_from_spec).collect(),
    }
}
