//! The HTTP side: pages, verdicts, metrics and JSON about repositories of every kind; who may see them; and clients that behave badly.
//! The server is the real one; where the daemon or a database matter, so are they.

mod browser;
pub mod client;
mod hostile;
mod load;
mod progress;
mod prometheus;
mod sample;

use crate::support::kluis::kluis;
use crate::support::repo::Repo;
use crate::support::{new_folder, wait_until};
use client::{get, request};
use kluis::http::{Server, Site};
use prometheus::free_port;
use sample::Sample;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;

/// A server on a port of this machine that nobody else uses.
fn serve(site: Site) -> Server {
    Server::start(TcpListener::bind("127.0.0.1:0").unwrap(), site).unwrap_or_else(|error| panic!("{}", error.chain()))
}

const TOKEN: &str = "kluis-canary-token-4711";

#[test]
fn the_page_answers_the_questions_in_their_order() {
    let mut sample = Sample::new();
    sample.year("shop", 5, 240_000, &[(3, "unproven"), (9, "failed"), (17, "missed"), (40, "slow"), (100, "shrunk")]);
    let server = serve(sample.site());
    let page = get(server.address(), "/", &[]);
    assert_eq!(page.status, 200, "{page:#?}");
    let order = [
        "<html lang=\"en\">",
        "Can I restore?",
        "Yes: shop can be restored as it was 5 hours ago.",
        "From when to when",
        "What would be lost",
        "the last 5 hours of changes",
        "Proven",
        "restored into a throwaway server in 6.2 s, 42 tables and 532,000 rows compared",
        "Last run",
        "Next run",
        "The last 30 days",
        ": not proven",
        ": missed",
        ": failed",
        ": proven",
        "cannot connect to the server at db:5432",
        "What changed",
        "unusual",
        "Restore points",
        "not older than 7 days",
        "How to restore",
        "kluis restore 2",
    ];
    let mut from = 0;
    for part in order {
        // The strip holds its days in their own order.
        let at = if part.starts_with(": ") { page.body.find(part) } else { page.body[from..].find(part).map(|at| at + from) };
        let at = at.unwrap_or_else(|| panic!("'{part}' is missing, or comes too early:\n{}", page.body));
        from = from.max(at);
    }
    for role in [
        "<main",
        "<h1",
        "<header",
        "<footer",
        "role=\"img\"",
        "role=\"region\"",
        "<caption>",
        "scope=\"col\"",
        "scope=\"row\"",
        "aria-labelledby=\"answer\"",
        "class=\"skip\"",
    ] {
        assert!(page.body.contains(role), "{role}");
    }
    for never in ["<script", "onclick", "style=\"", "http://", "https://"] {
        assert!(!page.body.replace("http://www.w3.org/2000/svg", "").contains(never), "{never}");
    }
    let dutch = get(server.address(), "/", &["Accept-Language: fr;q=0.9, nl-NL;q=0.8, en;q=0.5"]);
    dutch.says(&[
        "<html lang=\"nl\">",
        "Kan ik terugzetten?",
        "Ja: shop is terug te zetten zoals het 5 uur geleden was.",
        "Herstelpunten",
        "niet ouder dan 7 dagen",
        "gemist",
    ]);
    get(server.address(), "/?lang=nl", &["Accept-Language: en"]).says(&["<html lang=\"nl\">"]);
    get(server.address(), "/?lang=xx", &["Accept-Language: de"]).says(&["<html lang=\"en\">"]);
}

#[test]
fn what_nobody_has_proven_is_no_yes() {
    let mut sample = Sample::new();
    let backup = |folder: &std::path::Path, hours: i64, options: &[&str]| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
        crate::cli::fixture::make(&folder.join(kluis::repository::names::backup_id(at)), options).unwrap();
    };
    let shop = sample.target("shop", &[("BACKUP_DRILL", "off")]);
    backup(&shop, 3, &[]);
    let server = serve(sample.site());
    let page = get(server.address(), "/", &[]);
    page.says(&["Complete, not proven: shop has a backup made 3 hours ago, and nobody has restored it yet.", "class=\"verdict plain\"", "of them proven: 0"]);
    assert!(!page.body.contains("Yes:") && !page.body.contains("badge fresh"), "{}", page.body);
    get(server.address(), "/?lang=nl", &[]).says(&["Compleet, niet bewezen: shop heeft een backup die 3 uur geleden is gemaakt"]);
    assert_eq!(get(server.address(), "/fresh", &[]).status, 200, "it is what was asked for");
    // Where an earlier one is proven, both are told.
    let mail = sample.target("mail", &[("BACKUP_DRILL", "0 5 1 1 *"), ("BACKUP_DEADLINE", "1s")]);
    backup(&mail, 30, &["proof=proven", "proven-ago=1"]);
    backup(&mail, 2, &[]);
    let server = serve(sample.site());
    let page = get(server.address(), "/", &[]);
    page.says(&[
        "Yes: mail can be restored as it was 30 hours ago. The newest backup, made 2 hours ago, is complete, not proven.",
        "Complete, not proven: 1 of 2 databases have a backup that nobody has restored yet.",
    ]);
}

