//! The command line: what can be said, and its documentation.

mod app;
mod connection;
mod domain;
mod dyno;
mod mesh;
mod settings;
mod values;

use clap::{Parser, Subcommand};

pub(crate) use app::{App, Auth, Create, Delete, List, Page, Rules, Set};
pub(crate) use connection::{Address, Connection};
pub(crate) use domain::{Domain, Domains};
pub(crate) use dyno::{Add, Drain, Dyno, SetDyno, State};
pub(crate) use mesh::{
    Apply, Completion, Export, Maintenance, Nodes, NodesCommand, OnOff, Shell, Status, Tap, Top,
    Watch,
};
pub(crate) use settings::SettingsArgs;

/// Part of `--help`: what scripts rely on.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused by the mesh, wholly or in part (or a local file or output failed)
  2  usage: the command line or the input is wrong, nothing was sent
  3  not ready, or not within the time to wait
  4  the sidecar cannot be reached or does not answer

Examples:
  meshctl app create shop --domain shop.example.com --dyno 127.0.0.1:5001
  meshctl dyno add shop 127.0.0.1:5002
  meshctl top
  meshctl export > mesh.jsonl";

/// Sees and changes what the routing mesh does.
#[derive(Debug, Parser)]
#[command(name = "meshctl", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Print JSON (proto3's JSON mapping of the protocol) instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Changes: where the route log is away, have them queued and made when it is back
    #[arg(long, global = true)]
    pub(crate) queue: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create, look at, change and delete apps
    #[command(subcommand)]
    App(App),
    /// The names that an app answers to
    #[command(subcommand)]
    Domain(Domain),
    /// The backend processes that serve an app
    #[command(subcommand)]
    Dyno(Dyno),
    /// Answer an app's requests with the maintenance page, or serve them again
    Maintenance(Maintenance),
    /// Make many changes, given as JSON lines
    Apply(Apply),
    /// Print the JSON lines that make all apps again
    Export(Export),
    /// Print changes and events as they happen
    Watch(Watch),
    /// Print an app's requests as they end: which dyno, why that one, and how long it took
    Tap(Tap),
    /// A live view of what is busy
    Top(Top),
    /// Tell whether the sidecar is ready, and how much it has to do
    Status(Status),
    /// Show which sidecars are members, and what each decides for
    Nodes(Nodes),
    /// Print a shell's completion script
    Completion(Completion),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("meshctl").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        for noun in Cli::command().get_subcommands() {
            let leaves: Vec<_> = noun.get_subcommands().collect();
            for leaf in if leaves.is_empty() {
                vec![noun]
            } else {
                leaves
            } {
                let text = leaf.get_after_help().map(ToString::to_string);
                assert!(
                    text.is_some_and(|text| text.contains("meshctl ")),
                    "{} has no examples",
                    leaf.get_name()
                );
            }
        }
    }

    #[test]
    fn global_flags_go_anywhere() {
        for line in ["--json app list", "app --json list", "app list --json"] {
            assert!(parse(line).is_ok_and(|cli| cli.json), "{line}");
        }
    }

    #[test]
    fn of_two_opposite_flags_the_last_counts() {
        let Ok(Cli {
            command: Command::App(App::Set(set)),
            ..
        }) = parse("app set shop --wake --no-wake")
        else {
            panic!("not understood");
        };
        assert_eq!(set.settings.wake(), Some(false));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for line in [
            "",
            "app set shop --queue-timeout 10",
            "app create shop --policy best",
            "domain add shop",
            "dyno state shop web.1 sideways",
            "dyno set shop web.1",
            "dyno set shop web.1 --limit -1",
            "dyno set shop web.1 --limit many",
            "maintenance maybe shop",
            "app list --socket http://localhost:1",
            "app list --timeout 0s",
            "status --wait",
            "tap",
            "tap shop --sample 0",
            "tap shop --sample 1.5",
            "tap shop --status 6xx",
            "tap shop --slow 500",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_wait_may_have_a_limit() {
        let limit = |line| match parse(line) {
            Ok(Cli {
                command: Command::Dyno(Dyno::Drain(drain)),
                ..
            }) => Some(drain.wait),
            _ => None,
        };
        let seconds = std::time::Duration::from_secs;
        assert_eq!(limit("dyno drain shop web.1"), Some(None));
        assert_eq!(limit("dyno drain shop web.1 --wait"), Some(Some(None)));
        assert_eq!(
            limit("dyno drain shop web.1 --wait=9s"),
            Some(Some(Some(seconds(9))))
        );
    }
}
