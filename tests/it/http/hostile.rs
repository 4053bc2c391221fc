//! Clients that behave badly, by raw sockets on this machine: none gets more than a refusal, and none keeps others from being answered.

use super::client::{connect, get, parse, send};
use super::sample::Sample;
use super::serve;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

fn server() -> kluis::http::Server {
    let mut sample = Sample::new();
    sample.year("shop", 5, 1000, &[]);
    serve(sample.site())
}

#[test]
fn paths_that_lead_out_lead_nowhere() {
    let server = server();
    for path in [
        "/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/./",
        "//",
        "/metrics/",
        "/metrics%00",
        "/metrics;x=y",
        "/METRICS",
        "/shop/history.jsonl",
        "/shop/latest/shop.sql.gz",
        "/api/v1/backups/latest",
        "/api/v1/../../metrics",
        "/api/v2/status",
        "/\\..\\..\\etc",
        "/healthz/..",
        "/index.html",
    ] {
        let answer = get(server.address(), path, &[]);
        // A backslash is no part of a URI: that request is refused as a whole.
        assert!(matches!(answer.status, 404 | 400), "{path}: {answer:#?}");
        assert!(!answer.body.contains("root:") && answer.body.len() < 100, "{path}: {answer:#?}");
    }
    // A URI with a host in it is asked for by its path; another server's page is never fetched.
    assert_eq!(get(server.address(), "http://evil.example/etc", &[]).status, 404);
}

#[test]
fn other_methods_and_bodies_are_refused() {
    let server = server();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "BREW"] {
        let target = if method == "CONNECT" { "localhost:80" } else { "/" };
        let text = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody");
        let answer = send(server.address(), text.as_bytes());
        let answer = parse(&answer).unwrap_or_else(|| panic!("{method}"));
        assert_eq!((answer.status, answer.header("allow")), (405, Some("get, head")), "{method}: {answer:#?}");
    }
    let endless = format!("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n{}", "x".repeat(100_000));
    let chunked = "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for text in [endless.as_str(), chunked] {
        let begun = Instant::now();
        let answer = parse(&send(server.address(), text.as_bytes())).unwrap();
        assert!(answer.status == 413 && begun.elapsed() < Duration::from_secs(5), "{answer:#?}");
    }
    // Two lengths, or a length and chunks: how requests are smuggled past a proxy.
    for smuggled in [
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
    ] {
        let answer = send(server.address(), smuggled.as_bytes());
        assert!(parse(&answer).is_none_or(|answer| matches!(answer.status, 400 | 413)), "{}", String::from_utf8_lossy(&answer));
        assert!(!String::from_utf8_lossy(&answer).contains("kluis_"));
    }
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let server = server();
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(20_000));
    let wide = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-A: {}\r\n\r\n", "b".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", (0..200).map(|n| format!("X-{n}: 1\r\n")).collect::<String>());
    for (text, status) in [(long, [414, 431]), (wide, [431, 431]), (many, [431, 431])] {
        let answer = send(server.address(), text.as_bytes());
        let answer = parse(&answer).map(|answer| answer.status);
        // The refusal may be lost where the client is still sending when the connection is closed (RFC 9112, 9.6).
        assert!(answer.is_none_or(|found| status.contains(&found)), "{answer:?}");
    }
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = send(server.address(), garbage);
        assert!(parse(&answer).is_none_or(|answer| answer.status >= 400), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(get(server.address(), "/healthz", &[]).status, 200);
}

#[test]
fn whoever_is_slow_keeps_nobody_out_and_is_let_go() {
    let server = server();
    // More than the server takes at once: half of them say nothing, the others a byte now and then.
    let mut slow: Vec<_> = (0..150).map(|_| connect(server.address())).collect();
    for stream in slow.iter_mut().step_by(2) {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(7) {
        let asked = Instant::now();
        assert_eq!(get(server.address(), "/", &[]).status, 200);
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        for stream in slow.iter_mut().step_by(2) {
            let _ = stream.write_all(b"a");
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    // By now every one of them was let go, however it dripped.
    for stream in &mut slow {
        stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        assert!(!matches!(&ended, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock), "a slow connection is still open: {ended:?}");
    }
}

#[test]
fn who_asks_again_and_again_is_told_which_answer_is_the_last() {
    let server = server();
    let mut stream = connect(server.address());
    let begun = Instant::now();
    loop {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        while !text.ends_with("alive\n") {
            let length = stream.read(&mut buffer).unwrap();
            assert!(length > 0, "cut off after {:?}: {text}", begun.elapsed());
            text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        if text.to_ascii_lowercase().contains("connection: close") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(29), "{text}");
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
}

#[test]
fn a_reader_that_does_not_read_is_let_go_too() {
    let server = server();
    let mut lazy = connect(server.address());
    let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n", super::TOKEN);
    // Far more answers than fit into the buffers on the way.
    for _ in 0..200 {
        if lazy.write_all(request.as_bytes()).is_err() {
            break;
        }
    }
    assert_eq!(get(server.address(), "/", &[]).status, 200);
    std::thread::sleep(Duration::from_secs(31));
    lazy.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (mut buffer, mut read) = (vec![0; 1 << 16], 0);
    let ended = loop {
        match lazy.read(&mut buffer) {
            Ok(0) => break true,
            Ok(length) => read += length,
            Err(error) => break error.kind() != std::io::ErrorKind::WouldBlock,
        }
    };
    assert!(ended, "after {read} bytes it is still open");
}
