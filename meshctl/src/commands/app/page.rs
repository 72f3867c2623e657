//! `meshctl app page`: what those see whom an app refuses.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read, Write as _},
    path::Path,
};

use dynomesh_proto::v1::{Page as Message, operation::Kind};

use super::Context;
use crate::{
    args::Page,
    change::change,
    failure::Failure,
    output::{page_table, plain},
};

/// More than a sidecar takes; it says what it does take.
const MOST: u64 = 1 << 20;

pub(super) async fn run(args: &Page, context: &Context) -> Result<(), Failure> {
    let Some(code) = &args.code else {
        return list(&args.name, context).await;
    };
    let page = Message {
        code: code.clone(),
        content_type: args.content_type.clone(),
        ..Message::default()
    };
    match &args.file {
        Some(path) => {
            let body = read(path)?;
            put(args, Message { body, ..page }, context).await
        }
        None if args.clear => put(args, page, context).await,
        None => show(args, &page, context).await,
    }
}

async fn put(args: &Page, page: Message, context: &Context) -> Result<(), Failure> {
    let Page { name, .. } = args;
    let Message {
        code, content_type, ..
    } = &page;
    let what = match page.body.is_empty() {
        true => format!("app {name} has no {content_type} page for {code}"),
        false => format!("app {name} has a {content_type} page for {code}"),
    };
    let applied = context
        .client
        .apply(change(name, [Kind::PutPage(page)]))
        .await?;
    context.out.applied(&applied, &what)
}

async fn list(name: &str, context: &Context) -> Result<(), Failure> {
    let pages = pages(name, context).await?;
    if context.out.json {
        return context.out.object(&pages);
    }
    match pages.is_empty() {
        true => context.out.text("It has no pages of its own.\n"),
        false => context
            .out
            .text(&page_table(&pages, context.out.colour).render()),
    }
}

/// As it can be set again, to the byte.
async fn show(args: &Page, wanted: &Message, context: &Context) -> Result<(), Failure> {
    let same =
        |page: &Message| page.code == wanted.code && page.content_type == wanted.content_type;
    let pages = pages(&args.name, context).await?;
    let Some(page) = pages.into_iter().find(same) else {
        return Err(Failure::Local(format!(
            "app {} has no {} page for {}; `meshctl app page {0}` lists those that it has",
            args.name, wanted.content_type, wanted.code
        )));
    };
    if context.out.json {
        return context.out.object(&page);
    }
    let mut out = io::stdout();
    let written = match out.is_terminal() {
        // Nothing in it commands the terminal.
        true => {
            return page
                .body
                .lines()
                .try_for_each(|line| context.out.text(&plain(line)));
        }
        false => out
            .write_all(page.body.as_bytes())
            .and_then(|()| out.flush()),
    };
    written.map_err(|error| Failure::Local(format!("cannot write the page: {error}")))
}

async fn pages(name: &str, context: &Context) -> Result<Vec<Message>, Failure> {
    let app = context.client.app(name).await?.app.unwrap_or_default();
    Ok(app.pages)
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let result = match path.as_os_str() == "-" {
        true => io::stdin().take(MOST).read_to_string(&mut text),
        false => File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text)),
    };
    let name = path.display();
    match result {
        Ok(0) => Err(Failure::Usage(format!(
            "{name} is empty, --clear removes a page; nothing was sent"
        ))),
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Failure::Usage(format!(
            "{name} is not UTF-8, which a page has to be; nothing was sent"
        ))),
        Err(error) => Err(Failure::Usage(format!(
            "cannot read {name}: {error}; nothing was sent"
        ))),
    }
}
