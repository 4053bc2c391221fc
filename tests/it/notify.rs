//! Messages, to real receivers on loopback: every kind, and every way in which a receiver can be bad.
//! What is due when is tested in `src/notify/decide/tests.rs`; here is that it arrives, and that nothing waits for it or shows what it must not.

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Ended, Kluis, Running, kluis};
use crate::support::receivers::{Answer, Authority, Got, HttpReceiver, MailReceiver, Tls};
use crate::support::repo::Repo;
use crate::support::{CANARY, PASSWORD, new_folder, wait_until};
use rustix::process::Signal;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Stands in every URL where a token or a path would be.
const TOKEN: &str = "kluis-canary-token";

/// Tells a test message to these receivers.
fn test(urls: &[String]) -> Kluis {
    kluis(&["notify", "test"]).keeping(&Repo::new()).env("BACKUP_NOTIFY", urls.join(" "))
}

#[track_caller]
fn no_token(text: &str) {
    assert!(!text.contains(TOKEN), "{text}");
}

/// Ends it, and sees that it told no token.
#[track_caller]
fn quiet(ended: Ended) -> Ended {
    no_token(&format!("{}{}", ended.stdout, ended.stderr));
    ended
}

#[test]
fn each_kind_gets_what_it_understands() {
    let receiver = HttpReceiver::new();
    let port = receiver.port;
    let urls = [
        format!("http://127.0.0.1:{port}/{TOKEN}/hook"),
        format!("slack+http://127.0.0.1:{port}/{TOKEN}/slack"),
        format!("discord+http://127.0.0.1:{port}/{TOKEN}/discord"),
        format!("ntfy+http://{TOKEN}@127.0.0.1:{port}/backups"),
        format!("gotify+http://{TOKEN}@127.0.0.1:{port}"),
        format!("telegram://12:{TOKEN}@-100?api=http://127.0.0.1:{port}"),
        format!("healthchecks+http://127.0.0.1:{port}/ping/{TOKEN}"),
        format!("kuma+http://127.0.0.1:{port}/api/push/{TOKEN}"),
    ];
    let ended = quiet(test(&urls).run().done());
    assert_eq!(ended.stdout.lines().filter(|line| line.contains(&format!("127.0.0.1:{port}")) && line.contains(" ok")).count(), 8, "{ended:#?}");
    let got = receiver.got();
    let of = |path: &str| got.iter().find(|got| got.path == path).unwrap_or_else(|| panic!("{path}: {got:#?}")).clone();
    assert_eq!(got.len(), 8);
    let hook = of(&format!("/{TOKEN}/hook"));
    let body = hook.json();
    assert_eq!((hook.method.as_str(), body["version"].as_u64(), body["event"].as_str()), ("POST", Some(1), Some("test")), "{hook:?}");
    assert!(hook.header("content-type") == Some("application/json") && hook.header("kluis-event") == Some("test"));
    assert!(hook.header("user-agent").unwrap().starts_with("kluis/") && hook.header("kluis-signature").is_none());
    assert!(of(&format!("/{TOKEN}/slack")).json()["text"].as_str().unwrap().starts_with("kluis: this is a test\n"));
    assert_eq!(of(&format!("/{TOKEN}/discord")).json()["username"], "Kluis");
    let ntfy = of("/");
    assert_eq!((ntfy.json()["topic"].as_str(), ntfy.header("authorization")), (Some("backups"), Some(format!("Bearer {TOKEN}").as_str())));
    assert_eq!(of("/message").header("x-gotify-key"), Some(TOKEN));
    assert_eq!(of(&format!("/bot12:{TOKEN}/sendMessage")).json()["chat_id"], "-100");
    assert!(of(&format!("/ping/{TOKEN}/log")).body.contains("this is a test"));
    let kuma = got.iter().find(|got| got.path.starts_with(&format!("/api/push/{TOKEN}?status=up&msg="))).unwrap();
    assert_eq!(kuma.method, "GET");
}

