//! Who gets to know: the URLs of `BACKUP_NOTIFY`, taken apart.
//! It owns their grammar and what of them may be shown (the kind and the host); it leaves messages and sending to `notify`. Pure.
//! Invariant: no token, password or path of a URL is in an error, in `Debug` or in `Display`, for such URLs are secrets as a whole.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The events that a receiver can be told of, by the words of `BACKUP_NOTIFY_ON`.
pub const EVENTS: [&str; 8] = ["failure", "recovery", "bad", "overdue", "shrinkage", "empty", "except", "success"];

/// What sort of receiver it is: decides the form of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A JSON object, signed.
    Webhook,
    /// A dead man's switch: start, success and fail pings.
    Healthchecks,
    /// A push monitor of Uptime Kuma.
    Kuma,
    /// An incoming webhook of Slack, or of what understands the same (Mattermost, Rocket.Chat).
    Slack,
    /// A webhook of a Discord channel.
    Discord,
    /// A bot of Telegram.
    Telegram,
    /// A topic of ntfy.
    Ntfy,
    /// An application of Gotify.
    Gotify,
    /// E-mail by SMTP.
    Mail,
}

impl Kind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Webhook => "webhook",
            Kind::Healthchecks => "healthchecks",
            Kind::Kuma => "kuma",
            Kind::Slack => "slack",
            Kind::Discord => "discord",
            Kind::Telegram => "telegram",
            Kind::Ntfy => "ntfy",
            Kind::Gotify => "gotify",
            Kind::Mail => "mail",
        }
    }

    /// Whether it listens for a heartbeat, and alarms by itself when that stays out. Others want to hear of changes only.
    pub fn is_heartbeat(self) -> bool {
        matches!(self, Kind::Healthchecks | Kind::Kuma)
    }
}

/// The way of an e-mail.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The relay.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// TLS from the first byte (`smtps`); else STARTTLS where it is offered.
    pub tls: bool,
    /// User and password.
    pub login: Option<(String, String)>,
    /// The sender.
    pub from: String,
    /// The receivers.
    pub to: Vec<String>,
}

/// One receiver. Neither `Debug` nor `Display` shows more than kind and host.
#[derive(Clone, PartialEq, Eq)]
pub struct Receiver {
    /// What it is.
    pub kind: Kind,
    /// Its host, with the port where one was written.
    pub host: String,
    /// Where requests go: a URL without user and password. Empty for e-mail.
    pub url: String,
    /// The user of the URL, or a token in its place.
    pub user: Option<String>,
    /// The password of the URL.
    pub password: Option<String>,
    /// The chat of a Telegram bot, or the topic of ntfy.
    pub channel: String,
    /// For e-mail.
    pub mail: Option<Mail>,
}

impl Receiver {
    /// All that tells it from another one. It is a secret, as the URL is.
    pub fn identity(&self) -> String {
        let mail = self.mail.as_ref().map(|mail| (&mail.host, mail.port, mail.tls, &mail.login, &mail.from, &mail.to));
        serde_json::json!([self.kind.word(), self.host, self.url, self.user, self.password, self.channel, mail]).to_string()
    }
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.host)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({self})")
    }
}

/// A URL, taken apart.
struct Url<'a> {
    scheme: &'a str,
    user: Option<String>,
    password: Option<String>,
    /// With its port.
    host: &'a str,
    /// From the first slash on.
    path: &'a str,
    query: &'a str,
}

const NO_URL: &str = "it is no URL";

impl<'a> Url<'a> {
    fn parse(text: &'a str) -> Result<Url<'a>, String> {
        let (scheme, rest) = text.split_once("://").ok_or(NO_URL)?;
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&byte)) {
            return Err("it has a character in it that no URL has".to_owned());
        }
        if rest.contains('#') {
            return Err("it has a '#' in it".to_owned());
        }
        let (front, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = front.split_at(front.find('/').unwrap_or(front.len()));
        let (login, host) = authority.rsplit_once('@').map_or((None, authority), |(login, host)| (Some(login), host));
        let (user, password) = match login.map(|login| login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)))) {
            Some((user, password)) => (Some(decode(user)?).filter(|user| !user.is_empty()), password.map(decode).transpose()?),
            None => (None, None),
        };
        check_host(host)?;
        Ok(Url { scheme, user, password, host, path, query })
    }

    fn parameters(&self) -> Result<Vec<(&'a str, String)>, String> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| pair.split_once('=').ok_or_else(|| "its query is not understood".to_owned()).and_then(|(name, value)| Ok((name, decode(value)?))))
            .collect()
    }
}

