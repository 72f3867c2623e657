//! `meshctl domain …`

use dynomesh_proto::v1::operation::Kind;
use tonic::Code;

use super::Context;
use crate::{
    args::{Domain, Domains},
    change::change,
    failure::Failure,
    output::count,
};

pub(super) async fn run(args: Domain, context: &Context) -> Result<(), Failure> {
    match args {
        Domain::Add(domains) => apply(domains, Kind::AddDomain, "added to", context).await,
        Domain::Remove(domains) => {
            apply(domains, Kind::RemoveDomain, "removed from", context).await
        }
    }
}

/// One change: all of the names or none.
async fn apply(
    domains: Domains,
    kind: fn(String) -> Kind,
    done: &str,
    context: &Context,
) -> Result<(), Failure> {
    let Domains { app, domains } = domains;
    let what = format!("{} {done} app {app}", count(domains.len(), "domain"));
    let change = change(&app, domains.into_iter().map(kind));
    let applied = context.client.apply(change).await.map_err(|failure| {
        failure
            .hint(
                Code::AlreadyExists,
                "`meshctl domain remove` takes a domain from the app that has it",
            )
            .hint(
                Code::NotFound,
                format!("`meshctl app show {app}` shows its domains"),
            )
    })?;
    context.out.applied(&applied, &what)
}
