//! The table of URLs, good and bad. No bad one may show anything of itself.

use super::*;
use proptest::prelude::*;

#[track_caller]
fn good(url: &str, shown: &str, target: &str) -> Receiver {
    let receiver = parse(url).unwrap_or_else(|why| panic!("{url}: {why}"));
    assert_eq!((receiver.to_string().as_str(), receiver.url.as_str()), (shown, target), "{url}");
    receiver
}

#[test]
fn every_kind_is_known_by_its_scheme_or_its_host() {
    good("https://example.org/hook/SECRET?a=b", "webhook example.org", "https://example.org/hook/SECRET?a=b");
    good("webhook+http://127.0.0.1:8080", "webhook 127.0.0.1:8080", "http://127.0.0.1:8080/");
    good("https://[::1]:8080/x", "webhook [::1]:8080", "https://[::1]:8080/x");
    good("https://hooks.slack.com/services/T0/B0/SECRET", "slack hooks.slack.com", "https://hooks.slack.com/services/T0/B0/SECRET");
    good("slack+https://chat.example.org/hooks/SECRET", "slack chat.example.org", "https://chat.example.org/hooks/SECRET");
    good("https://discord.com/api/webhooks/1/SECRET?thread_id=2", "discord discord.com", "https://discord.com/api/webhooks/1/SECRET?thread_id=2");
    good("https://hc-ping.com/UUID/", "healthchecks hc-ping.com", "https://hc-ping.com/UUID");
    good("healthchecks+https://hc.example.org/ping/UUID", "healthchecks hc.example.org", "https://hc.example.org/ping/UUID");
    good("kuma+https://up.example.org/api/push/KEY?status=up&msg=OK&ping=", "kuma up.example.org", "https://up.example.org/api/push/KEY");
    let ntfy = good("ntfy+https://tk_SECRET@ntfy.example.org/base/backups", "ntfy ntfy.example.org", "https://ntfy.example.org/base/");
    assert_eq!((ntfy.channel.as_str(), ntfy.user.as_deref()), ("backups", Some("tk_SECRET")));
    assert_eq!(good("https://ntfy.sh/backups", "ntfy ntfy.sh", "https://ntfy.sh/").channel, "backups");
    let gotify = good("gotify+https://TOKEN@push.example.org/gotify/", "gotify push.example.org", "https://push.example.org/gotify/message");
    assert_eq!(gotify.user, good("gotify+https://push.example.org/?token=TOKEN", "gotify push.example.org", "https://push.example.org/message").user);
    let bot = good("telegram://123:AbC_d-e@-100123", "telegram api.telegram.org", "https://api.telegram.org/bot123:AbC_d-e/sendMessage");
    assert_eq!(bot.channel, "-100123");
    let bot = good("telegram://1:x@@channel?api=http://127.0.0.1:81/tg", "telegram 127.0.0.1:81", "http://127.0.0.1:81/tg/bot1:x/sendMessage");
    assert_eq!(bot.channel, "@channel");
}

#[test]
fn mail_has_a_relay_a_sender_and_receivers() {
    let mail = good("smtp://ops%40example.org:p%3Aw@mail.example.org?to=a@example.org,b@example.org", "mail mail.example.org", "").mail.unwrap();
    assert_eq!((mail.port, mail.tls, mail.from.as_str()), (587, false, "ops@example.org"));
    assert_eq!(mail.login, Some(("ops@example.org".to_owned(), "p:w".to_owned())));
    assert_eq!(mail.to, ["a@example.org", "b@example.org"]);
    let mail = good("smtps://127.0.0.1:2465?to=a@b&from=c@d", "mail 127.0.0.1:2465", "").mail.unwrap();
    assert_eq!((mail.port, mail.tls, mail.from.as_str(), mail.login), (2465, true, "c@d", None));
    assert_eq!(good("smtps://relay?to=a@b&from=c@d", "mail relay", "").mail.unwrap().port, 465);
}

#[test]
fn what_is_wrong_is_told_without_a_piece_of_it() {
    for (url, why) in [
        ("CANARY", "it is no URL"),
        ("https://", "its host is not understood"),
        ("https://CANARY host/x", "a character in it that no URL has"),
        ("https://host/CANARY#x", "it has a '#' in it"),
        ("https://host:CANARY/x", "its port is not a number"),
        ("https://host:99999/CANARY", "its port is not a number"),
        ("https://[CANARY]/x", "its host is not understood"),
        ("https://CANARY%zz@host/", "not followed by two hexadecimal digits"),
        ("https://CANARY%00@host/", "a control character"),
        ("ftp://host/CANARY", "its scheme is not known"),
        ("CANARY+https://host/", "its scheme is not known"),
        ("slack+ftp://host/CANARY", "its scheme is not known"),
        ("healthchecks+https://CANARY", "it has no path: copy the whole ping URL"),
        ("kuma+https://CANARY/", "it has no path: copy the whole push URL"),
        ("ntfy+https://CANARY", "it names no topic"),
        ("gotify+https://CANARY", "it has no token"),
        ("telegram://1:CANARY", "it has no chat"),
        ("telegram://CANARY@1", "its token is not one of a bot"),
        ("telegram://1:CANARY@a/b", "its chat is neither"),
        ("telegram://1:CANARY@5?x=y", "there is only ?api="),
        ("telegram://1:CANARY@5?api=ftp://x", "no URL with http or https"),
        ("smtp://CANARY@host?to=a@b", "a user without a password"),
        ("smtp://host?from=CANARY@b", "nobody to send to"),
        ("smtp://host?to=CANARY@b", "nobody to send as"),
        ("smtp://host?to=CANARY%0d%0aRCPT@b&from=a@b", "a control character"),
        ("smtp://host?to=CANARY&from=a@b", "an address in it is not one"),
        ("smtp://host?cc=CANARY@b", "its query is not understood"),
    ] {
        let found = parse(url).map_or_else(|found| found, |receiver| panic!("{url} was taken for {receiver}"));
        assert!(found.contains(why) && !found.contains("CANARY"), "{url}: {found}");
    }
    assert_eq!(parse_all(" https://a/b\n\nwrong  also://wrong ").unwrap_err().iter().map(|(at, _)| *at).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(parse_all("https://a/b\tsmtp://r?to=a@b&from=c@d").unwrap().len(), 2);
    assert_eq!(parse_all(" \n ").unwrap(), []);
}

#[test]
fn debug_shows_kind_and_host_only() {
    let receiver = parse("ntfy+https://USER:SECRET@host/TOPIC").unwrap();
    assert_eq!(format!("{receiver:?}"), "Receiver(ntfy host)");
}

proptest! {
    #[test]
    fn percent_encoding_comes_back(text in "[ -~é€]{0,40}") {
        prop_assert_eq!(decode(&encode(&text)).unwrap(), text);
    }

    #[test]
    fn nothing_panics_and_what_is_shown_has_no_secret(scheme in "(slack\\+|ntfy\\+|gotify\\+|telegram|smtp|smtps|kuma\\+)?(https?)?", rest in "[ -~]{0,60}") {
        if let Ok(receiver) = parse(&format!("{scheme}://SECRET:SECRET@{rest}")) {
            let shown = receiver.to_string();
            prop_assert!(!shown.contains("SECRET"), "{}", shown);
        }
    }
}