/// A host name or address, with or without a port.
fn check_host(host: &str) -> Result<(&str, Option<u16>), String> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']').ok_or("its host is not understood")?;
            let sound = name.parse::<core::net::Ipv6Addr>().is_ok() && (port.is_empty() || port.starts_with(':'));
            (if sound { name } else { "" }, port.strip_prefix(':'))
        }
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let sound = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) || host.starts_with('[');
    if name.is_empty() || !sound(name) {
        return Err("its host is not understood".to_owned());
    }
    let port = port.map(|port| port.parse::<u16>().ok().filter(|port| *port > 0).ok_or("its port is not a number from 1 to 65535")).transpose()?;
    Ok((name, port))
}

/// Percent-encoding undone (RFC 3986, section 2.1).
fn decode(text: &str) -> Result<String, String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let pair = rest.get(..2).and_then(|pair| std::str::from_utf8(pair).ok()).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        bytes.push(pair.ok_or("a '%' in it is not followed by two hexadecimal digits; write '%' itself as %25")?);
        rest = &rest[2..];
    }
    let text = String::from_utf8(bytes).map_err(|_| "it has a percent-encoded character that is not UTF-8")?;
    if text.chars().any(char::is_control) { Err("it has a control character in it".to_owned()) } else { Ok(text) }
}

/// Percent-encodes everything that is not unreserved.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The kinds whose scheme is put before that of HTTP, as in `slack+https://…`.
const PREFIXES: [(&str, Kind); 7] = [
    ("webhook", Kind::Webhook),
    ("healthchecks", Kind::Healthchecks),
    ("kuma", Kind::Kuma),
    ("slack", Kind::Slack),
    ("discord", Kind::Discord),
    ("ntfy", Kind::Ntfy),
    ("gotify", Kind::Gotify),
];

/// Services that are known by their host; everything else is a webhook.
fn known(host: &str, path: &str) -> Kind {
    match host {
        "hooks.slack.com" => Kind::Slack,
        "discord.com" | "discordapp.com" if path.starts_with("/api/webhooks/") => Kind::Discord,
        "hc-ping.com" => Kind::Healthchecks,
        "ntfy.sh" => Kind::Ntfy,
        _ => Kind::Webhook,
    }
}

/// Reads one URL. The error reads on after "URL 2: " and holds nothing of it.
pub fn parse(text: &str) -> Result<Receiver, String> {
    if let Some(rest) = text.strip_prefix("telegram://") {
        return telegram(rest);
    }
    let url = Url::parse(text)?;
    let (kind, http) = match url.scheme {
        "smtp" | "smtps" => return mail(&url),
        "http" | "https" => (known(url.host, url.path), url.scheme),
        other => {
            let (prefix, http) = other.split_once('+').ok_or_else(unknown)?;
            let kind = PREFIXES.iter().find(|(word, _)| *word == prefix).ok_or_else(unknown)?.1;
            if !["http", "https"].contains(&http) {
                return Err(unknown());
            }
            (kind, http)
        }
    };
    web(kind, http, &url)
}

fn unknown() -> String {
    "its scheme is not known".to_owned()
}

fn web(kind: Kind, http: &str, url: &Url<'_>) -> Result<Receiver, String> {
    let Url { host, .. } = *url;
    let path = url.path.trim_end_matches('/');
    let mut receiver = Receiver {
        kind,
        host: host.to_owned(),
        url: format!("{http}://{host}{}", if url.path.is_empty() { "/" } else { url.path }),
        user: url.user.clone(),
        password: url.password.clone(),
        channel: String::new(),
        mail: None,
    };
    match kind {
        Kind::Healthchecks | Kind::Kuma if path.is_empty() => {
            return Err(format!("it has no path: copy the whole {} URL", if kind == Kind::Kuma { "push" } else { "ping" }));
        }
        Kind::Healthchecks | Kind::Kuma => receiver.url = format!("{http}://{host}{path}"),
        Kind::Ntfy => {
            let (base, topic) = path.rsplit_once('/').filter(|(_, topic)| !topic.is_empty()).ok_or("it names no topic")?;
            (receiver.url, receiver.channel) = (format!("{http}://{host}{base}/"), decode(topic)?);
        }
        Kind::Gotify => {
            let token = url.parameters()?.into_iter().find(|(name, _)| *name == "token").map(|(_, token)| token);
            receiver.user = receiver.user.or(token).filter(|token| !token.is_empty());
            if receiver.user.is_none() {
                return Err("it has no token: write gotify+https://TOKEN@host".to_owned());
            }
            receiver.url = format!("{http}://{host}{path}/message");
        }
        Kind::Webhook | Kind::Slack | Kind::Discord if !url.query.is_empty() => receiver.url = format!("{}?{}", receiver.url, url.query),
        _ => {}
    }
    Ok(receiver)
}