#[test]
fn a_signature_is_the_one_that_openssl_computes() {
    let receiver = HttpReceiver::new();
    let url = format!("http://127.0.0.1:{}/", receiver.port);
    let secret = new_folder("secret").join("key");
    std::fs::write(&secret, format!("{TOKEN}\n")).unwrap();
    quiet(test(&[url]).env("BACKUP_NOTIFY_SECRET_FILE", &secret).run().done());
    let got = receiver.got().remove(0);
    let (time, mac) = got.header("kluis-signature").unwrap().strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let mut openssl = Command::new("openssl").args(["dgst", "-sha256", "-hmac", TOKEN]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    openssl.stdin.take().unwrap().write_all(format!("{time}.{}", got.body).as_bytes()).unwrap();
    let said = String::from_utf8(openssl.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(said.trim().rsplit(' ').next(), Some(mac));
    let age = jiff::Timestamp::now().as_second() - time.parse::<i64>().unwrap();
    assert!((0..60).contains(&age), "{age}");
}

#[test]
fn every_bad_answer_is_a_failure_that_says_so_in_time_and_without_the_url() {
    let other = HttpReceiver::new();
    for (answer, reason) in [
        (Answer::Status(500, TOKEN), "it answered with status 500"),
        (Answer::Status(429, TOKEN), "it answered with status 429"),
        (Answer::Status(404, TOKEN), "it answered with status 404: is the URL still right?"),
        (Answer::Redirect(format!("http://127.0.0.1:{}/{TOKEN}", other.port)), "a redirect (status 302), which is not followed"),
        (Answer::Close, "it closed the connection without an answer"),
        (Answer::Flood, "its answer is not understood"),
        (Answer::Hang, "no answer within 15 s"),
        (Answer::Trickle, "no answer within 15 s"),
    ] {
        let receiver = HttpReceiver::new();
        receiver.answer(answer.clone());
        let ended = quiet(test(&[format!("http://127.0.0.1:{}/{TOKEN}", receiver.port)]).run());
        assert_eq!(ended.code, Some(1), "{answer:?}: {ended:#?}");
        assert!(ended.stdout.contains("FAILED") && ended.stdout.contains(reason), "{answer:?}: {ended:#?}");
        assert!(ended.took < Duration::from_secs(25), "{answer:?}: {:?}", ended.took);
    }
    assert_eq!(other.got().len(), 0, "a redirect was followed");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ended = quiet(test(&[format!("http://127.0.0.1:{nobody}/{TOKEN}")]).run());
    assert!(ended.code == Some(1) && ended.stdout.contains("the connection was refused"), "{ended:#?}");
    // The service says "not found" with status 200.
    let check = HttpReceiver::new();
    check.answer(Answer::Status(200, "OK (not found)"));
    let ended = quiet(test(&[format!("healthchecks+http://127.0.0.1:{}/{TOKEN}", check.port)]).run());
    assert!(ended.code == Some(1) && ended.stdout.contains("the service knows nothing of this ping URL"), "{ended:#?}");
}

#[test]
fn a_certificate_that_nobody_knows_is_refused_and_a_known_one_is_not() {
    let authority = Authority::new();
    let receiver = HttpReceiver::with_tls(&authority);
    let url = [format!("https://127.0.0.1:{}/{TOKEN}", receiver.port)];
    let ended = quiet(test(&url).run());
    assert!(ended.code == Some(1) && ended.stdout.contains("TLS failed"), "{ended:#?}");
    assert_eq!(receiver.got().len(), 0);
    quiet(test(&url).env("SSL_CERT_FILE", &authority.file).run().done());
    assert_eq!(receiver.events(), ["test"]);
}

#[test]
fn mail_goes_over_tls_and_a_password_never_without() {
    let authority = Authority::new();
    for (tls, scheme) in [(Tls::Start, "smtp"), (Tls::Whole, "smtps")] {
        let relay = MailReceiver::new(tls, &authority);
        let url = format!("{scheme}://ops:{TOKEN}@127.0.0.1:{}?to=a@example.org,b@example.org&from=kluis@example.org", relay.port);
        quiet(test(std::slice::from_ref(&url)).env("SSL_CERT_FILE", &authority.file).run().done());
        let said = relay.said();
        let has = |line: &str| said.iter().any(|said| said == line);
        let login = openssl::base64::encode_block(format!("\0ops\0{TOKEN}").as_bytes());
        assert!(has(&format!("[tls] AUTH PLAIN {login}")) && has("[tls] MAIL FROM:<kluis@example.org>") && has("[tls] RCPT TO:<b@example.org>"), "{said:#?}");
        assert!(said.iter().any(|line| line.starts_with("[tls] Subject: =?utf-8?B?")) && has("[tls] .") && has("[tls] QUIT"), "{said:#?}");
        // Without knowing the authority nothing is said but hello.
        let relay = MailReceiver::new(tls, &authority);
        let url = url.replace(&url[url.find("127.0.0.1:").unwrap()..url.find("?to").unwrap()], &format!("127.0.0.1:{}", relay.port));
        let ended = quiet(test(&[url]).run());
        assert!(ended.code == Some(1) && ended.stdout.contains("TLS failed: its certificate is not accepted"), "{ended:#?}");
        assert!(relay.said().iter().all(|line| line.starts_with("EHLO") || line == "STARTTLS"), "{:#?}", relay.said());
    }
    let relay = MailReceiver::new(Tls::None, &authority);
    let ended = quiet(test(&[format!("smtp://ops:{TOKEN}@127.0.0.1:{}?to=a@b.nl&from=c@d.nl", relay.port)]).run());
    assert!(ended.code == Some(1) && ended.stdout.contains("a password goes over TLS only"), "{ended:#?}");
    assert!(relay.said().iter().all(|line| line.starts_with("EHLO")), "{:#?}", relay.said());
    // A relay next door that wants no password.
    let url = [format!("smtp://127.0.0.1:{}?to=a@b.nl&from=c@d.nl", relay.port)];
    test(&url).run().done();
    relay.refuse("RCPT", "550 no such user a@b.nl");
    let ended = test(&url).run();
    assert!(ended.code == Some(1) && ended.stdout.contains("the relay answered 550 to its address") && !ended.stdout.contains("a@b.nl"), "{ended:#?}");
    // One who has left keeps no letter from the others.
    relay.refuse("RCPT TO:<gone@", "550 no such user");
    let letters = || relay.said().iter().filter(|line| *line == ".").count();
    let before = letters();
    let ended = test(&[format!("smtp://127.0.0.1:{}?to=a@b.nl,gone@b.nl,c@b.nl&from=c@d.nl", relay.port)]).run();
    assert!(ended.code == Some(1) && ended.stdout.contains("the relay answered 550 to 1 of its 3 addresses"), "{ended:#?}");
    assert_eq!(letters(), before + 1);
    let silent = HttpReceiver::new();
    let ended = test(&[format!("smtp://127.0.0.1:{}?to=a@b.nl&from=c@d.nl", silent.port)]).run();
    assert!(ended.code == Some(1) && ended.took < Duration::from_secs(25), "{ended:#?}");
}

#[test]
fn urls_that_are_wrong_are_named_by_their_place_and_shown_nowhere() {
    let urls = format!("https://127.0.0.1/x ftp://{TOKEN}/ smtp://{TOKEN}@relay?to=a@b");
    let ended = quiet(kluis(&["notify", "test"]).keeping(&Repo::new()).env("BACKUP_NOTIFY", &urls).run());
    let ended = ended.failed(2, &["BACKUP_NOTIFY: URL 2: its scheme is not known; URL 3: it has a user without a password"]);
    assert!(!ended.stderr.contains("relay"), "{ended:#?}");
    kluis(&["notify", "test"]).keeping(&Repo::new()).run().failed(2, &["there is nobody to tell"]);
    quiet(kluis(&["notify", "test"]).keeping(&Repo::new()).env("BACKUP_NOTIFY_ON", "failure sucess").run())
        .failed(2, &["BACKUP_NOTIFY_ON", "did you mean 'success'?"]);
    let file = new_folder("urls").join("urls");
    std::fs::write(&file, format!("https://127.0.0.1:1/{TOKEN}\nntfy+https://{TOKEN}@ntfy.example.org/x\n")).unwrap();
    let shown = kluis(&["config"]).keeping(&Repo::new()).env("DB_DATABASE", "x").env("DB_USERNAME", "x").env("BACKUP_NOTIFY_FILE", &file).run();
    let shown = quiet(shown.done());
    assert!(shown.stdout.contains("webhook 127.0.0.1:1, ntfy ntfy.example.org "), "{shown:#?}");
    let toml = new_folder("toml").join("kluis.toml");
    std::fs::write(&toml, format!("notify = [\"https://127.0.0.1:1/{TOKEN}\", \"telegram://1:{TOKEN}@5\"]\nnotify_on = [\"failure\", \"success\"]\n")).unwrap();
    std::fs::set_permissions(&toml, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let shown = kluis(&["config"]).keeping(&Repo::new()).env("DB_DATABASE", "x").env("DB_USERNAME", "x").env("KLUIS_CONFIG", &toml).run();
    let shown = quiet(shown.done());
    assert!(shown.stdout.contains("webhook 127.0.0.1:1, telegram api.telegram.org"), "{shown:#?}");
}

/// A database with secrets in it, a repository, and receivers.
struct Stack {
    database: Database,
    repo: Repo,
    hook: HttpReceiver,
}

impl Stack {
    fn new(cluster: &Cluster) -> Stack {
        let database = cluster.database("told");
        database.sql(&format!("CREATE TABLE people AS SELECT i AS id, '{CANARY} jan@example.org ' || i AS v FROM generate_series(1, 5000) i"));
        Stack { database, repo: Repo::new(), hook: HttpReceiver::new() }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{TOKEN}", self.hook.port)
    }

    fn command(&self, arguments: &[&str]) -> Kluis {
        let log = self.repo.root.join("log/kluis.log");
        kluis(arguments).of(&self.database).keeping(&self.repo).env("BACKUP_NOTIFY", self.url()).env("BACKUP_LOG", log)
    }

    fn sidecar(&self) -> Kluis {
        self.command(&["serve"]).env("BACKUP_SCHEDULE", "0 0 1 1 *")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.repo.root.join("log/kluis.log")).unwrap_or_default()
    }

    /// No token, row or password lies anywhere in the repository.
    #[track_caller]
    fn keeps_no_secret(&self) {
        for secret in [TOKEN, CANARY, PASSWORD, "jan@example.org"] {
            let found = Command::new("grep").args(["-rlF", secret]).arg(&self.repo.root).output().unwrap();
            assert!(found.stdout.is_empty(), "{secret} is in {}", String::from_utf8_lossy(&found.stdout));
        }
        for got in self.hook.got() {
            for secret in [CANARY, PASSWORD, "jan@example.org", "postgresql://"] {
                assert!(!got.body.contains(secret), "{got:?}");
            }
        }
    }
}

#[track_caller]
fn stop(sidecar: Running) -> Ended {
    let asked = Instant::now();
    sidecar.signal(Signal::TERM);
    let ended = sidecar.wait();
    assert!(ended.code == Some(0) && asked.elapsed() < Duration::from_secs(10), "{:?} {ended:#?}", asked.elapsed());
    quiet(ended)
}

#[test]
fn runs_by_hand_tell_of_failure_and_recovery_once_and_success_only_if_asked() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    // The second one finds its failure told.
    for _ in 0..2 {
        quiet(stack.command(&["backup"]).env("DB_PORT", "1").run()).failed(10, &[]);
    }
    assert_eq!(stack.hook.events(), ["failure"]);
    let body = stack.hook.got()[0].json();
    assert!(body["target"] == "app" && body["alarm"] == true && body["reminder"] == false, "{body:#}");
    assert!(body["text"].as_str().unwrap().contains("the last run failed in step 'preflight'") && body["next"] == "kluis doctor --target app", "{body:#}");
    quiet(stack.command(&["backup"]).run().done());
    quiet(stack.command(&["backup"]).run().done());
    assert_eq!(stack.hook.events(), ["failure", "recovery"]);
    quiet(stack.command(&["backup"]).env("BACKUP_NOTIFY_ON", "failure, success").run().done());
    assert_eq!(stack.hook.events(), ["failure", "recovery", "success"]);
    assert!(stack.log().contains(&format!("webhook 127.0.0.1:{} was told: app: the backup FAILED", stack.hook.port)), "{}", stack.log());
    stack.keeps_no_secret();
}

#[test]
fn a_receiver_that_is_away_fails_no_backup_and_hears_of_it_later() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    stack.hook.answer(Answer::Status(503, "away"));
    let ended = quiet(stack.command(&["backup"]).env("DB_PORT", "1").run());
    assert!(ended.code == Some(10) && ended.stderr.contains("could not be told: it answered with status 503; the next run tells it"), "{ended:#?}");
    assert_eq!(stack.hook.got().len(), 3, "it was tried three times");
    // A good run stays good.
    let ended = quiet(stack.command(&["backup"]).run());
    assert!(ended.code == Some(0) && ended.stderr.contains("warning: webhook 127.0.0.1:"), "{ended:#?}");
    let status = quiet(stack.command(&["status"]).run());
    assert!(status.code == Some(0) && status.stdout.contains("cannot be told: it answered with status 503"), "{status:#?}");
    let report: serde_json::Value = serde_json::from_str(&stack.command(&["status", "--json"]).run().stdout).unwrap();
    assert!(report["notify"][0]["failures"].as_u64().unwrap() >= 4 && report["notify"][0]["kind"] == "webhook", "{report:#}");
    stack.hook.answer(Answer::Status(204, ""));
    let before = stack.hook.got().len();
    quiet(stack.command(&["backup"]).run().done());
    let told: Vec<Got> = stack.hook.got().split_off(before);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].json()["event"] == "recovery" && told[0].json()["text"].as_str().unwrap().contains("could not be told before"), "{told:#?}");
    assert!(!quiet(stack.command(&["status"]).run()).stdout.contains("cannot be told"));
    stack.keeps_no_secret();
}

