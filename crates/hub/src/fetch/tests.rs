//! Small servers on loopback stand for the internet. Those that are trusted are public hosts; the canary is a private
//! service that nobody may touch.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::options::CertificatePath;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Answers a request line on a connection.
type Answer = fn(&str, &mut TcpStream) -> io::Result<()>;

/// A server that lives as long as the test program, and the requests that reached it: first line and host.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(answer: Answer) -> Self {
        let listener = TcpListener::bind((HERE, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let seen = seen.clone();
                std::thread::spawn(move || serve(stream, answer, &seen));
            }
        });
        Server { address, requests }
    }

    fn seen(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, answer: Answer, seen: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let line = head.lines().next().unwrap_or_default().to_string();
    let host = head.lines().find(|line| line.to_lowercase().starts_with("host:")).unwrap_or_default();
    seen.lock().unwrap().push(format!("{line} | {host}"));
    let _ = answer(line.split(' ').nth(1).unwrap_or_default(), &mut stream);
}

/// A public host: what is asked for says what is answered.
fn public(path: &str, stream: &mut TcpStream) -> io::Result<()> {
    let body = |stream: &mut TcpStream, head: &str, body: &[u8]| {
        write!(stream, "HTTP/1.1 200 OK\r\n{head}Content-Length: {}\r\n\r\n", body.len())?;
        stream.write_all(body)
    };
    if let Some(location) = path.strip_prefix("/to/") {
        return write!(stream, "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    }
    if let Some(status) = path.strip_prefix("/status/") {
        return write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 9\r\n\r\n/secret/x");
    }
    match path {
        "/clip.mp4" => body(stream, "Content-Type: video/mp4\r\n", &[7; 100_000]),
        "/long" => body(stream, "", &[7; 100_001]),
        "/chunked" => {
            write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        }
        "/gzip" => body(stream, "Content-Encoding: gzip\r\n", &[0; 100]),
        "/lie-long" => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000\r\n\r\nabc"),
        "/lie-short" => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
        "/lie" => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc"),
        "/noise" => stream.write_all(&[0x16; 300]),
        "/endless" => {
            write!(stream, "HTTP/1.1 200 OK\r\n\r\n")?;
            (0..10_000).try_for_each(|_| stream.write_all(&[0; 1 << 16]))
        }
        "/headers" => {
            write!(stream, "HTTP/1.1 200 OK\r\n")?;
            (0..100_000).try_for_each(|n| write!(stream, "X-{n}: {n}\r\n"))
        }
        "/header" => write!(stream, "HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)),
        "/drip" => {
            write!(stream, "HTTP/1.1 200 OK\r\n\r\n")?;
            slowly(stream, b"a")
        }
        "/slow-head" => {
            write!(stream, "HTTP/1.1 200 OK\r\nX-")?;
            slowly(stream, b"a")
        }
        "/silent" => {
            std::thread::sleep(Duration::from_secs(20));
            Ok(())
        }
        "/loop" => write!(stream, "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n"),
        _ => write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    }
}

fn slowly(stream: &mut TcpStream, piece: &[u8]) -> io::Result<()> {
    for _ in 0..400 {
        stream.write_all(piece)?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn canary(_: &str, stream: &mut TcpStream) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ncanary")
}

/// A name server: addresses by name, one set for each time that it is asked, the last for ever.
#[derive(Default)]
struct Names {
    table: HashMap<&'static str, Vec<Vec<&'static str>>>,
    asked: AtomicUsize,
}

impl Lookup for Names {
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let times = self.asked.fetch_add(1, Ordering::SeqCst);
        let sets = self.table.get(name).ok_or(io::ErrorKind::NotFound)?;
        let set = &sets[times.min(sets.len() - 1)];
        Ok(set.iter().map(|text| text.parse().unwrap()).collect())
    }
}

struct World {
    public: Server,
    canary: Server,
    names: Arc<Names>,
    limits: FetchLimits,
}

impl World {
    fn new() -> Self {
        let (public, canary) = (Server::new(public), Server::new(canary));
        let one = |addresses: &[&'static str]| vec![addresses.to_vec()];
        let table = HashMap::from([
            ("public.test", one(&["127.0.0.1"])),
            ("other.test", one(&["127.0.0.1"])),
            ("private.test", one(&["10.0.0.5"])),
            ("mixed.test", one(&["93.184.216.34", "10.0.0.5"])),
            ("mapped.test", one(&["::ffff:127.0.0.1"])),
            ("nat64.test", one(&["64:ff9b::a9fe:a9fe"])),
            ("metadata.google.internal", one(&["169.254.169.254"])),
            ("nobody.test", one(&[])),
            ("rebind.test", vec![vec!["127.0.0.1"], vec!["127.0.0.2"]]),
        ]);
        let limits = FetchLimits {
            bytes: 100_000,
            time: Duration::from_secs(3),
            stall: Duration::from_millis(400),
            trusted: vec![public.address],
            ..FetchLimits::default()
        };
        World { public, canary, names: Arc::new(Names { table, asked: AtomicUsize::new(0) }), limits }
    }

    fn url(&self, path: &str) -> String {
        format!("http://public.test:{}{path}", self.public.address.port())
    }

    fn fetch(&self, url: &str) -> Result<(Fetched, Vec<u8>), FetchError> {
        let mut out = Vec::new();
        let fetcher = Fetcher::with_lookup(self.limits.clone(), self.names.clone());
        fetcher.fetch(url, &mut out).map(|fetched| (fetched, out))
    }

    /// The error for `url`, which shows nothing of what was found.
    fn error(&self, url: &str) -> FetchError {
        let error = self.fetch(url).expect_err(url);
        let text = error.to_string();
        for secret in ["127.0.0", "10.0.0.5", "169.254", "ff9b", "secret", "/", ".rs"] {
            assert!(!text.contains(secret), "{url}: {text}");
        }
        error
    }

    fn untouched(&self) {
        assert_eq!(self.canary.seen(), Vec::<String>::new(), "the canary was fetched");
    }
}

#[test]
fn a_public_file_is_fetched_also_after_redirects_and_in_pieces() {
    let world = World::new();
    let (fetched, bytes) = world.fetch(&world.url("/clip.mp4")).unwrap();
    assert_eq!(bytes, [7; 100_000]);
    let content_type = Some("video/mp4".to_string());
    assert_eq!(fetched, Fetched { bytes: 100_000, content_type, name: "clip.mp4".into() });
    let twice = world.url(&format!("/to/{}", world.url("/to//clip.mp4")));
    assert_eq!(world.fetch(&twice).unwrap().1.len(), 100_000);
    assert_eq!(world.fetch(&world.url("/chunked#fragment")).unwrap().1, b"abcde");
    let port = world.public.address.port();
    let seen = world.public.seen();
    assert!(
        seen.iter().all(|request| request.to_lowercase().ends_with(&format!("host: public.test:{port}"))),
        "{seen:?}"
    );
    assert!(seen.iter().all(|request| request.starts_with("GET /") && !request.contains('#')), "{seen:?}");
}

#[test]
fn private_hosts_are_refused_in_every_spelling() {
    let world = World::new();
    let port = world.canary.address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "①②⑦.⓪.⓪.①",
        "１２７.0.0.1",
        "169.254.169.254",
        "10.0.0.5",
        "[fd00::5]",
        "[fec0::5]",
        "[2002:7f00:1::1]",
        "[2001:0:7f00:1::1]",
        "private.test",
        "mixed.test",
        "mapped.test",
        "nat64.test",
        "metadata.google.internal",
        "PRIVATE.test.",
    ] {
        let error = world.error(&format!("http://{host}:{port}/canary"));
        assert!(matches!(error, FetchError::Refused { .. }), "{host}: {error}");
    }
    for host in ["localhost", "LOCALHOST", "localhost."] {
        let fetcher = Fetcher::new(world.limits.clone());
        let error = fetcher.fetch(&format!("http://{host}:{port}/canary"), &mut Vec::new()).unwrap_err();
        assert!(matches!(error, FetchError::Refused { .. }), "{host}: {error}");
    }
    world.untouched();
}

#[test]
fn a_name_is_looked_up_once_and_the_checked_address_is_connected_to() {
    let world = World::new();
    let port = world.public.address.port();
    let (_, bytes) = world.fetch(&format!("http://rebind.test:{port}/clip.mp4")).unwrap();
    assert_eq!((bytes.len(), world.names.asked.load(Ordering::SeqCst)), (100_000, 1));
    // A second hop is looked up and checked anew.
    let world = World::new();
    let port = world.public.address.port();
    let error = world.error(&format!("http://rebind.test:{port}/to//clip.mp4"));
    assert!(matches!(error, FetchError::Refused { .. }), "{error}");
    assert_eq!(world.public.seen().len(), 1);
}

#[test]
fn redirects_are_checked_like_addresses() {
    let world = World::new();
    let port = world.canary.address.port();
    for host in ["127.0.0.1", "[::1]", "0x7f.1", "private.test", "metadata.google.internal", "[::ffff:127.0.0.1]"] {
        let error = world.error(&world.url(&format!("/to/http://{host}:{port}/canary")));
        assert!(matches!(error, FetchError::Refused { .. }), "{host}: {error}");
    }
    let error = world.error(&world.url(&format!("/to///127.0.0.1:{port}/canary")));
    assert!(matches!(error, FetchError::Refused { .. }), "{error}");
    for target in ["file:///etc/passwd", "gopher://127.0.0.1:80/x", "data:text/plain,x", "", "http://"] {
        let error = world.error(&world.url(&format!("/to/{target}")));
        assert!(matches!(error, FetchError::Redirect(_)), "{target}: {error}");
    }
    let error = world.error(&world.url("/loop"));
    assert!(matches!(error, FetchError::Limit { what: "redirects", limit: 3 }), "{error}");
    world.untouched();
}

#[test]
fn ports_of_other_services_are_not_asked() {
    let mut world = World::new();
    for port in [22, 25, 1023] {
        let error = world.error(&format!("http://93.184.216.34:{port}/"));
        assert!(matches!(error, FetchError::Refused { .. }), "{port}: {error}");
    }
    let target = Target::parse("http://host/").unwrap();
    for (port, asked) in [(80, true), (443, true), (22, false), (1023, false), (1024, true), (65_535, true)] {
        assert_eq!(target.may_ask(&SocketAddr::from(([93, 184, 216, 34], port))), asked, "{port}");
    }
    // An operator may allow all of it.
    world.limits.allow_private = true;
    world.limits.trusted.clear();
    assert_eq!(world.fetch(&format!("http://{}/canary", world.canary.address)).unwrap().1, b"canary");
}

#[test]
fn only_listed_domains_are_asked_at_every_hop() {
    let mut world = World::new();
    world.limits.domains = vec!["public.test".into()];
    assert!(world.fetch(&world.url("/clip.mp4")).is_ok());
    let port = world.public.address.port();
    let error = world.error(&format!("http://rebind.test:{port}/clip.mp4"));
    assert!(matches!(error, FetchError::Domain { .. }), "{error}");
    let error = world.error(&world.url(&format!("/to/http://rebind.test:{port}/clip.mp4")));
    assert!(matches!(error, FetchError::Domain { .. }), "{error}");
}

#[test]
fn sizes_are_limited_by_the_header_and_while_reading() {
    let world = World::new();
    let started = Instant::now();
    for path in ["/lie-long", "/long", "/endless"] {
        let error = world.error(&world.url(path));
        assert!(matches!(error, FetchError::Limit { what: "bytes of the file", limit: 100_000 }), "{path}: {error}");
    }
    let error = world.error(&world.url("/header"));
    assert!(matches!(error, FetchError::Limit { what: "bytes of the answer's headers", .. }), "{error}");
    assert!(matches!(world.error(&world.url("/headers")), FetchError::Malformed(_)), "too many headers");
    assert!(started.elapsed() < Duration::from_secs(2), "nothing of it is waited for");
}

#[test]
fn slow_servers_are_given_up() {
    let world = World::new();
    for path in ["/silent", "/drip", "/slow-head"] {
        let started = Instant::now();
        let error = world.error(&world.url(path));
        assert!(matches!(error, FetchError::Time { .. }), "{path}: {error}");
        assert!(started.elapsed() < Duration::from_secs(4), "{path}: {:?}", started.elapsed());
    }
}

#[test]
fn answers_that_are_no_file_are_refused_by_kind() {
    let world = World::new();
    assert!(matches!(world.error(&world.url("/nothing")), FetchError::NotFound));
    for status in [201, 206, 401, 403, 429, 500] {
        assert!(matches!(world.error(&world.url(&format!("/status/{status}"))), FetchError::Status(s) if s == status));
    }
    for path in ["/gzip", "/lie", "/noise", "/lie-short"] {
        let error = world.error(&world.url(path));
        assert!(matches!(error, FetchError::Malformed(_) | FetchError::Network(_)), "{path}: {error}");
    }
    assert!(matches!(world.error("http://unknown.test/"), FetchError::Network("the host is not known")));
    assert!(matches!(world.error("http://nobody.test/"), FetchError::Network("the host is not known")));
}

#[test]
fn a_full_disk_ends_the_fetch() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let world = World::new();
    let fetcher = Fetcher::with_lookup(world.limits.clone(), world.names.clone());
    assert!(matches!(fetcher.fetch(&world.url("/clip.mp4"), &mut Full), Err(FetchError::Store(_))));
}

/// One answer over TLS for the name `public.test`, the name that the client asked the server for (SNI), and the
/// authority.
fn tls_server() -> (SocketAddr, Arc<Mutex<Vec<String>>>, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = authority.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(authority, key);
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["public.test".to_string()]).unwrap();
    let server: CertificateDer<'static> = server.signed_by(&server_key, &issuer).unwrap().into();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![server], PrivateKeyDer::try_from(server_key.serialize_der()).unwrap())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind((HERE, 0)).unwrap();
    let (address, names) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let seen = names.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut connection = ServerConnection::new(config.clone()).unwrap();
            if connection.complete_io(&mut stream).is_err() {
                continue;
            }
            seen.lock().unwrap().push(connection.server_name().unwrap_or_default().to_string());
            let mut stream = StreamOwned::new(connection, stream);
            let _ = stream.read(&mut [0; 1024]);
            let _ =
                stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: http://public.test/\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (address, names, pem)
}

#[test]
fn the_certificate_is_checked_for_the_name_and_https_does_not_lead_to_http() {
    let (address, names, pem) = tls_server();
    let mut world = World::new();
    world.limits.trusted.push(address);
    let url = |name: &str| format!("https://{name}:{}/clip.mp4", address.port());
    let error = world.error(&url("public.test"));
    assert!(matches!(error, FetchError::Network("no trusted connection to the host")), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("authority.pem");
    std::fs::write(&path, pem).unwrap();
    world.limits.certificates = vec![CertificatePath { variable: "SSL_CERT_FILE", path }];
    let error = world.error(&url("other.test"));
    assert!(matches!(error, FetchError::Network("no trusted connection to the host")), "{error}");
    let error = world.error(&url("public.test"));
    assert!(matches!(error, FetchError::Redirect("leads out of https")), "{error}");
    assert_eq!(*names.lock().unwrap(), ["public.test"], "the name is sent, not the address");
}
