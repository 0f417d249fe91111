//! Hubs that are not the hub: redirects, prefixes, entity tags of any form, proxies, authorities of companies.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use zoetrope_hub::{HubError, HubOptions, Proxies, Unwatched, pull};

use crate::stand_in::{Hub, MODEL, Tags, read, toy_files, weights, whole};

fn with_token(hub: &Hub) -> HubOptions {
    HubOptions { token: Some("s3cret".into()), ..hub.options() }
}

#[test]
fn a_mirror_sends_on_to_another_hub_and_the_token_stays() {
    let upstream = Hub::new(&toy_files());
    let mirror = Hub::new(&toy_files());
    // Another name of this machine: to the client another host.
    mirror.set(|state| state.mirror_of = Some(format!("http://localhost:{}", upstream.port)));
    let folder = pull(MODEL, &with_token(&mirror), &mut Unwatched).expect("pull");
    assert_eq!(read(&folder.join("model.safetensors")), weights());
    let (own, others) = (mirror.take_log(), upstream.take_log());
    assert!(own.iter().all(|line| line.contains("Bearer s3cret")), "{own:?}");
    assert!(!others.is_empty() && !others.iter().any(|line| line.contains("s3cret")), "{others:?}");
}

#[test]
fn redirects_within_a_server_are_followed_with_the_token() {
    for (prefix, location) in [("", ""), ("/hf", "/hf")] {
        let hub = Hub::new(&toy_files());
        // The second hub answers; the first sends on to an absolute address of itself until the log shows one.
        let front = Hub::new(&toy_files());
        front.set(|state| state.mirror_of = Some(format!("{}{location}", hub.endpoint())));
        let options = HubOptions { endpoint: format!("{}{prefix}", front.endpoint()), ..with_token(&front) };
        let folder = pull(MODEL, &options, &mut Unwatched).expect("pull");
        assert_eq!(read(&folder.join("model.safetensors")), weights(), "{prefix}");
        let others = hub.take_log();
        assert!(!others.iter().any(|line| line.contains("s3cret")), "another port is another server: {others:?}");
    }
}

#[test]
fn a_circle_of_redirects_ends() {
    let hub = Hub::new(&toy_files());
    hub.set(|state| state.mirror_of = Some(hub.endpoint()));
    let error = pull(MODEL, &with_token(&hub), &mut Unwatched).expect_err("a circle").to_string();
    assert!(error.contains("more than 10 redirects"), "{error}");
    assert!(hub.take_log().iter().all(|line| line.contains("s3cret")), "the same server may know the token");
}

#[test]
fn entity_tags_of_any_form_are_taken() {
    for tags in [Tags::Sums, Tags::Odd, Tags::Plain, Tags::None] {
        for sizes in [false, true] {
            let hub = Hub::new(&toy_files());
            hub.set(|state| (state.tags, state.sizes) = (tags, sizes));
            let folder = pull(MODEL, &hub.options(), &mut Unwatched).unwrap_or_else(|e| panic!("{tags:?}: {e}"));
            assert_eq!(read(&folder.join("config.json")), b"{\"a\": 1}", "{tags:?}");
            assert_eq!(whole(MODEL, &hub.options()).expect("whole"), folder);
            // Where the list has checksums, they count for mirrors with tags of their own, too.
            let hub = Hub::new(&toy_files());
            hub.set(|state| (state.tags, state.sizes) = (tags, sizes));
            hub.change("config.json", |file| file.damaged = true);
            let result = pull(MODEL, &hub.options(), &mut Unwatched);
            let checked = sizes || matches!(tags, Tags::Sums | Tags::Plain);
            assert_eq!(matches!(result, Err(HubError::Checksum { .. })), checked, "{tags:?} {sizes} {result:?}");
        }
    }
}

#[test]
fn a_server_that_refuses_head_is_asked_for_one_byte() {
    let hub = Hub::new(&toy_files());
    hub.set(|state| state.head_status = Some(405));
    let folder = pull(MODEL, &hub.options(), &mut Unwatched).expect("pull");
    assert_eq!(read(&folder.join("model.safetensors")), weights());
}

#[test]
fn a_proxy_is_asked_for_what_is_not_here() {
    let proxy = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = proxy.local_addr().expect("address").port();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = proxy.accept().expect("a connection");
        let line = BufReader::new(stream.try_clone().expect("clone")).lines().next().expect("line").expect("text");
        write!(stream, "HTTP/1.1 407 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").expect("answer");
        line
    });
    let hub = Hub::new(&toy_files());
    let proxies = Proxies { http: Some(format!("http://127.0.0.1:{port}")), ..Proxies::default() };
    let options = HubOptions { endpoint: "http://hub.invalid".into(), proxies, retries: 0, ..hub.options() };
    let error = pull(MODEL, &options, &mut Unwatched).expect_err("no password").to_string();
    let line = asked.join().expect("proxy");
    assert!(line.contains("hub.invalid"), "{line}");
    assert!(error.contains("proxy"), "{error}");
    // This machine is never behind a proxy.
    let options = HubOptions { endpoint: hub.endpoint(), ..options };
    pull(MODEL, &options, &mut Unwatched).expect("direct");
}
