//! The image and the stacks of `docker/`, in real containers, with the Compose files as they stand: only the env file is a test's own.
//! Needs an engine and the images that the Dockerfile starts from: `scripts/container-host start`.

mod dev_dump;
mod engine;
mod files;
mod notes;
mod stack;

use crate::support::{CANARY, PASSWORD, is_root, new_folder};
use engine::{BASE, IMAGE, docker, eventually};
use kluis::postgres::sandbox::Support;
use stack::Stack;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const SAMPLE: &str = include_str!("../sql/aimtrack.sql");
/// Due once a year, so that what a sidecar does now it does for other reasons.
const YEARLY: (&str, &str) = ("BACKUP_SCHEDULE", "0 0 1 1 *");

/// Builds the image, once. Nothing, and a loud skip, where there is no engine.
fn image() -> Option<()> {
    static BUILT: OnceLock<()> = OnceLock::new();
    if !engine::is_there() {
        return None;
    }
    BUILT.get_or_init(|| {
        let before = docker(&["image", "inspect", "--format", "{{.Id}}", IMAGE]);
        Stack::new("staging", &[]).build().done();
        let after = docker(&["image", "inspect", "--format", "{{.Id}}", IMAGE]).done();
        if before.code == Some(0) && before.stdout.trim() != after {
            docker(&["image", "rm", before.stdout.trim()]);
        }
    });
    Some(())
}

/// Facts about the image.
#[track_caller]
fn image_fact(template: &str) -> String {
    docker(&["image", "inspect", "--format", template, IMAGE]).done()
}

