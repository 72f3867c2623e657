//! The commands about more than one thing.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

use super::values::{part, some_time, status};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl maintenance on shop
  meshctl maintenance off shop")]
pub(crate) struct Maintenance {
    /// on: every request gets the maintenance page (H80)
    #[arg(value_enum, value_name = "on|off")]
    pub(crate) mode: OnOff,
    /// The app
    pub(crate) app: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum OnOff {
    On,
    Off,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Each line is one Change of the protocol, in proto3's JSON mapping:
  {\"app\":\"shop\",\"operations\":[{\"createApp\":{}},{\"addDomain\":\"shop.example.com\"}]}
  {\"app\":\"shop\",\"operations\":[{\"putDyno\":{\"dyno\":{\"name\":\"web.1\",\"address\":\"127.0.0.1:5001\",\"state\":\"DYNO_STATE_UP\"}}}]}

A file is checked whole before anything is sent. After that, and always when
reading from a pipe, a line that is refused does not stop the ones after it.

Examples:
  meshctl apply -f mesh.jsonl
  meshctl export | ssh other-host meshctl apply")]
pub(crate) struct Apply {
    /// The file to read; - is standard input
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl export > mesh.jsonl
  meshctl export --prefix shop-

One line for each app (more for one with more than 1,000 dynos and domains), as
`meshctl apply` reads them. Every line is true of one
moment; apps that change during the export may be of different moments.")]
pub(crate) struct Export {
    /// Only apps whose name starts with this
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl watch
  meshctl watch shop
  meshctl watch --json | jq 'select(.needDyno)'")]
pub(crate) struct Watch {
    /// Only this app
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) app: String,
}

#[derive(Args, Debug)]
#[command(after_help = "\
A line has when the request ended, status, method and path, the dyno, and times. Then how it came to it: `asked` the
sidecar, of these dynos with so many requests (of their limit), the chosen one first; had it `reserved ahead`; or had it
`passed on` from a request that was done. Headers, bodies and query strings are never shown.

Nothing is paid for it while nobody looks, and little when somebody does: with more than `--rate` a second, or for who
reads too slowly, requests are left out here, and it is said how many. To the requests it is all the same.

Examples:
  meshctl tap shop
  meshctl tap shop --sample 0.01 --slow 500ms
  meshctl tap shop --status 5xx --json | jq .request.path
  meshctl tap shop --code H12
  meshctl tap shop --dyno web.1 --path /api/")]
pub(crate) struct Tap {
    /// The app
    pub(crate) app: String,

    /// This part of them, at random: above 0, up to 1
    #[arg(long, value_name = "PART", default_value = "1", value_parser = part)]
    pub(crate) sample: f64,

    /// Only those with this status, or of this class: 404, 5xx
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub(crate) status: Option<u32>,

    /// At most so many a second; 0: the default, 500
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub(crate) rate: u32,

    /// Only those of this dyno
    #[arg(long, value_name = "DYNO")]
    pub(crate) dyno: Option<String>,

    /// Only those whose path begins like this
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,

    /// Only those that went wrong like this: H12
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,

    /// Only those that took at least so long
    #[arg(long, value_name = "DURATION", value_parser = some_time)]
    pub(crate) slow: Option<Duration>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
The bar: requests in flight of what the app's dynos may have at once; if they
have no limit, the part of its dynos that has requests.

Keys: q, Esc or Ctrl-C leaves.

Examples:
  meshctl top
  meshctl top --once
  meshctl top --json --interval 5s | jq .apps[0]")]
pub(crate) struct Top {
    /// How often to look
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = some_time)]
    pub(crate) interval: Duration,

    /// Print one table (after one interval, for the rates) and leave
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl status
  meshctl status --wait 10s && echo ready

Exit code 0 when the sidecar is ready, 3 when it is not, 4 when it cannot be reached.")]
pub(crate) struct Status {
    /// Wait until it is ready, at most this long
    #[arg(long, value_name = "DURATION", value_parser = some_time)]
    pub(crate) wait: Option<Duration>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
SHARDS: how many of the 256 parts of all apps a sidecar decides for. GRANTS: for how many
of its own this one may decide at this moment. HEARD: since something came of it.

Examples:
  meshctl nodes
  meshctl nodes --json | jq -r '.members[].name'
  meshctl nodes forget r7")]
pub(crate) struct Nodes {
    #[command(subcommand)]
    pub(crate) command: Option<NodesCommand>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum NodesCommand {
    /// Say that a host which was a member is dead, with all requests that it had
    ///
    /// Until it comes back or this is said, exact apps keep free what it may still use.
    /// Say it of a host that is switched off: of one that is not, dynos may get a
    /// request too many.
    #[command(after_help = "\
Examples:
  meshctl nodes
  meshctl nodes forget r7")]
    Forget {
        /// Its name, as `meshctl nodes` has it
        name: String,
    },
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl completion bash > /etc/bash_completion.d/meshctl
  meshctl completion zsh  > \"${fpath[1]}/_meshctl\"
  meshctl completion fish > ~/.config/fish/completions/meshctl.fish")]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}
