//! From a message to what its receiver understands: one HTTP request or one e-mail. Pure.
//! It owns the forms of all kinds, the version of our own JSON and its signature's; it leaves sending to `send` and `smtp`.
//! Invariant: the same message to the same receiver gives the same bytes, but for the time in the signature.

use super::message::{Notice, cut};
use crate::receiver::{Kind, Receiver, encode};
use jiff::Timestamp;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// The version of the webhook's JSON. It grows when a field changes its meaning or goes; new fields do not count.
pub const VERSION: u32 = 1;

/// The longest tail of the log in a ping, in bytes: healthchecks.io keeps the first 100 kB.
const TAIL: usize = 10_000;

/// An HTTP request. Not `Debug`: its URL is a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: Cow<'static, str>,
    /// Where to.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// What is sent.
    pub body: String,
    /// The service says with status 200 that it knows nothing of such a ping.
    pub answers_in_words: bool,
}

/// What is said to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// A run begins.
    Start,
    /// All is well.
    Up,
    /// Something is wrong.
    Down,
    /// A test: nothing of the state may change.
    Test,
}

/// The request for a receiver of messages; nothing for e-mail.
pub fn message(receiver: &Receiver, notice: &Notice, secret: Option<&str>, now: Timestamp) -> Option<Request> {
    let text = notice.text();
    let json = |url: &str, body: Value| Request {
        method: "POST".into(),
        url: url.to_owned(),
        headers: vec![("content-type".into(), "application/json".to_owned())],
        body: body.to_string(),
        answers_in_words: false,
    };
    let mut request = match receiver.kind {
        Kind::Webhook => {
            let mut request = json(&receiver.url, webhook(notice));
            request.headers.push(("kluis-event".into(), notice.event.to_owned()));
            request.headers.extend(secret.map(|secret| ("kluis-signature".into(), signature(secret, now, &request.body))));
            request
        }
        // https://api.slack.com/reference/surfaces/formatting#escaping: these three, and nothing else.
        Kind::Slack => json(&receiver.url, json!({ "text": text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;") })),
        // Nobody may be called by what stands in an error.
        Kind::Discord => json(&receiver.url, json!({ "content": cut(&text, 1900), "username": "Kluis", "allowed_mentions": { "parse": [] } })),
        Kind::Telegram => json(&receiver.url, json!({ "chat_id": receiver.channel, "text": text, "link_preview_options": { "is_disabled": true } })),
        Kind::Ntfy => {
            let priority = if notice.alarm { 4 } else { 3 };
            let tag = if notice.alarm { "rotating_light" } else { "white_check_mark" };
            json(&receiver.url, json!({ "topic": receiver.channel, "title": notice.title, "message": notice.body(), "priority": priority, "tags": [tag] }))
        }
        Kind::Gotify => json(&receiver.url, json!({ "title": notice.title, "message": notice.body(), "priority": if notice.alarm { 8 } else { 4 } })),
        Kind::Healthchecks | Kind::Kuma => return Some(beat(receiver, if notice.alarm { Beat::Down } else { Beat::Up }, notice, None, &[])),
        Kind::Mail => return None,
    };
    match (&receiver.kind, &receiver.user, &receiver.password) {
        (Kind::Gotify, Some(token), _) => request.headers.push(("x-gotify-key".into(), token.clone())),
        // https://docs.ntfy.sh/publish/#access-tokens
        (Kind::Ntfy, Some(token), None) => request.headers.push(("authorization".into(), format!("Bearer {token}"))),
        (_, Some(user), password) => {
            let both = format!("{user}:{}", password.as_deref().unwrap_or(""));
            request.headers.push(("authorization".into(), format!("Basic {}", openssl::base64::encode_block(both.as_bytes()))));
        }
        _ => {}
    }
    Some(request)
}

/// The ping of a heartbeat. `run`: the target and the name of the run that it is about; `tail`: the last lines of the log.
pub fn beat(receiver: &Receiver, beat: Beat, notice: &Notice, run: Option<(&str, &str)>, tail: &[String]) -> Request {
    let url = &receiver.url;
    if receiver.kind == Kind::Kuma {
        let (status, message) = if beat == Beat::Down { ("down", cut(&notice.title, 200)) } else { ("up", cut(&notice.title, 200)) };
        let url = format!("{url}?status={status}&msg={}&ping=", encode(&message));
        return Request { method: "GET".into(), url, headers: Vec::new(), body: String::new(), answers_in_words: false };
    }
    // https://healthchecks.io/docs/http_api/
    let path = match beat {
        Beat::Start => "/start",
        Beat::Up => "",
        Beat::Down => "/fail",
        Beat::Test => "/log",
    };
    let rid = run.map(|(target, run)| format!("?rid={}", run_id(target, run))).unwrap_or_default();
    let body = if beat == Beat::Start { String::new() } else { with_tail(notice, tail) };
    Request {
        method: "POST".into(),
        url: format!("{url}{path}{rid}"),
        headers: vec![("content-type".into(), "text/plain; charset=utf-8".to_owned())],
        body,
        answers_in_words: true,
    }
}

/// The message, and of the log as many of the last lines as fit.
fn with_tail(notice: &Notice, tail: &[String]) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut room = TAIL;
    for line in tail.iter().rev() {
        let Some(left) = room.checked_sub(line.len() + 1) else { break };
        room = left;
        kept.push(line);
    }
    kept.reverse();
    let tail = if kept.is_empty() { String::new() } else { format!("\n\n{}", kept.join("\n")) };
    format!("{}{tail}", notice.text())
}

/// A UUID for a run, the same each time (RFC 9562, section 5.8: version 8): the service joins a run's begin and end by it.
fn run_id(target: &str, run: &str) -> String {
    let hash = Sha256::digest(format!("{target} {run}"));
    let mut bytes: [u8; 16] = hash[..16].try_into().expect("a digest has 32 bytes");
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = crate::repository::files::hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Our own form.
fn webhook(notice: &Notice) -> Value {
    json!({
        "version": VERSION,
        "kluis": env!("CARGO_PKG_VERSION"),
        "id": id(notice),
        "event": notice.event,
        "alarm": notice.alarm,
        "reminder": notice.again,
        "target": notice.target,
        "at": notice.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "since": notice.since.map(|since| since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        "run": notice.run,
        "title": notice.title,
        "text": notice.body(),
        "newest_proven": notice.proven.as_ref().map(|(id, at)| json!({ "id": id, "at": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() })),
        "next": notice.next,
    })
}

/// The same for the same event: a message that arrives twice, because its answer was lost, can be told apart from a second event.
fn id(notice: &Notice) -> String {
    let day = if notice.again { notice.at.as_second() / 86_400 } else { 0 };
    let of = format!("{} {:?} {:?} {:?} {day}", notice.event, notice.target, notice.run, notice.since);
    let hash = Sha256::digest(if notice.event == "test" { notice.at.to_string() } else { of });
    crate::repository::files::hex(&hash[..8])
}

/// `t=UNIX-SECONDS,v1=HEX`: HMAC-SHA256, by the shared secret, over the seconds, a dot and the body as it is sent.
pub fn signature(secret: &str, now: Timestamp, body: &str) -> String {
    let seconds = now.as_second();
    format!("t={seconds},v1={}", crate::repository::files::hex(&hmac(secret, &format!("{seconds}.{body}"))))
}

/// A hash that only who has the key can compare: 16 hexadecimal digits.
pub fn fingerprint(key: &str, text: &str) -> String {
    let mut mac = hmac(key, text);
    mac.truncate(8);
    crate::repository::files::hex(&mac)
}

fn hmac(key: &str, text: &str) -> Vec<u8> {
    let sign = || {
        let key = PKey::hmac(key.as_bytes())?;
        Signer::new(MessageDigest::sha256(), &key)?.sign_oneshot_to_vec(text.as_bytes())
    };
    sign().expect("OpenSSL has HMAC and SHA-256")
}

/// An e-mail as it goes over the wire (RFC 5322), with CRLF line ends and without dot-stuffing. Everything that is not ASCII is encoded.
pub fn letter(from: &str, to: &[String], notice: &Notice) -> String {
    let date = notice.at.strftime("%a, %d %b %Y %H:%M:%S +0000");
    let domain = from.rsplit_once('@').map_or("kluis", |(_, domain)| domain);
    let mut words = Vec::new();
    let subject: String = notice.title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    // Encoded words of at most 75 characters, whole characters each (RFC 2047, section 2).
    let mut piece = String::new();
    for c in subject.chars() {
        if piece.len() + c.len_utf8() > 42 {
            words.push(std::mem::take(&mut piece));
        }
        piece.push(c);
    }
    words.push(piece);
    let subject: Vec<String> = words.iter().map(|word| format!("=?utf-8?B?{}?=", openssl::base64::encode_block(word.as_bytes()))).collect();
    let body = openssl::base64::encode_block(notice.text().replace('\n', "\r\n").as_bytes());
    let lines: Vec<&str> = body.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap_or("")).collect();
    let priority = if notice.alarm { "Importance: high\r\n" } else { "" };
    // Auto-Submitted keeps out-of-office answers away (RFC 3834).
    format!(
        "Date: {date}\r\nFrom: Kluis <{from}>\r\nTo: {}\r\nSubject: {}\r\nMessage-ID: <{}.{}@{domain}>\r\n{priority}Auto-Submitted: auto-generated\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        to.join(",\r\n "),
        subject.join("\r\n "),
        id(notice),
        notice.at.as_second(),
        lines.join("\r\n"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::message;
    use crate::receiver::parse;

    fn now() -> Timestamp {
        "2026-01-25T03:00:00Z".parse().unwrap()
    }

    fn notice() -> Notice {
        Notice { alarm: true, event: "failure", target: Some("shop".into()), title: "shop: <é> & FAILED".into(), ..message::test(now()) }
    }

    #[track_caller]
    fn request(url: &str) -> (Request, Value) {
        let request = message(&parse(url).unwrap(), &notice(), None, now()).unwrap();
        let body = serde_json::from_str(&request.body).unwrap_or(Value::Null);
        (request, body)
    }

    fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
        request.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn each_kind_gets_its_own_form() {
        let (sent, body) = request("https://example.org/x");
        assert_eq!((body["version"].as_u64(), body["event"].as_str(), body["target"].as_str()), (Some(1), Some("failure"), Some("shop")));
        assert_eq!((header(&sent, "kluis-event"), header(&sent, "kluis-signature")), (Some("failure"), None));
        assert!(request("slack+https://h/x").1["text"].as_str().unwrap().starts_with("shop: &lt;é&gt; &amp; FAILED\n"));
        let (_, body) = request("discord+https://h/x");
        assert!(body["content"].as_str().unwrap().starts_with("shop: <é> & FAILED") && body["allowed_mentions"]["parse"] == json!([]));
        let (sent, body) = request("telegram://1:x@-5?api=http://h");
        assert_eq!((sent.url.as_str(), body["chat_id"].as_str()), ("http://h/bot1:x/sendMessage", Some("-5")));
        let (sent, body) = request("ntfy+https://tk_1@h/topic");
        assert_eq!((body["topic"].as_str(), body["priority"].as_u64(), header(&sent, "authorization")), (Some("topic"), Some(4), Some("Bearer tk_1")));
        assert_eq!(header(&request("ntfy+https://a:b@h/t").0, "authorization"), Some("Basic YTpi"));
        let (sent, body) = request("gotify+https://T@h");
        assert_eq!((body["title"].as_str(), header(&sent, "x-gotify-key")), (Some("shop: <é> & FAILED"), Some("T")));
        assert!(message(&parse("smtp://h?to=a@b&from=c@d").unwrap(), &notice(), None, now()).is_none());
    }

    #[test]
    fn heartbeats_get_pings() {
        let check = parse("healthchecks+http://h/ping/U").unwrap();
        let run = Some(("shop", "20260125T030000Z"));
        let tail: Vec<String> = (0..5000).map(|number| format!("line {number}")).collect();
        let down = beat(&check, Beat::Down, &notice(), run, &tail);
        let rid = down.url.strip_prefix("http://h/ping/U/fail?rid=").unwrap();
        assert!(rid.len() == 36 && rid.as_bytes()[14] == b'8' && down.body.ends_with("line 4999") && down.body.len() < TAIL + 2000, "{rid}");
        assert_eq!(beat(&check, Beat::Start, &notice(), run, &[]).url, format!("http://h/ping/U/start?rid={rid}"));
        assert_eq!(beat(&check, Beat::Up, &notice(), None, &[]).url, "http://h/ping/U");
        assert_eq!(beat(&check, Beat::Test, &notice(), None, &[]).url, "http://h/ping/U/log");
        let kuma = parse("kuma+http://h/api/push/K").unwrap();
        assert_eq!(beat(&kuma, Beat::Down, &notice(), None, &[]).url, "http://h/api/push/K?status=down&msg=shop%3A%20%3C%C3%A9%3E%20%26%20FAILED&ping=");
    }

    #[test]
    fn a_signature_is_the_one_that_everybody_computes() {
        // printf '1769310000.{}' | openssl dgst -sha256 -hmac secret
        assert_eq!(signature("secret", now(), "{}"), "t=1769310000,v1=cc5a02e6d5b295af540c82b4aad8af008a9618759b20280abf99f6fd2d76d6b9");
    }

    #[test]
    fn a_letter_is_ascii_with_short_lines() {
        let letter = letter("kluis@example.org", &["a@b.nl".into(), "c@d.nl".into()], &Notice { title: "é".repeat(200), ..notice() });
        assert!(letter.is_ascii() && letter.split("\r\n").all(|line| line.len() <= 78 && !line.contains(['\r', '\n'])), "{letter}");
        assert!(letter.contains("To: a@b.nl,\r\n c@d.nl\r\n") && letter.contains("Date: Sun, 25 Jan 2026 03:00:00 +0000\r\n"), "{letter}");
    }

    #[test]
    fn the_same_event_has_the_same_id_and_another_has_not() {
        let (one, same) = (notice(), Notice { at: now() + jiff::SignedDuration::from_hours(1), ..notice() });
        assert_eq!(id(&one), id(&same));
        assert_ne!(id(&one), id(&Notice { run: Some("x".into()), ..notice() }));
    }
}