/// `telegram://TOKEN@CHAT`, with `?api=URL` for a Bot API server of one's own. The chat's name may begin with an '@', so the first one counts.
fn telegram(rest: &str) -> Result<Receiver, String> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (token, chat) = rest.split_once('@').ok_or("it has no chat: write telegram://TOKEN@CHAT")?;
    let chat = decode(chat.trim_end_matches('/'))?;
    let sound = |text: &str, more: &[u8]| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte));
    if !sound(token, b":_-") || !token.contains(':') {
        return Err("its token is not one of a bot (NUMBER:LETTERS)".to_owned());
    }
    if !sound(&chat, b"@_-") {
        return Err("its chat is neither a number nor a name such as @channel".to_owned());
    }
    let api = match query.split_once('=') {
        None if query.is_empty() => "https://api.telegram.org".to_owned(),
        Some(("api", api)) => decode(api)?,
        _ => return Err("its query is not understood; there is only ?api=".to_owned()),
    };
    let url = Url::parse(&api)?;
    if !["http", "https"].contains(&url.scheme) || url.user.is_some() {
        return Err("its ?api= is no URL with http or https".to_owned());
    }
    Ok(Receiver {
        kind: Kind::Telegram,
        host: url.host.to_owned(),
        url: format!("{}://{}{}/bot{token}/sendMessage", url.scheme, url.host, url.path.trim_end_matches('/')),
        user: None,
        password: None,
        channel: chat,
        mail: None,
    })
}

/// `smtp://user:password@host:587?to=ops@example.org&from=kluis@example.org`, or `smtps://…`.
fn mail(url: &Url<'_>) -> Result<Receiver, String> {
    let tls = url.scheme == "smtps";
    let (name, port) = check_host(url.host)?;
    let login = match (&url.user, &url.password) {
        (Some(user), Some(password)) => Some((user.clone(), password.clone())),
        (None, None) => None,
        _ => return Err("it has a user without a password, or the reverse".to_owned()),
    };
    let (mut to, mut from) = (Vec::new(), None);
    for (parameter, value) in url.parameters()? {
        match parameter {
            "to" => to.extend(value.split(',').map(str::trim).filter(|address| !address.is_empty()).map(str::to_owned)),
            "from" => from = Some(value),
            _ => return Err("its query is not understood; there are ?to= and &from=".to_owned()),
        }
    }
    if to.is_empty() {
        return Err("it says nobody to send to: end it with ?to=ADDRESS".to_owned());
    }
    let from = from.or_else(|| login.as_ref().map(|(user, _)| user.clone()).filter(|user| is_address(user)));
    let from = from.ok_or("it says nobody to send as: add &from=ADDRESS")?;
    if !to.iter().chain([&from]).all(|address| is_address(address)) {
        return Err("an address in it is not one".to_owned());
    }
    let port = port.unwrap_or(if tls { 465 } else { 587 });
    let mail = Mail { host: name.to_owned(), port, tls, login, from, to };
    Ok(Receiver { kind: Kind::Mail, host: url.host.to_owned(), url: String::new(), user: None, password: None, channel: String::new(), mail: Some(mail) })
}

/// Nothing in an address may end a command or a header. Quoted and internationalised ones are not taken.
fn is_address(text: &str) -> bool {
    let sound = |part: &str, more: &[u8]| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte));
    text.split_once('@').is_some_and(|(local, domain)| sound(local, b".!#$%&*+/=?^_`{|}~-'") && sound(domain, b".-"))
}

/// Reads all of them, separated by white space. The errors tell which ones are wrong, counted from 1, and why.
pub fn parse_all(text: &str) -> Result<Vec<Receiver>, Vec<(usize, String)>> {
    let (mut receivers, mut wrong) = (Vec::new(), Vec::new());
    for (index, url) in text.split_whitespace().enumerate() {
        match parse(url) {
            Ok(receiver) => receivers.push(receiver),
            Err(why) => wrong.push((index + 1, why)),
        }
    }
    if wrong.is_empty() { Ok(receivers) } else { Err(wrong) }
}

#[cfg(test)]
mod tests;