#[test]
fn the_worst_target_comes_first_and_an_empty_repository_is_told() {
    let sample = sample::many();
    let server = serve(sample.site());
    let page = get(server.address(), "/", &[]);
    page.says(&[
        "Only an old state: the newest backup of billing that counts is 5 days old, and 27 hours is allowed.",
        "8 of 11 databases are fresh.",
        "All databases, the worst first",
        "Nothing is deleted: the last run failed.",
        "Not yet: new-project has no backup.",
        "is BAD: do not rely on it",
        "There is none yet.",
    ]);
    let place = |name: &str| page.body.find(&format!("id=\"t-{name}\"")).unwrap();
    assert!(place("billing") < place("new-project") && place("new-project") < place("crm"), "{}", page.body);
    assert_eq!(get(server.address(), "/fresh", &[]).status, 503);

    let mut empty = Sample::new();
    empty.unborn("app");
    let server = serve(empty.site());
    get(server.address(), "/", &[]).says(&["Not yet: app has no backup.", "there is nothing to restore from", "everything: there is nothing to restore from"]);
    let fresh = get(server.address(), "/fresh", &[]);
    assert_eq!((fresh.status, fresh.body.as_str()), (503, "starting\n"));
}

#[test]
fn what_a_proof_excepts_is_named_in_both_languages_and_the_list_is_cut() {
    let mut sample = Sample::new();
    sample.year("shop", 5, 1000, &[]);
    sample.except("shop", 25);
    let server = serve(sample.site());
    get(server.address(), "/", &[]).says(&[
        "Yes: shop can be restored as it was 5 hours ago.",
        "Except 25 things that no dump of PostgreSQL brings back",
        "invalid index: <code>index public.orders_by_note_0</code>",
        "and 15 more",
        "proven, except 25",
    ]);
    get(server.address(), "/?lang=nl", &[]).says(&[
        "Op 25 dingen na, die geen dump van PostgreSQL terugbrengt",
        "ongeldige index: <code>",
        "en nog 15",
        "bewezen, op 25 na",
    ]);
    let status: serde_json::Value = serde_json::from_str(&get(server.address(), "/api/v1/status", &[]).body).unwrap();
    let target = &status["status"]["targets"][0];
    assert_eq!((target["state"].as_str(), target["exceptions"].as_array().unwrap().len()), (Some("fresh"), 25), "{target:#}");
    let backups: serde_json::Value = serde_json::from_str(&get(server.address(), "/api/v1/backups", &[]).body).unwrap();
    assert_eq!(backups["targets"][0]["backups"][0]["exceptions"], 25);
    assert_eq!(get(server.address(), "/fresh", &[]).status, 200);
}

#[test]
fn an_empty_database_is_named_until_that_is_said_to_be_right() {
    let newest = kluis::repository::names::backup_id(jiff::Timestamp::now());
    for (allow, named) in [("no", true), ("yes", false)] {
        let mut sample = Sample::new();
        let folder = sample.target("app", &[("BACKUP_ALLOW_EMPTY", allow)]);
        crate::cli::fixture::make(&folder.join(&newest), &["proof=proven", "empty"]).unwrap();
        let server = serve(sample.site());
        let (page, dutch) = (get(server.address(), "/", &[]), get(server.address(), "/?lang=nl", &[]));
        assert_eq!(page.body.contains("The database of app is empty"), named, "{}", page.body);
        assert_eq!(dutch.body.contains("De database van app is leeg"), named);
        assert_eq!(get(server.address(), "/fresh", &[]).status, 200);
        assert!(get(server.address(), "/metrics", &[]).body.contains(&format!("kluis_database_empty{{target=\"app\"}} {}", u8::from(named))));
    }
}