#[test]
fn configurations_on_one_repository_know_nothing_of_each_others_receivers() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    // Staging's webhook was revoked; production's is on the same host.
    stack.hook.answer(Answer::Status(404, "gone"));
    let of = |path: &str| format!("http://127.0.0.1:{}/{path}", stack.hook.port);
    let with = |words: &[&str], path: &str| stack.command(words).env("BACKUP_NOTIFY", of(path));
    with(&["backup"], "staging").env("DB_PORT", "1").run().failed(10, &[]);
    stack.hook.answer(Answer::Status(200, "OK"));
    let failures = |path: &str| {
        let told: serde_json::Value = serde_json::from_str(&with(&["status", "--json"], path).run().stdout).unwrap();
        told["notify"][0]["failures"].as_u64().unwrap()
    };
    assert!(failures("staging") > 0);
    assert_eq!(failures("production"), 0);
    let notes: Vec<String> =
        std::fs::read_dir(stack.repo.root.join(".notified")).unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(notes.iter().all(|name| !name.contains("staging")), "{notes:?}");
}

#[test]
fn a_receiver_that_hangs_delays_neither_the_schedule_nor_other_receivers() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    let hanging = HttpReceiver::new();
    hanging.answer(Answer::Hang);
    let urls = format!("http://127.0.0.1:{}/{TOKEN} {}", hanging.port, stack.url());
    let sidecar = stack.sidecar().env("BACKUP_NOTIFY", &urls).env("BACKUP_NOTIFY_ON", "success").start();
    let begun = Instant::now();
    wait_until("the other receiver is told", || !stack.hook.got().is_empty());
    wait_until("the hanging one is asked", || !hanging.got().is_empty());
    // A second run by hand, while the first message still hangs.
    quiet(kluis(&["backup"]).of(&stack.database).keeping(&stack.repo).run().done());
    assert!(begun.elapsed() < Duration::from_secs(14), "{:?}", begun.elapsed());
    assert_eq!(stack.repo.backups().len(), 2);
    stop(sidecar);
    assert_eq!(stack.hook.events()[0], "success");
    stack.keeps_no_secret();
}

