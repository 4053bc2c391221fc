//! A stack as the Compose files make it, under a project's name of its own, looked at from outside.
//! It owns the env file, the one thing that tells a test's stack from a real one; it leaves the Compose files as they stand.
//! Invariant: dropped, it is gone with its volumes.

use super::engine::{IMAGE, Said, docker, eventually, limited, remove_project, run_with};
use crate::support::{PASSWORD, new_folder, unique};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A Compose project.
pub struct Stack {
    pub project: String,
    file: PathBuf,
    env_file: PathBuf,
    /// A container that can read the volume of backups, whatever the sidecar does.
    onlooker: OnceLock<String>,
}

impl Stack {
    /// One of `docker/compose.KIND.yml`, with an env file made of `.env.example`, the password, and these lines.
    pub fn new(kind: &str, settings: &[(&str, &str)]) -> Stack {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docker/compose.{kind}.yml"));
        Stack::of(file, kind, settings)
    }

    /// One of this Compose file.
    pub fn of(file: PathBuf, kind: &str, settings: &[(&str, &str)]) -> Stack {
        let project = format!("kluis-it-{}-{}", std::process::id(), unique(kind).replace('_', "-"));
        let stack = Stack { project, file, env_file: new_folder("stack").join("env"), onlooker: OnceLock::new() };
        stack.set(settings);
        stack
    }

    /// Writes the env file anew.
    pub fn set(&self, settings: &[(&str, &str)]) {
        let mut text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".env.example")).unwrap();
        assert!(text.contains("\nDB_PASSWORD=\n"), ".env.example has no password, and a place for one");
        let quick = [("SIDECAR_IMAGE", IMAGE), ("DB_PASSWORD", PASSWORD), ("DB_HEALTH_INTERVAL", "1s"), ("SIDECAR_HEALTH_INTERVAL", "1s")];
        for (name, value) in quick.iter().chain(settings) {
            text.push_str(&format!("{name}={value}\n"));
        }
        std::fs::write(&self.env_file, text).unwrap();
    }

    /// `docker compose` with these arguments.
    #[track_caller]
    pub fn compose(&self, arguments: &[&str]) -> Said {
        self.compose_with(arguments, b"", 180)
    }

    #[track_caller]
    fn compose_with(&self, arguments: &[&str], input: &[u8], seconds: u32) -> Said {
        let (file, env_file) = (self.file.to_str().unwrap(), self.env_file.to_str().unwrap());
        let fixed = ["compose", "--env-file", env_file, "--file", file, "--project-name", &self.project];
        run_with(limited(seconds, "docker", &[&fixed[..], arguments].concat()), input)
    }

    /// Builds the image of its service `backup`.
    pub fn build(&self) -> Said {
        self.compose_with(&["build", "backup"], b"", 2400)
    }

    /// Starts these services, and waits until the database is healthy.
    #[track_caller]
    pub fn up(&self, services: &[&str]) {
        self.compose(&[&["up", "--detach", "--no-build"], services].concat()).done();
        self.has_health("db", "healthy");
    }

    /// Runs `kluis` in the running sidecar.
    #[track_caller]
    pub fn exec(&self, arguments: &[&str]) -> Said {
        self.compose(&[&["exec", "--no-TTY", "backup", "kluis"], arguments].concat())
    }

    /// Runs a shell command in the running sidecar.
    #[track_caller]
    pub fn sh(&self, command: &str) -> String {
        self.compose(&["exec", "--no-TTY", "backup", "sh", "-c", command]).done()
    }

    /// Runs SQL in the database's container, as its owner.
    #[track_caller]
    pub fn sql(&self, database: &str, script: &str) -> String {
        let arguments = ["exec", "--no-TTY", "db", "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "aimtrack", "-d", database];
        self.compose_with(&arguments, script.as_bytes(), 180).done()
    }

    /// What an onlooker finds in the volume of backups, at `/backups`.
    #[track_caller]
    pub fn look(&self, command: &str) -> String {
        let onlooker = self.onlooker.get_or_init(|| {
            let label = format!("com.docker.compose.project={}", self.project);
            let volumes = docker(&["volume", "ls", "--quiet", "--filter", &format!("label={label}")]).done();
            let backups = volumes.lines().find(|name| name.contains("db_backups")).expect("there is a volume for the backups").to_owned();
            let mount = format!("{backups}:/backups:ro");
            let options =
                ["--detach", "--label", &label, "--volume", &mount, "--tmpfs", "/var/lib/postgresql/data", "--network", "none", "--entrypoint", "sleep"];
            docker(&[&["run"], &options[..], &[super::engine::BASE, "1800"]].concat()).done()
        });
        docker(&["exec", onlooker, "sh", "-c", command]).done()
    }

    /// All files of the repository, with their times and hashes.
    #[track_caller]
    pub fn fingerprint(&self) -> String {
        self.look("cd /backups && find . -printf '%p %y %m %u %s %T@ %C@\\n' | sort && find . -type f -exec sha256sum {} + | sort")
    }

    /// The lines of the target's history.
    #[track_caller]
    pub fn history(&self) -> Vec<Value> {
        self.look("cat /backups/aimtrack-*/history.jsonl 2>/dev/null || true").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The names of its backups.
    #[track_caller]
    pub fn backups(&self) -> Vec<String> {
        let found = self.look("ls -d /backups/aimtrack-*/2* 2>/dev/null || true");
        found.lines().map(|path| path.rsplit('/').next().unwrap().to_owned()).collect()
    }

    /// How many bytes of a script the run in progress has written.
    #[track_caller]
    pub fn in_progress(&self) -> u64 {
        self.look("stat -c %s /backups/aimtrack-*/.staging-*/aimtrack.sql.gz 2>/dev/null || true").parse().unwrap_or(0)
    }

    /// The container of a service.
    #[track_caller]
    pub fn container(&self, service: &str) -> String {
        let id = self.compose(&["ps", "--all", "--quiet", service]).done();
        assert!(!id.is_empty() && !id.contains('\n'), "one container of '{service}' was expected: {id:?}");
        id
    }

    /// A fact about it, by a template of `docker inspect`.
    #[track_caller]
    pub fn inspect(&self, service: &str, template: &str) -> String {
        docker(&["inspect", "--format", template, &self.container(service)]).done()
    }

    /// Waits for a health.
    #[track_caller]
    pub fn has_health(&self, service: &str, wanted: &str) {
        let container = self.container(service);
        eventually(&format!("'{service}' is {wanted}"), 90, || {
            let said = docker(&["inspect", "--format", "{{.State.Health.Status}} {{.State.Status}} {{.State.ExitCode}}", &container]).done();
            assert!(!said.contains("exited"), "'{service}' has ended ({said}): {}", self.compose(&["logs", service]).stdout);
            said.starts_with(&format!("{wanted} ")).then_some(())
        });
    }

    /// Waits until no session of kluis is in the database.
    #[track_caller]
    pub fn has_no_session(&self) {
        eventually("no session of kluis is left", 30, || {
            (self.sql("aimtrack", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kluis'") == "0").then_some(())
        });
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = limited(30, "docker", &["compose", "--env-file"])
                .arg(&self.env_file)
                .arg("--file")
                .arg(&self.file)
                .args(["--project-name", &self.project, "logs", "--tail", "40"])
                .output();
            if let Ok(logs) = logs {
                eprintln!("the stack's last words:\n{}{}", String::from_utf8_lossy(&logs.stdout), String::from_utf8_lossy(&logs.stderr));
            }
        }
        remove_project(&self.project);
    }
}