#[test]
fn no_command_is_offered_that_cannot_work() {
    let (older, newest) = ("20260124T030000Z", "20260125T030000Z");
    let page = |options: &[(&str, &str)]| {
        let mut sample = Sample::new();
        let folder = sample.target("app", &[]);
        for (id, option) in options {
            crate::cli::fixture::make(&folder.join(id), &[option]).unwrap();
        }
        let server = serve(sample.site());
        (get(server.address(), "/", &[]), get(server.address(), "/?lang=nl", &[]))
    };
    let (english, dutch) = page(&[]);
    assert!(!english.body.contains("kluis restore"), "{}", english.body);
    dutch.says(&["Er is niets om van terug te zetten."]);
    // The files of one are damaged, which nothing restores; a drill found the other one bad.
    let (english, dutch) = page(&[(older, "proof=drill-bad"), (newest, "proof=bad")]);
    english.says(&[
        "No: app has no backup that can be relied upon.",
        "There is no backup that can be relied upon (2 backups). This restores a bad one",
        "kluis restore 20260124T030000Z --target app --create --force",
    ]);
    dutch.says(&["Er is geen backup waarop te vertrouwen is (2 backups)."]);
    let (english, _) = page(&[(older, "format=9"), (newest, "proof=bad")]);
    english.says(&["There is no backup that can be restored (2 backups)"]);
    assert!(!english.body.contains("kluis restore"), "{}", english.body);
    let (english, _) = page(&[(older, "proof=proven"), (newest, "proof=bad")]);
    english.says(&["kluis restore 20260124T030000Z --target app --create \\"]);
    assert!(!english.body.contains("--force"));
}

#[test]
fn what_comes_from_elsewhere_is_escaped() {
    let mut sample = Sample::new();
    let folder = sample.target("app", &[]);
    let name = kluis::repository::names::backup_id(jiff::Timestamp::now());
    crate::cli::fixture::make(&folder.join(&name), &["proof=drill-bad", "finding=<script>alert(1)</script>"]).unwrap();
    let message = r#"</span><img src=x onerror=alert(1)> \"quoted\" & more"#;
    std::fs::write(
        folder.join("history.jsonl"),
        format!("{{\"started\":\"2026-01-01T00:00:00Z\",\"finished\":\"2026-01-01T00:00:00Z\",\"outcome\":\"failed\",\"message\":\"{message}\"}}\n"),
    )
    .unwrap();
    let server = serve(sample.site());
    let page = get(server.address(), "/", &[]);
    page.says(&["&lt;script&gt;alert(1)&lt;/script&gt;", "&lt;img src=x onerror=alert(1)&gt;", "&amp; more"]);
    assert!(!page.body.contains("<script") && !page.body.contains("<img"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    for (header, value) in
        [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("cache-control", "no-store"), ("x-frame-options", "deny")]
    {
        assert_eq!(page.header(header), Some(value), "{}", page.head);
    }
}

/// Whoever has no token.
const ANONYMOUS: &str = "Authorization:";

#[test]
fn the_gate_is_shut() {
    let mut sample = Sample::new();
    sample.year("shop", 5, 1000, &[]);
    let server = serve(sample.site());
    let basic = format!("Authorization: Basic {}", openssl::base64::encode_block(format!("anybody:{TOKEN}").as_bytes()));
    for path in ["/", "/metrics", "/api/v1/status", "/api/v1/backups"] {
        // A proxy on this machine that says nothing of itself looks like a browser on this machine.
        for headers in [&[ANONYMOUS][..], &[ANONYMOUS, "Host: 127.0.0.1"], &[ANONYMOUS, "Host: status.example.org", "X-Forwarded-For: 203.0.113.7"]] {
            let refused = get(server.address(), path, headers);
            assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("basic realm=\"kluis\", charset=\"utf-8\"")), "{path} {headers:?}");
            refused.says(&["kluis status --page"]);
            assert!(!refused.body.contains("shop") && !refused.body.contains(TOKEN), "{refused:#?}");
        }
        assert_eq!(get(server.address(), path, &["Authorization: Bearer not-the-token-at-all"]).status, 401);
        assert_eq!(get(server.address(), path, &[&format!("Authorization: Bearer {TOKEN}")]).status, 200);
        let shown = get(server.address(), path, &[&basic, "Host: status.example.org", "X-Forwarded-For: 203.0.113.7"]);
        assert_eq!(shown.status, 200);
        assert!(!shown.body.contains(TOKEN));
    }
    for (path, body) in [("/healthz", "alive\n"), ("/fresh", "fresh\n"), ("/readyz", "ready\n")] {
        let verdict = get(server.address(), path, &[ANONYMOUS, "Host: anywhere.example", "X-Forwarded-For: 203.0.113.7"]);
        assert_eq!((verdict.status, verdict.body.as_str()), (200, body));
    }
}

