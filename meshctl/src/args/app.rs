//! `meshctl app …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{SettingsArgs, values::sticky};

#[derive(Debug, Subcommand)]
pub(crate) enum App {
    /// Create an app, with its domains and dynos if you like
    Create(Create),
    /// List apps and what they do at this moment
    List(List),
    /// Show one app: settings, domains, dynos and load
    Show(Show),
    /// Delete an app with its domains and dynos
    Delete(Delete),
    /// Change settings; those not given stay as they are
    Set(Set),
    /// Show, set or clear what is done with an app's requests
    Rules(Rules),
    /// Show, set or clear pages for those whom an app refuses
    Page(Page),
    /// Show, set or clear who may use an app
    Auth(Auth),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl app create shop
  meshctl app create shop --domain shop.example.com --domain '*.shop.example.com' \\
      --dyno 127.0.0.1:5001 --dyno unix:/run/shop.sock --policy idle-only --wake

Everything is created together or, when something is refused, nothing is.")]
pub(crate) struct Create {
    /// 1 to 128 of a-z, 0-9 and -
    pub(crate) name: String,

    /// A name it answers to: www.example.com or *.example.com; may be repeated
    #[arg(long = "domain", value_name = "DOMAIN")]
    pub(crate) domains: Vec<String>,

    /// The address of a dyno that is up; may be repeated. They become web.1, web.2, …
    #[arg(long = "dyno", value_name = "ADDRESS")]
    pub(crate) dynos: Vec<String>,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl app list
  meshctl app list --busy
  meshctl app list --prefix shop- --json | jq -r '.[].app.name'")]
pub(crate) struct List {
    /// Only apps whose name starts with this
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,

    /// Only apps with requests in flight or waiting
    #[arg(long)]
    pub(crate) busy: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl app show shop
  meshctl app show shop --json | jq .app.settings")]
pub(crate) struct Show {
    /// The app
    pub(crate) name: String,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl app delete shop
  meshctl app delete shop --yes

On a terminal it asks first; elsewhere it needs --yes.")]
pub(crate) struct Delete {
    /// The app
    pub(crate) name: String,

    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl app set shop --policy idle-only --queue-depth 100
  meshctl app set shop --queue-timeout 10s --no-wake
  meshctl app set shop --max-body 10MiB --max-time 30s
  meshctl app set shop --sticky cookie
  meshctl app set shop --max-rate 100/s --max-client-rate 10/s
  meshctl app set shop --queue-depth 0        (back to the default)")]
pub(crate) struct Set {
    /// The app
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs,

    /// Which requests come to the same dyno: cookie, for those with a cookie of the
    /// mesh's own; cookie:NAME or header:NAME, for those with the same value; none
    #[arg(long, value_name = "WHICH", value_parser = sticky, help_heading = "Settings")]
    pub(crate) sticky: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl app rules shop
  meshctl app rules shop --file shop.rules
  echo 'when path ^= /old then redirect 301 /new' | meshctl app rules shop --file -
  meshctl app rules shop --clear

A rule on each line, in the order in which they are looked at; docs/rules.md has the
language. All rules are replaced at once, or none when one is wrong.")]
pub(crate) struct Rules {
    /// The app
    pub(crate) name: String,

    /// Replace them by those in this file; - is standard input
    #[arg(long, short, value_name = "FILE", conflicts_with = "clear")]
    pub(crate) file: Option<PathBuf>,

    /// Remove all of them
    #[arg(long)]
    pub(crate) clear: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl app page shop
  meshctl app page shop --code H80 --file maintenance.html
  meshctl app page shop --code error --type application/json --file error.json
  meshctl app page shop --code H80 > maintenance.html
  meshctl app page shop --code H80 --clear

A page is for a code, as in X-Mesh-Error, or for every error without one of its own;
docs/apps.md has the codes and what is filled in. 64 KiB each, 16 of them and 128 KiB
together.")]
pub(crate) struct Page {
    /// The app
    pub(crate) name: String,

    /// Which one: a code, or error; without it all are listed
    #[arg(long)]
    pub(crate) code: Option<String>,

    /// What kind of page it is: text/html or application/json
    #[arg(
        long = "type",
        value_name = "TYPE",
        default_value = "text/html",
        requires = "code"
    )]
    pub(crate) content_type: String,

    /// Replace it by this file; - is standard input
    #[arg(
        long,
        short,
        value_name = "FILE",
        conflicts_with = "clear",
        requires = "code"
    )]
    pub(crate) file: Option<PathBuf>,

    /// Remove it
    #[arg(long, requires = "code")]
    pub(crate) clear: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl app auth shop
  meshctl app auth shop --file shop.auth
  (echo basic; echo user $(htpasswd -nB ann)) | meshctl app auth shop --file -
  meshctl app auth shop --keys jwks.json
  meshctl app auth shop --clear

docs/auth.md has the language. All of it is replaced at once, or nothing when something
is wrong; --keys alone replaces the keys of tokens and leaves the rest.")]
pub(crate) struct Auth {
    /// The app
    pub(crate) name: String,

    /// Replace it by what is in this file; - is standard input
    #[arg(long, short, value_name = "FILE", conflicts_with = "clear")]
    pub(crate) file: Option<PathBuf>,

    /// Replace the keys by those in this file (JSON, RFC 7517); - is standard input
    #[arg(long, short, value_name = "FILE", conflicts_with = "clear")]
    pub(crate) keys: Option<PathBuf>,

    /// Anybody may use it
    #[arg(long)]
    pub(crate) clear: bool,
}
