//! The page in a real Chromium, with axe-core's rules for accessibility: what `tests/browser/check.mjs` finds wrong is wrong here.
//!
//! With `KLUIS_SHOTS=FOLDER` the screenshots are kept there; those in `docs/images` were made so.

use super::sample::{self, Sample};
use super::{TOKEN, serve};
use crate::support::{new_folder, skip};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Chromium, node, and what npm has installed for the check; told as a skip where one is missing.
fn browser() -> Option<(PathBuf, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let found = |program: &str| std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file());
    let chromium = found("chromium").or_else(|| found("chromium-browser")).or_else(|| found("google-chrome"));
    let version = Command::new("node").arg("--version").output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let node: u32 = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    match (chromium, folder.join("node_modules/playwright-core").is_dir()) {
        // What playwright-core asks for.
        (Some(chromium), true) if node >= 20 => Some((chromium, folder)),
        _ => {
            skip("the page in a browser: chromium, node 20 or tests/browser/node_modules is not there", "scripts/setup test");
            None
        }
    }
}

#[test]
fn people_can_use_the_page() {
    let Some((chromium, folder)) = browser() else { return };
    let (many, mut one, mut empty, mut except) = (sample::many(), Sample::new(), Sample::new(), Sample::new());
    one.year("shop-production", 5, 240_000, &[(3, "unproven"), (9, "failed"), (17, "missed"), (40, "slow"), (100, "shrunk")]);
    let running = one.running("shop-production");
    empty.unborn("aimtrack-production");
    let bad = empty.target("all-bad", &[]);
    let finding = format!("finding=not restorable by PostgreSQL's own tools: {}", "view public.a_view_with_quite_a_long_name, ".repeat(60));
    crate::cli::fixture::make(&bad.join("20260124T030000Z"), &["proof=drill-bad", &finding]).unwrap();
    except.year("shop-production", 5, 240_000, &[]);
    except.except("shop-production", 25);
    let nothing = except.target("new-shop", &[]);
    crate::cli::fixture::make(&nothing.join(kluis::repository::names::backup_id(jiff::Timestamp::now())), &["proof=proven", "empty"]).unwrap();
    let servers = [("many", serve(many.site())), ("one", serve(one.site())), ("empty", serve(empty.site())), ("except", serve(except.site()))];
    let pages: Vec<_> = servers
        .iter()
        .map(|(name, server)| serde_json::json!({ "name": name, "url": format!("http://kluis:{TOKEN}@localhost:{}/", server.address().port()) }))
        .collect();
    let shots = std::env::var("KLUIS_SHOTS").ok();
    let home = new_folder("browser");
    let task = serde_json::json!({ "pages": pages, "shots": shots }).to_string();
    // A browser wants a home of its own, and leaves nothing in ours.
    let output = Command::new("node")
        .args(["check.mjs", chromium.to_str().unwrap(), &task])
        .current_dir(folder)
        .env("HOME", &home)
        .env("TMPDIR", &home)
        .stdin(Stdio::null())
        .output()
        .expect("node starts");
    drop(running);
    let said = String::from_utf8_lossy(&output.stdout);
    let result: serde_json::Value =
        said.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    let problems: Vec<&str> = result["problems"].as_array().unwrap().iter().filter_map(|problem| problem.as_str()).collect();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    // Four pages, each in two languages, two schemes and two sizes.
    assert_eq!(result["looked"], 32);
}