#[test]
fn where_no_token_is_set_one_is_made_once_and_told_by_one_command() {
    let (repo, port) = (Repo::new(), free_port());
    let scratch = new_folder("scratch");
    let sidecar = |words: &[&str]| {
        kluis(words)
            .keeping(&repo)
            .env("BACKUP_SCRATCH_DIR", scratch.to_str().unwrap())
            .env("BACKUP_HTTP", format!("0.0.0.0:{port}"))
            .env("DB_HOST", "127.0.0.1")
            .env("DB_PORT", "1")
            .env("DB_DATABASE", "shop")
            .env("DB_USERNAME", "nobody")
    };
    let early = sidecar(&["status", "--page"]).run();
    assert!(early.code == Some(2) && early.stderr.contains("kluis serve makes one when it starts"), "{early:#?}");
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let running = sidecar(&["serve"]).start();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_until("the sidecar answers", || std::net::TcpStream::connect(address).is_ok());
        let page = sidecar(&["status", "--page"]).run();
        let token = page
            .stdout
            .strip_prefix("http://kluis:")
            .and_then(|rest| rest.strip_suffix(&format!("@localhost:{port}/\n")))
            .unwrap_or_else(|| panic!("{page:#?}"));
        assert!(page.code == Some(0) && token.len() == 48, "{page:#?}");
        let json: serde_json::Value = serde_json::from_str(&sidecar(&["status", "--page", "--json"]).run().stdout).unwrap();
        assert_eq!(json["page"].as_str(), Some(page.stdout.trim_end()));
        assert_eq!(get(address, "/", &[&format!("Authorization: Bearer {token}")]).status, 200);
        assert_eq!(get(address, "/", &[ANONYMOUS]).status, 401);
        assert_eq!(std::fs::metadata(scratch.join("page-token")).unwrap().permissions().mode() & 0o777, 0o600);
        running.signal(rustix::process::Signal::TERM);
        let ended = running.wait();
        assert!(ended.code == Some(0) && !ended.stderr.contains(token), "{ended:#?}");
        assert!(!format!("{:?}", repo.fingerprint()).contains(token));
        tokens.push(token.to_owned());
    }
    assert_eq!(tokens[0], tokens[1]);
    // One that others could have read is none.
    std::fs::set_permissions(scratch.join("page-token"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(sidecar(&["status", "--page"]).run().code, Some(2));
    let set = sidecar(&["status", "--page"]).env("BACKUP_HTTP_TOKEN", "a/b:c@d?e#0123456").run();
    assert_eq!(set.stdout, format!("http://kluis:a%2Fb%3Ac%40d%3Fe%230123456@localhost:{port}/\n"));
    let off = sidecar(&["status", "--page"]).env("BACKUP_HTTP", "off").run();
    assert!(off.code == Some(2) && off.stderr.contains("BACKUP_HTTP is off"), "{off:#?}");
}

#[test]
fn json_is_versioned_and_a_head_has_no_body() {
    let mut sample = Sample::new();
    sample.year("shop", 5, 1000, &[(2, "failed")]);
    let server = serve(sample.site());
    let status: serde_json::Value = serde_json::from_str(&get(server.address(), "/api/v1/status", &[]).body).unwrap();
    let target = &status["status"]["targets"][0];
    assert_eq!(
        (status["version"].as_u64(), status["status"]["state"].as_str(), target["target"].as_str()),
        (Some(1), Some("fresh"), Some("shop")),
        "{status:#}"
    );
    assert_eq!((target["counts"]["done"].as_u64(), target["counts"]["failed"].as_u64(), target["ground"].as_str()), (Some(364), Some(1), Some("young-enough")));
    assert_eq!(target["days"].as_array().map(Vec::len), Some(30));
    let backups: serde_json::Value = serde_json::from_str(&get(server.address(), "/api/v1/backups", &[]).body).unwrap();
    let first = &backups["targets"][0]["backups"][0];
    assert_eq!((first["standing"].as_str(), first["reasons"][0]["rule"].as_str()), (Some("proven"), Some("within-days")), "{first:#}");
    assert!(first["leaves"]["when"] == "after", "{first:#}");
    let head = request(server.address(), "HEAD /", &[]);
    assert!(head.status == 200 && head.body.is_empty() && head.header("content-length").is_some_and(|length| length.len() > 3), "{head:#?}");
}

#[test]
fn what_cannot_be_read_is_told_as_such() {
    let mut sample = Sample::new();
    sample.year("shop", 5, 1000, &[]);
    let folder = sample.target("lost", &[]);
    std::fs::remove_dir(&folder).unwrap();
    std::os::unix::fs::symlink("/etc", &folder).unwrap();
    let server = serve(sample.site());
    get(server.address(), "/", &[]).says(&["Not known: the backups of lost cannot be read.", "Yes: shop can be restored"]);
    assert_eq!(get(server.address(), "/fresh", &[]).status, 503);
    let ready = get(server.address(), "/readyz", &[]);
    assert!(ready.status == 503 && ready.body.contains("'lost'"), "{ready:#?}");
    assert_eq!(get(server.address(), "/readyz", &[ANONYMOUS]).body, "not ready\n");
    assert_eq!(get(server.address(), "/healthz", &[]).status, 200);
}
