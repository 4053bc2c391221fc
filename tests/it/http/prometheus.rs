//! Metrics as Prometheus sees them: promtool's judgement on the texts and the alarms, and a real Prometheus that scrapes a real `kluis serve`.

use super::client::get;
use super::sample::{self, Sample};
use super::{TOKEN, serve};
use crate::support::kluis::kluis;
use crate::support::repo::Repo;
use crate::support::{new_folder, skip, wait_for, wait_until};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A program of Prometheus's package, in PATH or where `scripts/fetch-prometheus` puts it.
fn program(name: &str) -> Option<PathBuf> {
    let fetched = root().join(".cache/prometheus/usr/bin").join(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::iter::once(fetched).chain(std::env::split_paths(&path).map(|folder| folder.join(name))).find(|path| path.is_file());
    if found.is_none() {
        skip(&format!("{name} is not there"), "scripts/fetch-prometheus");
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metrics(sample: &Sample) -> String {
    let server = serve(sample.site());
    get(server.address(), "/metrics", &[]).body
}

/// Series without their values.
fn series(text: &str) -> BTreeSet<String> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == series));
    line.unwrap_or_else(|| panic!("no series {series} in\n{text}")).rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn every_series_is_there_from_the_start_and_again_after_a_restart() {
    let mut sample = Sample::new();
    sample.unborn("shop");
    let (before, folder) = (metrics(&sample), sample.root.join("shop"));
    assert_eq!(value(&before, "kluis_last_success_timestamp_seconds{target=\"shop\"}"), 0.0);
    assert_eq!(value(&before, "kluis_state{target=\"shop\",state=\"starting\"}"), 1.0);
    // The same target, a year later.
    let mut later = Sample::new();
    later.year("shop", 5, 240_000, &[(3, "unproven"), (9, "failed")]);
    std::fs::rename(later.root.join("shop"), &folder).unwrap();
    sample.except("shop", 25);
    let text = metrics(&sample);
    assert_eq!(series(&before), series(&text), "no series comes or goes");
    for (series, expected) in [
        ("kluis_fresh{target=\"shop\"}", 1.0),
        ("kluis_runs_total{target=\"shop\",result=\"done\"}", 363.0),
        ("kluis_runs_total{target=\"shop\",result=\"warned\"}", 1.0),
        ("kluis_runs_total{target=\"shop\",result=\"failed\"}", 1.0),
        ("kluis_last_run_result{target=\"shop\",result=\"done\"}", 1.0),
        ("kluis_last_backup_rows{target=\"shop\"}", 532_000.0),
        ("kluis_last_backup_tables{target=\"shop\"}", 42.0),
        ("kluis_max_age_seconds{target=\"shop\"}", 97_200.0),
        ("kluis_backups_kept{target=\"shop\",tier=\"pinned\"}", 1.0),
        ("kluis_backups_kept{target=\"shop\",tier=\"days\"}", 7.0),
        ("kluis_backups{target=\"shop\",standing=\"read\"}", 1.0),
        ("kluis_last_run_step_duration_seconds{target=\"shop\",step=\"dump\"}", 8.0),
        ("kluis_proof_exceptions{target=\"shop\",class=\"invalid-index\"}", 3.0),
        ("kluis_proof_exceptions{target=\"shop\",class=\"generated-column\"}", 2.0),
        ("kluis_database_empty{target=\"shop\"}", 0.0),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
    let age = jiff::Timestamp::now().as_second() as f64 - value(&text, "kluis_newest_proven_restore_point_timestamp_seconds{target=\"shop\"}");
    assert!((17_990.0..18_100.0).contains(&age), "{age}");
    assert!(value(&text, "kluis_next_run_timestamp_seconds{target=\"shop\"}") > jiff::Timestamp::now().as_second() as f64);
    // A server that was started anew tells the same.
    assert_eq!(series(&text), series(&metrics(&sample)));
    assert_eq!(value(&metrics(&sample), "kluis_runs_total{target=\"shop\",result=\"done\"}"), 363.0);
    // No backup's name is a label.
    assert!(!text.contains("20") || !text.lines().any(|line| line.contains('{') && line.contains('T') && line.contains("Z\"")), "{text}");
}

#[test]
fn promtool_finds_nothing_wrong() {
    let Some(promtool) = program("promtool") else { return };
    let server = serve(sample::many().site());
    let prometheus = get(server.address(), "/metrics", &["Accept: text/plain"]);
    assert_eq!(prometheus.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut check = Command::new(&promtool).args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    check.stdin.take().unwrap().write_all(prometheus.body.as_bytes()).unwrap();
    let said = check.wait_with_output().unwrap();
    assert!(
        said.status.success() && said.stdout.is_empty() && said.stderr.is_empty(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]] {
        let said = Command::new(&promtool).args(arguments).current_dir(root().join("deploy/prometheus")).output().unwrap();
        assert!(said.status.success(), "{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    }
    let open = get(server.address(), "/metrics", &["Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5"]);
    assert!(open.header("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0"), "{}", open.head);
    assert!(open.body.ends_with("# EOF\n") && open.body.contains("# TYPE kluis_runs counter\n") && open.body.contains("\nkluis_runs_total{"), "{}", open.body);
}

/// The metrics that a text speaks of.
fn spoken_of(text: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split(word).filter(|word| word.starts_with("kluis_")).map(str::to_owned).collect()
}

#[test]
fn alarms_and_dashboard_speak_only_of_what_there_is() {
    let text = metrics(&sample::many());
    let there: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for file in ["deploy/prometheus/alerts.yml", "deploy/grafana/kluis.json"] {
        let content = std::fs::read_to_string(root().join(file)).unwrap();
        let spoken = spoken_of(&content);
        assert!(spoken.len() > 8, "{file}: {spoken:?}");
        for name in spoken {
            assert!(there.contains(name.as_str()), "{file} speaks of {name}, which does not exist");
        }
    }
    // Every alarm has a test, and the operators' guide explains each.
    let alarms = std::fs::read_to_string(root().join("deploy/prometheus/alerts.yml")).unwrap();
    let (tests, guide) = (
        std::fs::read_to_string(root().join("deploy/prometheus/alerts.test.yml")).unwrap(),
        std::fs::read_to_string(root().join("docs/OPERATIONS.md")).unwrap(),
    );
    let names: Vec<&str> = alarms.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 8);
    for name in names {
        assert!(tests.contains(&format!("alertname: {name}")), "{name} has no test");
        assert!(guide.contains(&format!("`{name}`")), "{name} is not explained");
    }
    let dashboard: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(root().join("deploy/grafana/kluis.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert!(panels.len() > 8 && ids.len() == panels.len() && panels.iter().all(|panel| panel["targets"][0]["expr"].is_string()));
}

/// Prometheus; dropped, it has ended.
struct Prometheus(Child, SocketAddr);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port()
}

impl Prometheus {
    fn start(program: &Path, kluis: u16) -> Prometheus {
        let (folder, port) = (new_folder("prometheus"), free_port());
        let rules = std::fs::read_to_string(root().join("deploy/prometheus/alerts.yml")).unwrap();
        // The same rules, without their patience.
        let hasty: String =
            rules.lines().map(|line| if line.trim().starts_with("for: ") { "        for: 1s\n".to_owned() } else { format!("{line}\n") }).collect();
        std::fs::write(folder.join("alerts.yml"), hasty).unwrap();
        std::fs::write(folder.join("token"), TOKEN).unwrap();
        let example = std::fs::read_to_string(root().join("deploy/prometheus/prometheus.yml")).unwrap();
        let configuration = example
            .replace("scrape_interval: 1m", "scrape_interval: 1s")
            .replace("/etc/prometheus/kluis-token", folder.join("token").to_str().unwrap())
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{kluis}"));
        std::fs::write(folder.join("prometheus.yml"), format!("global: {{evaluation_interval: 1s, scrape_timeout: 1s}}\n{configuration}")).unwrap();
        let child = Command::new(program)
            .current_dir(&folder)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", &format!("--web.listen-address=127.0.0.1:{port}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        Prometheus(child, SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// The alarms that fire: name and target.
    fn firing(&self) -> BTreeMap<(String, String), String> {
        let Ok(_) = std::net::TcpStream::connect(self.1) else { return BTreeMap::new() };
        let answer = get(self.1, "/api/v1/alerts", &[]);
        let value: serde_json::Value = serde_json::from_str(&unchunked(&answer.body)).unwrap_or_default();
        let alerts = value["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let word = |alert: &serde_json::Value, key: &str| alert["labels"][key].as_str().unwrap_or("").to_owned();
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        firing.map(|alert| ((word(alert, "alertname"), word(alert, "target")), alert["annotations"]["summary"].as_str().unwrap_or("").to_owned())).collect()
    }
}

/// A body that came in chunks, or one that did not.
fn unchunked(body: &str) -> String {
    body.lines().filter(|line| line.starts_with('{') || line.starts_with('[')).collect()
}

#[test]
fn a_real_prometheus_scrapes_a_real_sidecar_and_an_alarm_fires() {
    let Some(program) = program("prometheus") else { return };
    let (repo, port) = (Repo::new(), free_port());
    // No database listens there: the first run fails, and so do its retries.
    let sidecar = kluis(&["serve"])
        .keeping(&repo)
        .env("DB_HOST", "127.0.0.1")
        .env("DB_PORT", "1")
        .env("DB_DATABASE", "shop")
        .env("DB_USERNAME", "nobody")
        .env("BACKUP_HTTP", format!("127.0.0.1:{port}"))
        .env("BACKUP_HTTP_TOKEN", TOKEN)
        .start();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    wait_until("the sidecar answers", || std::net::TcpStream::connect(address).is_ok());
    assert_eq!(get(address, "/metrics", &["Authorization:"]).status, 401);
    let prometheus = Prometheus::start(&program, port);
    let summary = wait_for("the alarm fires", || prometheus.firing().get(&("KluisBackupOverdue".to_owned(), "app".to_owned())).cloned());
    assert_eq!(summary, "app: the newest backup that counts is older than BACKUP_MAX_AGE, or there is none");
    wait_until("the failed run is an alarm too", || prometheus.firing().contains_key(&("KluisLastRunFailed".to_owned(), "app".to_owned())));
    assert!(!prometheus.firing().keys().any(|(name, _)| name == "KluisDown"));
    sidecar.signal(rustix::process::Signal::TERM);
    let ended = sidecar.wait();
    assert!(ended.code == Some(0) && ended.stderr.contains(&format!("the status page is at 127.0.0.1:{port}")), "{ended:#?}");
    assert!(!ended.stderr.contains(TOKEN));
    wait_until("its silence is an alarm", || prometheus.firing().keys().any(|(name, _)| name == "KluisDown"));
}
