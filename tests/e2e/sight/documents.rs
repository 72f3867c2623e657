//! docs/metrics.md and the dashboard name what there is, and all of it.

use std::{collections::BTreeSet, path::Path, process::Command};

use e2e::{
    Mesh,
    harness::{Metrics, run},
};

/// Of a file of the project.
fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Family, type and meaning of each series that there is.
fn families(metrics: &Metrics) -> BTreeSet<(String, String, String)> {
    let of = |word: &str| {
        let lines = metrics.text.lines();
        let lines = lines.filter_map(|line| line.strip_prefix(word)?.split_once(' '));
        lines
            .map(|(name, rest)| (name.to_owned(), rest.to_owned()))
            .collect::<Vec<_>>()
    };
    let (help, kinds) = (of("# HELP "), of("# TYPE "));
    assert_eq!(help.len(), kinds.len());
    let both = help.into_iter().zip(kinds);
    both.map(|((name, help), (_, kind))| {
        let suffix = if kind == "counter" { "_total" } else { "" };
        (format!("{name}{suffix}"), kind, help)
    })
    .collect()
}

#[test]
fn the_table_is_what_is_served() {
    run(async {
        let mesh = Mesh::builder().web().start().await;
        let metrics = mesh.metrics().await;
        let page = text("docs/metrics.md");
        let rows = page.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let name = cells.next()?.trim_end_matches('`').to_owned();
            let kind = cells.next()?.to_owned();
            let help = cells.nth(1)?.trim_end_matches(" |").to_owned();
            Some((name, kind, help))
        });
        let (documented, served) = (rows.collect::<BTreeSet<_>>(), families(&metrics));
        let missing: Vec<_> = served.difference(&documented).collect();
        let surplus: Vec<_> = documented.difference(&served).collect();
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "{missing:#?} {surplus:#?}"
        );
        check(&metrics);
        mesh.finish().await;
    });
}

/// By Prometheus itself, where it is installed.
fn check(metrics: &Metrics) {
    assert!(metrics.text.ends_with("# EOF\n"));
    if Command::new("promtool").arg("--version").output().is_err() {
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &metrics.text).unwrap();
    let output = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(file.reopen().unwrap())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(!words.contains("error while linting"), "{words}");
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    run(async {
        let mesh = Mesh::builder().web().start().await;
        let families = families(&mesh.metrics().await);
        let dashboard: serde_json::Value =
            serde_json::from_str(&text("packaging/grafana/dynomesh.json")).unwrap();
        let mut queries = Vec::new();
        collect(&dashboard, &mut queries);
        assert!(queries.len() >= 10, "{queries:?}");
        for query in queries {
            let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let named: Vec<_> = words.filter(|word| word.starts_with("dynomesh_")).collect();
            assert!(!named.is_empty(), "{query}");
            for name in named {
                let plain = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| name.strip_suffix(suffix))
                    .unwrap_or(name);
                let known = families
                    .iter()
                    .any(|(family, ..)| family == name || family == plain);
                assert!(known, "no {name}: {query}");
            }
        }
        mesh.finish().await;
    });
}

/// Everything that is asked of Prometheus.
fn collect(value: &serde_json::Value, queries: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    serde_json::Value::String(text) if key == "expr" || key == "definition" => {
                        queries.push(text.clone());
                    }
                    value => collect(value, queries),
                }
            }
        }
        serde_json::Value::Array(values) => {
            values.iter().for_each(|value| collect(value, queries));
        }
        _ => {}
    }
}
