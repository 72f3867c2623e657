//! `meshctl app auth`: who may use an app.

use std::path::Path;

use dynomesh_proto::v1::{Auth as Lines, operation::Kind};
use tonic::Code;

use super::{Context, rules::read};
use crate::{
    args::Auth,
    change::change,
    failure::Failure,
    output::{count, plain},
};

/// Somebody else may change the app at the same time.
const TRIES: usize = 10;

pub(super) async fn run(args: &Auth, context: &Context) -> Result<(), Failure> {
    let name = &args.name;
    let keys = args.keys.as_deref().map(read_keys).transpose()?;
    let lines = match (&args.file, &keys) {
        (Some(path), _) => read(path)?,
        (None, Some(keys)) => return rotate(name, keys, context).await,
        (None, None) if args.clear => Vec::new(),
        (None, None) => return show(name, context).await,
    };
    let lines = match &keys {
        Some(keys) => with_keys(lines, keys),
        None => lines,
    };
    let what = match lines.is_empty() {
        true => format!("anybody may use app {name}"),
        false => in_short(name, &lines),
    };
    let change = change(name, [Kind::PutAuth(Lines { lines })]);
    let applied = context.client.apply(change).await?;
    context.out.applied(&applied, &what)
}

/// The keys alone. The rest is as it is at that moment, or nothing is changed.
async fn rotate(name: &str, keys: &str, context: &Context) -> Result<(), Failure> {
    let mut tries = 1;
    loop {
        let app = context.client.app(name).await?.app.unwrap_or_default();
        if app.auth.is_empty() {
            return Err(Failure::Usage(format!(
                "anybody may use app {name}: say who may with --file, keys are only a part of that"
            )));
        }
        let lines = with_keys(app.auth, keys);
        let what = in_short(name, &lines);
        let mut change = change(name, [Kind::PutAuth(Lines { lines })]);
        change.base_version = app.version;
        match context.client.apply(change).await {
            Err(failure) if failure.code() == Some(Code::Aborted) && tries < TRIES => tries += 1,
            applied => return context.out.applied(&applied?, &what),
        }
    }
}

fn in_short(name: &str, lines: &[String]) -> String {
    format!("app {name} has {} of auth", count(lines.len(), "line"))
}

/// These keys in the place of those that there are.
fn with_keys(mut lines: Vec<String>, keys: &str) -> Vec<String> {
    let is_keys = |line: &String| line.split_ascii_whitespace().next() == Some("keys");
    let place = lines.iter().position(is_keys).unwrap_or(lines.len());
    lines.retain(|line| !is_keys(line));
    lines.insert(place.min(lines.len()), format!("keys {keys}"));
    lines
}

/// In one line. What they have to be is up to the sidecar.
fn read_keys(path: &Path) -> Result<String, Failure> {
    let text = read(path)?.join("\n");
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        let file = path.display();
        Failure::Usage(format!("{file} is no JSON: {error}; nothing was sent"))
    })?;
    Ok(json.to_string())
}

/// As it can be set again.
async fn show(name: &str, context: &Context) -> Result<(), Failure> {
    let app = context.client.app(name).await?.app;
    let lines = app.unwrap_or_default().auth;
    if context.out.json {
        return context.out.object(&Lines { lines });
    }
    for line in &lines {
        context.out.text(&plain(line))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_take_the_place_of_others() {
        let lines = |text: &str| -> Vec<String> { text.lines().map(Into::into).collect() };
        assert_eq!(
            with_keys(lines("jwt x\nkeys old\nclaim y"), "new"),
            lines("jwt x\nkeys new\nclaim y")
        );
        assert_eq!(with_keys(lines("jwt x"), "new"), lines("jwt x\nkeys new"));
        assert_eq!(with_keys(lines("keys a\n keys b"), "c"), lines("keys c"));
    }
}
