//! What is answered to a request. It owns paths, status codes and headers; it leaves what is told to `site`.
//! Invariant: only GET and HEAD of the paths below are answered with anything, a path is taken as it was written, and what is not verdict passes the gate.

use super::gate::{Sight, sight};
use super::site::Site;
use crate::config::Language;
use crate::metrics::Format;
use crate::page::{self, Words};
use crate::status::State;
use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use sha2::{Digest, Sha256};
use std::sync::OnceLock;
use std::time::Duration;

type Answer = Response<Full<Bytes>>;

/// How long somebody with a wrong token waits for the answer.
const WRONG: Duration = Duration::from_millis(250);

/// Answers a request.
pub async fn answer(site: &Site, request: &Request<Incoming>) -> Answer {
    let mut answer = choose(site, request).await;
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::VARY, "accept, accept-language, authorization"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert(header::CONTENT_SECURITY_POLICY, content_security_policy().clone());
    answer
}

/// Nothing but the style sheet of the page itself, and its icon.
fn content_security_policy() -> &'static HeaderValue {
    static POLICY: OnceLock<HeaderValue> = OnceLock::new();
    POLICY.get_or_init(|| {
        let hash = openssl::base64::encode_block(&Sha256::digest(page::STYLE.as_bytes()));
        let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
        HeaderValue::from_str(&policy).expect("a hash in base64 is a header's value")
    })
}

async fn choose(site: &Site, request: &Request<Incoming>) -> Answer {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD: this server changes nothing\n");
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return closing(answer);
    }
    if !request.body().is_end_stream() {
        return closing(plain(StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here\n"));
    }
    let authorization = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or("not text"));
    let sight = sight(site.token.expose(), authorization);
    match request.uri().path() {
        "/healthz" if site.pulse.is_alive() => plain(StatusCode::OK, "alive\n"),
        "/healthz" => plain(StatusCode::SERVICE_UNAVAILABLE, "the schedule loop gives no sign of life\n"),
        "/fresh" => match site.snapshot().await {
            Ok(snapshot) if snapshot.state() == State::Fresh => plain(StatusCode::OK, "fresh\n"),
            Ok(snapshot) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", snapshot.state().word())),
            Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "unknown\n"),
        },
        // Who looks after containers has no token: the verdict is for everybody, the cause for those who have it.
        "/readyz" => match site.ready().await {
            Ok(()) => plain(StatusCode::OK, "ready\n"),
            Err(why) if sight == Sight::All => plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
            Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        },
        "/icon.svg" => with(StatusCode::OK, "image/svg+xml", page::ICON),
        path @ ("/" | "/metrics" | "/api/v1/status" | "/api/v1/backups") => match sight {
            Sight::All => told(site, path, request).await,
            refused => turned_away(site, path, request, refused).await,
        },
        _ => plain(StatusCode::NOT_FOUND, "there is nothing here: try /\n"),
    }
}

/// What is for those who may see everything.
async fn told(site: &Site, path: &str, request: &Request<Incoming>) -> Answer {
    let snapshot = match site.snapshot().await {
        Ok(snapshot) => snapshot,
        Err(error) => return plain(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    };
    match path {
        "/metrics" => {
            let format = Format::accepted(header_text(request.headers(), header::ACCEPT));
            with(StatusCode::OK, format.content_type(), snapshot.metrics(format))
        }
        "/api/v1/status" => with(StatusCode::OK, "application/json", snapshot.status()),
        "/api/v1/backups" => with(StatusCode::OK, "application/json", snapshot.backups()),
        _ => html(StatusCode::OK, snapshot.page(language(site, request))),
    }
}

/// Why not, and what to do.
async fn turned_away(site: &Site, path: &str, request: &Request<Incoming>, why: Sight) -> Answer {
    let words = Words { language: language(site, request), zone: site.zone.clone() };
    let title = words.say("A token is needed", "Hier is een token nodig");
    let text = words.say("The page is shown to those who have the token.", "De pagina is te zien voor wie het token heeft.");
    let next = words.say(
        "kluis status --page, where Kluis runs, prints this page's address with it: in a container, docker compose exec backup kluis status --page. It is the password, with any user name, or Authorization: Bearer.",
        "kluis status --page, waar Kluis draait, toont het adres van deze pagina met het token: in een container, docker compose exec backup kluis status --page. Het is het wachtwoord, met een willekeurige gebruikersnaam, of Authorization: Bearer.",
    );
    let mut answer = if path == "/" {
        html(StatusCode::UNAUTHORIZED, Bytes::from(page::notice(&words, title, text, next)))
    } else {
        plain(StatusCode::UNAUTHORIZED, format!("{title}: {text} {next}\n"))
    };
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"kluis\", charset=\"UTF-8\""));
    if why == Sight::WrongToken {
        tokio::time::sleep(WRONG).await;
    }
    answer
}

/// The language: the one asked for, the configured one, the browser's first of ours, English.
fn language(site: &Site, request: &Request<Incoming>) -> Language {
    let by_tag = |tag: &str| match tag.trim().get(..2)?.to_ascii_lowercase().as_str() {
        "en" => Some(Language::English),
        "nl" => Some(Language::Dutch),
        _ => None,
    };
    let asked = request.uri().query().and_then(|query| query.split('&').find_map(|pair| by_tag(pair.strip_prefix("lang=")?)));
    let browser = || header_text(request.headers(), header::ACCEPT_LANGUAGE).split(',').find_map(by_tag);
    asked.or(site.language).or_else(browser).unwrap_or(Language::English)
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    with(status, "text/plain; charset=utf-8", text)
}

fn html(status: StatusCode, text: Bytes) -> Answer {
    with(status, "text/html; charset=utf-8", text)
}

fn with(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// The last answer on its connection: what else was sent is not read.
pub(super) fn closing(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}