#[test]
fn the_sidecar_finds_what_is_overdue_and_a_restart_repeats_and_loses_nothing() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    quiet(stack.command(&["backup"]).run().done());
    assert_eq!(stack.hook.got().len(), 0);
    let aged = || stack.sidecar().env("BACKUP_MAX_AGE", "1m").start();
    // No run is due for months; only the clock makes it so.
    let sidecar = aged();
    let begun = Instant::now();
    while stack.hook.got().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(90), "it is overdue, and nobody was told");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(stack.hook.events(), ["overdue"]);
    stop(sidecar);
    let sidecar = aged();
    wait_until("it is there again", || stack.log().matches("serves 1 target in").count() == 2);
    std::thread::sleep(Duration::from_secs(2));
    stop(sidecar);
    assert_eq!(stack.hook.events(), ["overdue"], "a restart repeats nothing");
    // What ends while no sidecar runs, the next one tells.
    quiet(kluis(&["backup"]).of(&stack.database).keeping(&stack.repo).run().done());
    let sidecar = aged();
    wait_until("the end is told", || stack.hook.events() == ["overdue", "recovery"]);
    stop(sidecar);
    stack.keeps_no_secret();
}

#[test]
fn a_heartbeat_hears_of_each_run_and_is_up_only_when_all_is_well() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    let (check, kuma) = (HttpReceiver::new(), HttpReceiver::new());
    let urls = format!("healthchecks+http://127.0.0.1:{}/{TOKEN} kuma+http://127.0.0.1:{}/api/push/{TOKEN}", check.port, kuma.port);
    quiet(stack.command(&["backup"]).env("BACKUP_NOTIFY", &urls).env("DB_PORT", "1").run()).failed(10, &[]);
    quiet(stack.command(&["backup"]).env("BACKUP_NOTIFY", &urls).run().done());
    let paths: Vec<String> = check.got().iter().map(|got| got.path.trim_start_matches(&format!("/{TOKEN}")).to_owned()).collect();
    let (way, runs): (Vec<&str>, Vec<&str>) = paths.iter().filter_map(|path| path.split_once("?rid=")).unzip();
    // In the same second two runs are one to it.
    assert_eq!(way, ["/start", "/fail", "/start", ""], "{paths:?}");
    assert!(runs[0] == runs[1] && runs[2] == runs[3] && runs.iter().all(|run| run.len() == 36), "{paths:?}");
    let fail = &check.got()[1].body;
    assert!(fail.contains("the last run failed in step 'preflight'") && fail.contains("run began (manual)"), "the log's tail is there: {fail}");
    let status: Vec<String> = kuma.got().iter().map(|got| got.path.split('&').next().unwrap_or("").to_owned()).collect();
    assert_eq!(status, [format!("/api/push/{TOKEN}?status=down"), format!("/api/push/{TOKEN}?status=up")]);
    stack.keeps_no_secret();
}