#[test]
fn the_image_adds_little_to_the_databases_own() {
    let Some(()) = image() else { return };
    let layers = |image: &str| docker(&["image", "inspect", "--format", "{{range .RootFS.Layers}}{{println .}}{{end}}", image]).done();
    assert!(layers(IMAGE).starts_with(&layers(BASE)), "the base's layers are shared");
    let size = |image: &str| docker(&["image", "inspect", "--format", "{{.Size}}", image]).done().parse::<u64>().unwrap();
    let added = size(IMAGE) - size(BASE);
    assert!(added < 25_000_000, "the image adds {added} bytes");
    eprintln!("the image adds {:.1} MB", added as f64 / 1e6);
    for (template, expected) in [
        ("{{.Config.User}}", "999:999"),
        ("{{json .Config.Entrypoint}} {{json .Config.Cmd}}", r#"["kluis"] ["serve"]"#),
        ("{{.Config.StopSignal}}", "SIGTERM"),
        ("{{json .Config.Healthcheck.Test}}", r#"["CMD","kluis","status","--quiet","--wait"]"#),
    ] {
        assert_eq!(image_fact(template), expected, "{template}");
    }
    assert!(image_fact("{{json .Config.Env}}").contains("BACKUP_DIR=/backups"));
    // What the base has in its environment is no setting of ours.
    let tmpfs = ["--rm", "--read-only", "--cap-drop", "ALL", "--tmpfs", "/var/lib/postgresql/data"];
    let config = docker(&[&["run"], &tmpfs[..], &["--env", "DB_DATABASE=x", "--env", "DB_USERNAME=x", IMAGE, "config"]].concat()).ended(0);
    assert!(config.stderr.is_empty() && config.stdout.contains("/backups"), "{config:#?}");
    let version = docker(&[&["run"], &tmpfs[..], &["--entrypoint", "pg_dump", IMAGE, "--version"]].concat()).done();
    assert!(version.starts_with("pg_dump (PostgreSQL) 16."), "{version}");
}

#[test]
fn staging_backs_itself_up() {
    let Some(()) = image() else { return };
    // Whatever is not the newest goes.
    let stack =
        Stack::new("staging", &[("BACKUP_SCHEDULE", "* * * * *"), ("BACKUP_RETENTION_DAYS", "0"), ("BACKUP_KEEP_WEEKLY", "0"), ("BACKUP_KEEP_MIN", "1")]);
    // As it is written in the runbook, with nothing there yet: it brings the database along.
    let dry_run = stack.compose(&["run", "--rm", "backup", "--dry-run"]).ended(0);
    assert!(dry_run.stdout.contains("aimtrack"), "{dry_run:#?}");
    stack.has_health("db", "healthy");
    assert_eq!(stack.look("find /backups -mindepth 1"), "");
    stack.sql("aimtrack", SAMPLE);
    stack.sql("aimtrack", &format!("CREATE TABLE canary AS SELECT '{CANARY}' AS v"));
    // Code of a database runs in the drill, under the user that owns the repository.
    stack.sql(
        "aimtrack",
        "CREATE FUNCTION escape() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
            IF current_setting('cluster_name') <> 'kluis-throwaway' THEN RETURN true; END IF;
            BEGIN COPY (SELECT 1) TO '/backups/aimtrack-staging/escaped'; EXCEPTION WHEN insufficient_privilege THEN END;
            BEGIN COPY (SELECT 1) TO '/tmp/escaped'; EXCEPTION WHEN insufficient_privilege THEN END;
            BEGIN COPY (SELECT 1) TO PROGRAM 'touch /scratch/escaped'; EXCEPTION WHEN insufficient_privilege OR out_of_memory THEN END;
            BEGIN PERFORM pg_read_file('/backups/log/kluis.log'); RETURN false; EXCEPTION WHEN insufficient_privilege THEN END;
            RETURN true; END $$;
        CREATE TABLE trap (id int CHECK (escape())); INSERT INTO trap VALUES (1)",
    );
    let users = stack.sql("aimtrack", "SELECT count(*) FROM users");

    stack.up(&[]);
    confined(&stack);
    let (first, run) = eventually("the first backup", 60, || Some((stack.backups().pop()?, stack.history().pop()?)));
    assert!(run["outcome"] == "done" && run["proof"] == "proven", "{run:#}");
    let proof = stack.look("cat /backups/aimtrack-staging/2*/proof.json");
    assert!(!Support::of_this_machine().open().is_empty() || proof.contains(r#""sandbox": "full""#) || proof.contains(r#""sandbox":"full""#), "{proof}");
    assert_eq!(stack.sh("find /backups /scratch /tmp -name escaped"), "");
    stack.has_health("backup", "healthy");
    let list = stack.exec(&["list"]).done();
    assert!(list.contains("proven"), "{list}");
    stack.exec(&["status"]).ended(0);
    reaps(&stack);

    // The first one was owed from before the start. This one comes when its minute does.
    let run = eventually("a run by schedule", 100, || stack.history().into_iter().find(|run| run["backup"] != first.as_str()));
    assert!(run["trigger"] == "schedule" && run["outcome"] == "done" && run["proof"] == "proven", "{run:#}");
    let second = run["started"].as_str().unwrap()[17..19].parse::<u32>().unwrap();
    assert!(second <= 2, "it began at the minute: {run:#}");
    eventually("the older one is deleted", 10, || (!stack.backups().contains(&first)).then_some(()));
    let log = stack.look("cat /backups/log/kluis.log");
    for part in ["serves 1 target in /backups", "run began (schedule)", "proven", &first] {
        assert!(log.contains(part), "'{part}' is not in {log}");
    }
    let said = stack.compose(&["logs", "--no-log-prefix", "backup"]).done();
    for secret in [CANARY, PASSWORD, "@example", "postgresql://"] {
        assert!(!log.contains(secret) && !said.contains(secret), "{secret}: {log}");
    }

    let restore = r#"PGPASSWORD=$DB_PASSWORD kluis restore latest --create --to "postgresql://$DB_USERNAME@db/restored""#;
    stack.sh(restore);
    assert_eq!(stack.sql("restored", "SELECT count(*) FROM users"), users);
    assert_eq!(stack.sql("restored", "SELECT v FROM canary"), CANARY);
    let peak = stack.sh("cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes /sys/fs/cgroup/memory.peak 2>/dev/null || true");
    eprintln!("peak memory of the sidecar, file cache included: {} bytes", peak.trim());
    stack.compose(&["down", "--volumes", "--timeout", "30"]).done();
}

/// Who the sidecar is, and what it may not do.
fn confined(stack: &Stack) {
    let status = stack.sh("cat /proc/1/status");
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(field("Uid:"), "999 999 999 999");
    assert_eq!(field("Gid:"), "999 999 999 999");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(stack.inspect("backup", "{{.HostConfig.ReadonlyRootfs}}"), "true");
    // The volume and memory, and nothing else.
    let writable = stack.sh("find / -xdev -maxdepth 3 -type d -writable -not -path '/proc/*' 2>/dev/null | sort");
    assert_eq!(writable.split_whitespace().collect::<Vec<_>>(), ["/backups", "/scratch", "/tmp", "/var/lib/postgresql"]);
    let volumes = stack.inspect("backup", r#"{{range .Mounts}}{{if eq .Type "volume"}}{{.Destination}} {{end}}{{end}}"#);
    let mut volumes: Vec<&str> = volumes.split_whitespace().collect();
    volumes.sort_unstable();
    assert_eq!(volumes, ["/backups", "/scratch"], "the one that the base asks for is not made");
    assert_eq!(stack.sh("stat -c '%U %a' /backups"), "postgres 700");
    for file in ["/usr/local/bin/x", "/x", "/var/lib/x"] {
        assert_ne!(stack.compose(&["exec", "--no-TTY", "backup", "touch", file]).code, Some(0), "{file}");
    }
}

/// Orphans do not stay as zombies.
fn reaps(stack: &Stack) {
    for _ in 0..3 {
        stack.sh("sh -c 'sleep 0.3' >/dev/null 2>&1 & sh -c 'sleep 0.1' >/dev/null 2>&1 & exit 0");
    }
    let zombies = "for f in /proc/[0-9]*/stat; do read -r line <$f 2>/dev/null && case ${line##*) } in Z*) echo $line;; esac; done; true";
    eventually("no zombie is left", 10, || stack.sh(zombies).is_empty().then_some(()));
}

#[test]
fn production_survives_bad_days() {
    let Some(()) = image() else { return };
    let wrong = "not-the-password-of-anybody";
    let dump = [YEARLY, ("BACKUP_COMPRESSION", "smallest"), ("BACKUP_JOBS", "1")];
    let stack = Stack::new("production", &dump);
    stack.up(&["db"]);
    stack.sql("aimtrack", "CREATE TABLE bulk AS SELECT i AS id, md5(i::text) || md5((-i)::text) || md5((i * 7)::text) AS t FROM generate_series(1, 500000) i");

    // A wrong password: told, without it, and no health.
    stack.set(&[&dump[..], &[("DB_PASSWORD", wrong)]].concat());
    stack.compose(&["up", "--detach", "--no-build", "--no-deps", "backup"]).done();
    stack.has_health("backup", "unhealthy");
    let log = stack.look("cat /backups/log/kluis.log");
    let said = stack.compose(&["logs", "--no-log-prefix", "backup"]).done();
    let health = stack.inspect("backup", "{{json .State.Health}}");
    for text in [&log, &said] {
        assert!(text.contains("password authentication failed") && text.contains("will be tried again"), "{text}");
    }
    assert!(![&log, &said, &health].iter().any(|text| text.contains(wrong) || text.contains(PASSWORD)), "{log} {said} {health}");
    assert_eq!(stack.exec(&["status"]).ended(4).stdout.matches("no backup").count(), 1);

    // Stopped in the middle of a dump.
    stack.set(&dump);
    stack.compose(&["up", "--detach", "--no-build", "--no-deps", "backup"]).done();
    in_the_middle(&stack);
    let asked = Instant::now();
    stack.compose(&["stop", "backup"]).done();
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(12), "it took {took:?}");
    assert_eq!(stack.inspect("backup", "{{.State.ExitCode}} {{.State.OOMKilled}}"), "0 false");
    assert_eq!(stack.look("find /backups/aimtrack-production -mindepth 1 -name '2*' -o -name '.staging*'"), "");
    stack.has_no_session();

    // Killed in the middle of a dump: it comes back by itself, and catches up.
    stack.compose(&["start", "backup"]).done();
    in_the_middle(&stack);
    if is_root() {
        // As the kernel does it when memory is short: Docker does not know that it was meant.
        let pid: i32 = stack.inspect("backup", "{{.State.Pid}}").parse().unwrap();
        stack.compose(&["unpause", "backup"]).done();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).expect("its process can be killed");
        eventually("Docker starts it again", 30, || (stack.inspect("backup", "{{.RestartCount}} {{.State.Running}}") == "1 true").then_some(()));
    } else {
        stack.compose(&["kill", "backup"]).done();
        stack.compose(&["start", "backup"]).done();
    }
    let run = eventually("it catches up", 90, || stack.history().into_iter().find(|run| run["outcome"] == "done"));
    assert!(run["trigger"] == "catch-up" && run["proof"] == "proven" && run["rows"] == 500_000, "{run:#}");
    assert_eq!(stack.look("find /backups/aimtrack-production -name '.staging*'"), "");
    assert_eq!(stack.backups().len(), 1);
    stack.has_health("backup", "healthy");
    stack.has_no_session();

    // A dry run beside it leaves everything as it is.
    let before = stack.fingerprint();
    let dry_run = stack.compose(&["run", "--rm", "backup", "--dry-run"]).ended(0);
    assert!(dry_run.stdout.contains("aimtrack"), "{dry_run:#?}");
    assert_eq!(stack.fingerprint(), before);
    // So does a restart: nothing was missed.
    stack.compose(&["restart", "backup"]).done();
    stack.has_health("backup", "healthy");
    assert_eq!(stack.backups().len(), 1);
}

/// Holds the sidecar when it has written some rows; a stop or a kill comes in the middle of the dump then.
fn in_the_middle(stack: &Stack) {
    eventually("rows are being written", 60, || (stack.in_progress() > 200_000).then_some(()));
    stack.compose(&["pause", "backup"]).done();
    assert!(stack.in_progress() > 0, "the dump was over before it could be held: {}", stack.look("ls -la /backups/*"));
}

#[test]
fn a_docker_secret_and_scratch_in_memory() {
    let Some(()) = image() else { return };
    let folder = new_folder("secret");
    let secret = folder.join("password");
    std::fs::write(&secret, PASSWORD).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o444)).unwrap();
    // As the file's own head says.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docker/compose.staging.yml")).unwrap();
    let edited: Vec<String> =
        text.lines().filter(|line| !line.contains("DB_PASSWORD:?")).map(|line| line.replace("#secret ", "").replace("#memory ", "")).collect();
    let file = folder.join("compose.yml");
    std::fs::write(&file, edited.join("\n").replace("context: ..", &format!("context: {}", root.display()))).unwrap();
    let stack = Stack::of(file, "secret", &[YEARLY, ("DB_PASSWORD", ""), ("BACKUP_ALLOW_EMPTY", "yes"), ("DB_PASSWORD_SECRET", secret.to_str().unwrap())]);
    stack.up(&[]);
    let run = eventually("the first backup", 60, || stack.history().pop());
    assert!(run["outcome"] == "done" && run["proof"] == "proven", "{run:#}");
    assert!(!stack.inspect("backup", "{{json .Config.Env}}").contains(PASSWORD));
    assert_eq!(stack.sh("stat -f -c %T /scratch"), "tmpfs");
    assert_eq!(stack.sh("ls -A /scratch/kluis"), "page-token\nrepositories.json", "the throwaway server is gone");
}
