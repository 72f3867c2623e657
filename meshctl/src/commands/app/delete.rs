//! `meshctl app delete`: after a question, unless told not to ask.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use dynomesh_proto::v1::{AppStatus, DeleteApp, operation::Kind};

use super::Context;
use crate::{
    args::Delete,
    change::change,
    failure::Failure,
    output::{count, plain},
};

pub(super) fn check(args: &Delete) -> Result<(), Failure> {
    if args.yes || (io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "there is no terminal to ask on: `meshctl app delete {} --yes` deletes without asking",
        args.name
    )))
}

pub(super) async fn run(args: &Delete, context: &Context) -> Result<(), Failure> {
    let name = &args.name;
    if !args.yes {
        let status = context.client.app(name).await?;
        if !ask(&question(name, &status))? {
            return Err(Failure::Local(format!("app {name} is kept")));
        }
    }
    let change = change(name, [Kind::DeleteApp(DeleteApp {})]);
    let applied = context.client.apply(change).await?;
    context
        .out
        .applied(&applied, &format!("app {name} deleted"))
}

fn question(name: &str, status: &AppStatus) -> String {
    let app = status.app.clone().unwrap_or_default();
    let question = format!(
        "Delete app {name} with {}, {} and {} in flight or waiting? [y/N] ",
        count(app.domains.len(), "domain"),
        count(app.dynos.len(), "dyno"),
        count(
            status.in_flight as usize + status.waiting as usize,
            "request"
        ),
    );
    plain(&question).into_owned()
}

/// On standard error, so that standard output has results only.
fn ask(question: &str) -> Result<bool, Failure> {
    let lost = |error: io::Error| Failure::Local(format!("cannot ask: {error}"));
    let mut err = io::stderr().lock();
    err.write_all(question.as_bytes())
        .and_then(|()| err.flush())
        .map_err(lost)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(lost)?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use dynomesh_proto::v1::App;

    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes("y\n") && is_yes(" Yes \n"));
        assert!(!is_yes("") && !is_yes("\n") && !is_yes("no\n") && !is_yes("yep\n"));
    }

    #[test]
    fn the_question_says_what_would_be_lost() {
        let app = App {
            domains: vec!["a.example".into()],
            ..Default::default()
        };
        let status = AppStatus {
            app: Some(app),
            in_flight: 2,
            waiting: 1,
            ..Default::default()
        };
        assert_eq!(
            question("shop", &status),
            "Delete app shop with 1 domain, 0 dynos and 3 requests in flight or waiting? [y/N] "
        );
    }
}