#[test]
fn a_bad_proof_and_lost_rows_are_told() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    let proven = |repo: &Stack| quiet(repo.command(&["backup"]).env("BACKUP_DRILL", "every-backup").run());
    proven(&stack).done();
    stack.database.sql("DELETE FROM people WHERE id > 10");
    proven(&stack).warned(&["suspicious"]);
    assert_eq!(stack.hook.events(), ["shrinkage"]);
    let assertions = new_folder("assertions");
    std::fs::write(assertions.join("some.sql"), "SELECT count(*) > 1000000 FROM people").unwrap();
    let ended = quiet(stack.command(&["backup"]).env("BACKUP_DRILL", "every-backup").env("BACKUP_ASSERTIONS", &assertions).run());
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    let bad = stack.hook.got().into_iter().map(|got| got.json()).find(|body| body["event"] == "bad").expect("the bad proof was told");
    assert!(bad["title"] == "app: the newest backup is BAD" && bad["run"].is_string(), "{bad:#}");
    stack.keeps_no_secret();
}

#[test]
fn what_cannot_be_remembered_is_told_all_the_same() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    quiet(stack.command(&["backup"]).run().done());
    // A file in the place of the folder.
    let notes = stack.repo.root.join(".notified");
    let _ = std::fs::remove_dir_all(&notes);
    std::fs::write(&notes, "").unwrap();
    quiet(stack.command(&["backup"]).env("DB_PORT", "1").run()).failed(10, &[]);
    assert_eq!(stack.hook.events(), ["failure"]);
    assert!(stack.log().contains("cannot be remembered"), "{}", stack.log());
    assert!(Path::new(&notes).is_file());
    stack.keeps_no_secret();
}
