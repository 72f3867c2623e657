//! `meshctl app rules`: what is done with an app's requests.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use dynomesh_proto::v1::{Rules as Lines, operation::Kind};

use super::Context;
use crate::{
    args::Rules,
    change::change,
    failure::Failure,
    output::{count, plain},
};

/// More than a sidecar takes; it says what it does take.
const MOST: u64 = 1 << 20;

pub(super) async fn run(args: &Rules, context: &Context) -> Result<(), Failure> {
    let name = &args.name;
    let lines = match &args.file {
        Some(path) => read(path)?,
        None if args.clear => Vec::new(),
        None => return show(name, context).await,
    };
    let what = match lines.is_empty() {
        true => format!("app {name} has no rules"),
        false => format!("app {name} has {} of rules", count(lines.len(), "line")),
    };
    let change = change(name, [Kind::PutRules(Lines { lines })]);
    let applied = context.client.apply(change).await?;
    context.out.applied(&applied, &what)
}

/// As they can be set again.
async fn show(name: &str, context: &Context) -> Result<(), Failure> {
    let lines = context
        .client
        .app(name)
        .await?
        .app
        .unwrap_or_default()
        .rules;
    if context.out.json {
        return context.out.object(&Lines { lines });
    }
    for line in &lines {
        context.out.text(&plain(line))?;
    }
    Ok(())
}

pub(super) fn read(path: &Path) -> Result<Vec<String>, Failure> {
    let mut text = String::new();
    let result = match path.as_os_str() == "-" {
        true => io::stdin().take(MOST).read_to_string(&mut text),
        false => File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text)),
    };
    match result {
        Ok(_) => Ok(text.lines().map(Into::into).collect()),
        Err(error) => Err(Failure::Usage(format!(
            "cannot read {}: {error}; nothing was sent",
            path.display()
        ))),
    }
}
